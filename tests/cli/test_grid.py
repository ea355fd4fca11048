import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pochade.errors import NumericalError
from pochade.generation.picture import Picture

WORDS = ("grid", "a cat", "--x", "Steps=1,2", "--y", "cfg=3,4")


def cells(folder="out"):
    return sorted(path.name for path in Path(folder, "cells").iterdir())


def drawn(done):
    """How many cells were drawn."""
    return len([line for line in done.stdout.split() if "/cells/" in line])


@pytest.fixture
def loads(pipeline, monkeypatch):
    """The models and VAEs that were loaded, in turn."""
    found = []
    load = pipeline.load.__func__

    def note(cls, path=None, vae=None, **options):
        found.append((path and path.name, vae and vae.name))
        return load(cls, path, vae, **options)

    monkeypatch.setattr(pipeline, "load", classmethod(note))
    return found


def test_a_grid_has_cells_a_sheet_and_a_page(run):
    done = run(*WORDS, "--seed", 5, "-o", "out")
    paths = done.stdout.split()
    assert (done.exit_code, len(paths)) == (0, 6)
    assert paths[-2:] == ["out/grid.png", "out/grid.html"]
    requests = [Picture.open(path).request for path in paths[:4]]
    assert [(each.steps, each.cfg, each.seed) for each in requests] == [(1, 3, 5), (2, 3, 5), (1, 4, 5), (2, 4, 5)]
    assert 'Script: X/Y/Z plot, X Type: Steps, X Values: "1,2"' in Picture.open("out/grid.png").infotext
    assert "cell 4 of 4 2/2" in done.stderr


def test_the_same_command_goes_on_with_what_is_missing(run, loads):
    run(*WORDS, "-o", "out")
    seed = Picture.open(Path("out/cells", cells()[0])).seed
    Path("out/cells", cells()[0]).unlink()
    done = run(*WORDS, "-o", "out")
    assert drawn(done) == 1
    assert {Picture.open(Path("out/cells", name)).seed for name in cells()} == {seed}
    loads.clear()
    assert drawn(run(*WORDS, "-o", "out")) == 0
    assert not loads


def test_a_grid_is_resumed_as_it_was_wanted(run):
    run(*WORDS, "--z", "Seed=-1,3", "--margin", 3, "--no-html", "-o", "out")
    before = Path("out/grid.png").read_bytes()
    for name in cells()[:3]:
        Path("out/cells", name).unlink()
    done = run("grid", "--resume", "out")
    assert (done.exit_code, drawn(done)) == (0, 3)
    assert Path("out/grid.png").read_bytes() == before
    assert not Path("out/grid.html").exists()


def test_json_tells_of_everything(run):
    report = json.loads(run(*WORDS, "--z", "Prompt S/R=cat,dog", "-o", "out", "--json").stdout)
    assert (report["folder"], report["grids"], report["html"]) == ("out", ["out/grid.png"], "out/grid.html")
    last = report["cells"][-1]
    assert (last["x"], last["y"], last["z"]) == ("Steps: 2", "CFG Scale: 4.0", "dog")
    assert all(Path(path).is_file() for cell in report["cells"] for path in cell["pictures"])


def test_each_model_is_loaded_once(run, loads):
    for name in ("one.ckpt", "two.ckpt", "soft.pt"):
        Path(name).touch()
    axes = ("--x", "Steps=1,2", "--y", "VAE=soft.pt,None", "--z", "Checkpoint name=one.ckpt,two.ckpt,one.ckpt")
    assert run("grid", "a", *axes, "-o", "out").exit_code == 0
    assert loads == [
        ("one.ckpt", "soft.pt"), ("one.ckpt", None), ("two.ckpt", "soft.pt"), ("two.ckpt", None)
    ]  # fmt: skip


def test_names_are_looked_up_in_the_folders_of_models(run, loads):
    Path("models").mkdir()
    Path("models/dream.ckpt").touch()
    assert run("grid", "a", "--x", "model=dream", "--models", "models", "-o", "out").exit_code == 0
    assert loads == [("dream.ckpt", None)]
    done = run("grid", "a", "--x", "Checkpoint name=dream,drem", "--models", "models", "-o", "other")
    assert done.exit_code == 2
    assert "Checkpoint name: drem: There is no checkpoint named 'drem'; did you mean dream?" in done.stderr
    assert not Path("other").exists()


def test_a_model_that_changed_is_drawn_anew(run, monkeypatch):
    Path("one.ckpt").write_bytes(b"old")
    monkeypatch.setattr("pochade.generation.xyz.agreement.short_hash", lambda path: "abcdef0123")  # as it pretends
    words = ("grid", "a", "--x", "Steps=1,2", "--model", "one.ckpt", "-o", "out")
    run(*words)
    assert drawn(run(*words)) == 0
    monkeypatch.setattr("pochade.generation.xyz.agreement.short_hash", lambda path: "0000000000")
    assert drawn(run(*words)) == 2


def test_loras_of_an_axis_must_be_there(run):
    Path("models/Lora").mkdir(parents=True)
    Path("models/Lora/fox.safetensors").touch()
    words = ("grid", "a", "--y", "LoRA weight=0.5,1", "--models", "models", "-o", "out")
    done = run(*words, "--x", "LoRA=fox,fxo")
    assert (done.exit_code, "The axis LoRA: There is no lora named 'fxo'; did you mean fox?" in done.stderr) == (
        2,
        True,
    )
    assert run(*words, "--x", "LoRA=fox,none").exit_code == 0
    prompts = {Picture.open(Path("out/cells", name)).request.prompt for name in cells()}
    assert prompts == {"a", "a<lora:fox:0.5>", "a<lora:fox:1>"}


def test_a_cell_that_fails_gives_the_exit_code_and_leaves_a_gap(run, pipeline, monkeypatch):
    draw = pipeline.run

    def fail(self, request, inputs=None):
        if request.steps == 2:
            raise NumericalError("The model gave NaN.")
        yield from draw(self, request, inputs)

    monkeypatch.setattr(pipeline, "run", fail)
    done = run(*WORDS, "-o", "out")
    assert (done.exit_code, len(cells())) == (3, 2)
    assert "Note: Steps: 2, CFG Scale: 3.0 is left out. The model gave NaN." in done.stderr
    report = json.loads(run("grid", "--resume", "out", "--json").stdout)
    assert [cell.get("error") for cell in report["cells"]] == [None, "The model gave NaN."] * 2
    monkeypatch.setattr(pipeline, "run", draw)
    assert run("grid", "--resume", "out").exit_code == 0


def test_a_grid_over_a_picture(run):
    Image.new("RGB", (64, 64)).save("house.png")
    done = run("grid", "a", "--image", "house.png", "--x", "Denoising=0.2,0.8", "--y", "image=house.png", "-o", "out")
    assert done.exit_code == 0
    assert {Picture.open(Path("out/cells", name)).request.strength for name in cells()} == {0.2, 0.8}
    Image.new("RGB", (64, 64), "red").save("house.png")
    assert drawn(run("grid", "--resume", "out")) == 2  # it begins with another picture now


def test_styles_come_from_a_file(run):
    Path("styles.csv").write_text("name,prompt,negative_prompt\nink,ink drawing of {prompt},colour\n")
    words = ("grid", "a cat", "--x", "Styles=None,ink", "--styles-file", "styles.csv", "-o", "out")
    assert run(*words).exit_code == 0
    assert {Picture.open(Path("out/cells", name)).request.prompt for name in cells()} == {
        "a cat",
        "ink drawing of a cat",
    }
    assert drawn(run("grid", "--resume", "out", "--styles-file", "styles.csv")) == 0


def test_without_a_folder_each_grid_has_a_new_one(run):
    folders = [run(*WORDS, "--json").stdout for _ in range(2)]
    assert [re.sub(r"\d{4}-\d\d-\d\d", "DAY", json.loads(each)["folder"]) for each in folders] == [
        "outputs/grid/DAY/00001",
        "outputs/grid/DAY/00002",
    ]


def test_the_legend_may_be_left_out_and_a_margin_put_in(run):
    run(*WORDS, "--size", "64x64", "--no-legend", "--margin", 4, "-o", "out")
    assert Picture.open("out/grid.png").image.size == (132, 132)
    run(*WORDS, "--size", "64x64", "-o", "other")
    assert np.asarray(Picture.open("other/grid.png").image).shape[1] == 128 + 48


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["grid", "a"], 2, "A grid needs an axis: give one with --x NAME=VALUES"),
        (["grid", "--x", "Steps=1"], 2, "What shall be drawn? Give a PROMPT, or --resume DIR to go on with a grid."),
        (["grid", "a", "--x", "Stpes=1"], 2, "There is no axis named 'Stpes'; did you mean Steps"),
        (["grid", "a", "--x", "Steps=1,x"], 2, "The axis Steps: 'x' is no whole number"),
        (["grid", "a", "--x", "Steps=1,5000"], 2, "Steps: 5000: steps is 5000; it must be a whole number"),
        (["grid", "a", "--x", "Steps=1", "--vary-seeds", "xq"], 2, "--vary-seeds is 'xq'; it must be one or more of"),
        (["grid", "a", "--x", "Steps=1", "--image", "."], 2, ". is a folder; a grid shows what becomes of one"),
        (["grid", "--resume", "none"], 3, "none: there is no grid to go on with; name a grid's folder."),
        (["grid", "--resume", "full"], 2, "full is there already, and is no grid's folder"),
        (["grid", "--resume", "out", "--steps", "3"], 2, "--resume goes on with what was wanted before; steps cannot"),
        (["grid", "b", "--resume", "out"], 2, "--resume goes on with what was wanted before; prompt cannot be given"),
        ([*WORDS, "-o", "full"], 2, "full is there already, and is no grid's folder; name another with -o."),
        ([*WORDS, "-o", "full/file.txt"], 2, "full/file.txt is there already, and is no grid's folder"),
        ([*WORDS, "--seed", "6", "-o", "out"], 2, "out holds another grid, whose seed is 5 and not 6; name another"),
        (["grid", "a cat", "--x", "cfg=1,2", "-o", "out"], 2, "out holds another grid, of Steps, CFG Scale, Nothing;"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(run, pipeline, words, code, sentence):
    run(*WORDS, "--seed", 5, "-o", "out")
    Path("full").mkdir()
    Path("full/file.txt").touch()
    pipeline.loaded = None
    done = run(*words)
    assert (done.exit_code, pipeline.loaded) == (code, None)
    assert done.stderr.startswith(f"Error: {sentence}")


def test_the_help_tells_how_values_are_written(run):
    shown = " ".join(run("grid", "--help").stdout.split())
    assert "1-10 [4]" in shown
    assert "Example: pochade grid" in shown
