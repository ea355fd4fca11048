import json
import re
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from pochade.errors import UsageError
from pochade.generation.picture import Picture
from pochade.generation.pictures.sizes import parse_size


def test_a_picture_is_saved_and_its_path_printed(run):
    done = run("txt2img", "a red house", "-o", "house.png", "--seed", 7)
    assert (done.exit_code, done.stdout) == (0, "house.png\n")
    assert "2/2" in done.stderr
    picture = Picture.open("house.png")
    assert (picture.request.prompt, picture.seed, picture.image.size) == ("a red house", 7, (64, 64))


def test_every_option_reaches_the_request(run):
    words = (
        "-n mush --steps 5 --cfg 3 --size 64x96 --sampler Euler --schedule Simple --clip-skip 2 --rng CPU --device cpu "
        "--dtype fp32 --tiling --variation-seed 4 --variation-strength 0.5 --seed-resize-from 72x80 --ensd 31337 "
        "--eta 0.5 --s-noise 1.1 --sigma-max 9 --emphasis ignore --quantize --comma-backtrack 0 --pad-cond-uncond"
    )
    assert run("txt2img", "a", "-o", "x.png", *words.split()).exit_code == 0
    request = Picture.open("x.png").request
    expected = {
        "negative_prompt": "mush", "steps": 5, "cfg": 3.0, "width": 64, "height": 96, "sampler": "Euler",
        "schedule": "Simple", "clip_skip": 2, "rng": "cpu", "device": "cpu", "dtype": "fp32", "tiling": True,
        "variation_seed": 4, "variation_strength": 0.5, "seed_resize_from": (72, 80), "ensd": 31337, "eta": 0.5,
        "s_noise": 1.1, "sigma_max": 9.0, "emphasis": "Ignore", "quantize": True, "comma_backtrack": 0,
        "pad_cond_uncond": True,
    }  # fmt: skip
    assert {name: getattr(request, name) for name in expected} == expected


def test_device_and_number_format_reach_the_loading(run, pipeline):
    run("txt2img", "a", "--device", "cpu", "--dtype", "bf16")
    assert pipeline.loaded == {"model": None, "vae": None, "device": "cpu", "dtype": "bf16"}


def test_several_pictures_are_numbered_after_a_named_file(run):
    done = run("txt2img", "a", "--count", 3, "--seed", 5, "-o", "new/x.jpg")
    assert done.stdout.split() == ["new/x-1.jpg", "new/x-2.jpg", "new/x-3.jpg"]
    assert [Picture.open(path).seed for path in done.stdout.split()] == [5, 6, 7]


def test_a_folder_gets_running_numbers_and_nothing_is_written_over(run):
    assert run("txt2img", "a", "--seed", 5, "-o", "out").stdout == "out/00001-5.png\n"
    assert run("txt2img", "b", "--seed", 5, "-o", "out").stdout == "out/00002-5.png\n"
    assert Picture.open("out/00001-5.png").request.prompt == "a"
    Path("out/123456-1.txt").touch()
    assert run("txt2img", "c", "--seed", 5, "-o", "out").stdout == "out/123457-5.png\n"


def test_without_an_output_pictures_go_to_a_folder_of_the_day(run):
    done = run("txt2img", "a", "--seed", 5)
    assert done.stdout.strip() == f"outputs/txt2img/{date.today().isoformat()}/00001-5.png"
    assert Path(done.stdout.strip()).is_file()


def test_a_named_file_is_written_over(run):
    run("txt2img", "a", "-o", "x.png")
    run("txt2img", "b", "-o", "x.png")
    assert Picture.open("x.png").request.prompt == "b"


def test_json_tells_what_was_saved(run):
    done = run("txt2img", "a", "--count", 2, "--seed", 5, "-o", "out", "--json")
    assert json.loads(done.stdout)["pictures"] == [
        {"path": "out/00001-5.png", "seed": 5, "width": 64, "height": 64},
        {"path": "out/00002-6.png", "seed": 6, "width": 64, "height": 64},
    ]


def test_a_warning_goes_to_stderr(run, pipeline):
    pipeline.warning = "this model has no VAE"
    done = run("txt2img", "a", "-o", "x.png")
    assert "Note: this model has no VAE" in done.stderr
    assert done.stdout == "x.png\n"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["-o", "x.bmp"], 2, "x.bmp: .bmp names no image format; use one of .png, .jpg, .jpeg, .webp."),
        (["--size", "big"], 2, "The size is 'big'; it must be WIDTHxHEIGHT in pixels, such as 512x768."),
        (["--size", "500x512"], 2, "width is 500; it must be a multiple of 8 from 64 to 8192 (nearest: 496 or 504)."),
        (["--rng", "npu"], 2, "There is no choice of rng named 'npu'; did you mean gpu"),
        (["--model", "nowhere"], 2, "There is no checkpoint file 'nowhere', and no folder to look in"),
        (["--model", "x.safetensors"], 3, "x.safetensors: there is no such file; check the path"),
        (["--seed", "9223372036854775807", "--count", "2"], 2, "The last of 2 pictures would have a seed above"),
        (["--model", "x", "--models", "none"], 2, "none: there is no such models folder"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(run, pipeline, words, code, sentence):
    done = run("txt2img", "a", *words)
    assert (done.exit_code, pipeline.loaded) == (code, None)
    assert done.stderr.startswith(f"Error: {sentence}")


def test_models_are_found_by_name(run, pipeline, monkeypatch, tmp_path):
    model = tmp_path / "webui/models/Stable-diffusion/sub/dream.safetensors"
    vae = tmp_path / "webui/models/VAE/fine.pt"
    for path in (model, vae):
        path.parent.mkdir(parents=True)
        path.touch()
    run("txt2img", "a", "--model", "dream", "--vae", "fine.pt", "--models", "webui")
    relative = [path.relative_to(tmp_path) for path in (model, vae)]
    assert [pipeline.loaded["model"], pipeline.loaded["vae"]] == relative
    monkeypatch.setenv("POCHADE_MODELS", f"{tmp_path}:{tmp_path / 'webui'}")
    run("txt2img", "a", "--model", "dream")
    assert pipeline.loaded["model"] == model
    done = run("txt2img", "a", "--model", "draem")
    assert (done.exit_code, "did you mean dream?" in done.stderr) == (2, True)


def test_the_bar_is_for_terminals_and_leaves_results_alone(monkeypatch, capsys):
    from pochade.cli.progress import watch
    from pochade.events import Made, Saved, Step

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    events = [Step(1, 2), Step(2, 2, loss=0.5), Made("x"), Step(1, 2), Saved(Path("y"))]
    assert list(watch(events)) == ["x", Path("y")]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["", "64", "64x", "64x64x64", "-64x64", "6.4x64", "9999999x1"])
def test_a_size_that_is_none(text):
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        parse_size(text)


def test_plain_progress_has_few_lines(run):
    done = run("txt2img", "a", "--steps", 500, "-o", "x.png")
    assert len(done.stderr.splitlines()) < 20
    assert re.search(r"steps 500/500, \d+\.\d s", done.stderr)
    Image.open("x.png").close()


def test_an_output_that_cannot_be_is_refused_before_the_drawing(run, pipeline, monkeypatch):
    Path("note.txt").touch()
    for output in ("note.txt/x.png", "note.txt/folder"):
        done = run("txt2img", "a", "-o", output)
        assert (done.exit_code, pipeline.loaded) == (2, None)
        assert done.stderr.startswith("Error: note.txt is a file")
    monkeypatch.setattr("os.access", lambda *arguments: False)
    done = run("txt2img", "a", "-o", "locked/x.png")
    assert (done.exit_code, pipeline.loaded) == (3, None)
    assert "nothing may be written into this folder" in done.stderr


def test_adaptive_progress_does_not_repeat_its_last_line(monkeypatch, capsys):
    from pochade.cli.progress import watch
    from pochade.events import Step

    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert list(watch([Step(1, 2), *[Step(2, 2)] * 50])) == []
    assert capsys.readouterr().err.count("steps 2/2") == 1
