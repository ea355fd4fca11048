import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from safetensors.numpy import save_file

from pochade import __version__ as VERSION
from pochade.files.hashes import hashes as file_hashes
from pochade.generation.picture import Picture

from .test_info import GRAPH


def colour(path):
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((0, 0))


@pytest.mark.parametrize("extra", [[], ["--variation-strength", "0.5", "--variation-seed", "40"]])
def test_each_picture_of_a_batch_comes_out_again(run, extra):
    run("txt2img", "a", "--seed", 5, "--count", 5, "--batch", 2, "-o", "x.png", *extra)
    for number in range(1, 6):
        done = run("redo", f"x-{number}.png", "-o", "again.png")
        assert (done.exit_code, done.stdout) == (0, "again.png\n")
        assert colour("again.png") == colour(f"x-{number}.png")
        assert Picture.open("again.png").infotext == Picture.open(f"x-{number}.png").infotext
        run("redo", "again.png", "-o", "third.png")
        assert colour("third.png") == colour("again.png")


def test_json_and_the_folder_of_the_day(run):
    run("txt2img", "a", "--seed", 5, "-o", "x.png")
    report = json.loads(run("redo", "x.png", "--json").stdout)
    assert (report["seed"], Path(report["path"]).parts[:2]) == (5, ("outputs", "redo"))


def plain(path, text):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)


def test_a_picture_of_a1111_is_redone_as_well_as_can_be(run, pipeline):
    Path("models").mkdir()
    Path("models/v1.ckpt").touch()
    plain("old.png", "a cat\nSteps: 3, Sampler: Euler, Seed: 9, Size: 64x72, Model: v1, Face restoration: GFPGAN")
    done = run("redo", "old.png", "--models", "models", "-o", "new.png")
    assert done.exit_code == 0
    assert "are not followed: Face restoration." in done.stderr
    assert pipeline.loaded["model"] == Path("models/v1.ckpt")
    request = Picture.open("new.png").request
    assert (request.prompt, request.steps, request.seed, request.width, request.height) == ("a cat", 3, 9, 64, 72)


def test_a_renamed_model_is_found_by_its_hash(run, pipeline):
    Path("models").mkdir()
    Path("models/other.ckpt").write_bytes(b"other")
    Path("models/renamed.ckpt").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()[:10]
    plain("old.png", f"a cat\nSteps: 3, Sampler: Euler, Seed: 9, Model hash: {digest}, Model: v1")
    done = run("redo", "old.png", "--models", "models", "-o", "new.png")
    assert pipeline.loaded["model"] == Path("models/renamed.ckpt")
    assert f"another model, {digest}" in done.stderr


def test_a_model_is_found_by_the_old_kind_of_hash(run, pipeline):
    Path("models").mkdir()
    Path("models/other.ckpt").write_bytes(bytes(1 << 20) + b"other")
    Path("models/renamed.ckpt").write_bytes(bytes(1 << 20) + b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()[:8]
    for model in (", Model: v1", ""):
        plain("old.png", f"a cat\nSteps: 3, Sampler: Euler, Seed: 9, Model hash: {digest}{model}")
        done = run("redo", "old.png", "--models", "models", "-o", "new.png")
        assert pipeline.loaded["model"] == Path("models/renamed.ckpt")
        assert (done.exit_code, "another model" in done.stderr) == (0, False)


def test_vae_and_refiner_are_found_by_their_hashes(run, pipeline):
    for name, data in {"models/VAE/soft.pt": b"vae", "models/Stable-diffusion/fine.ckpt": b"fine"}.items():
        Path(name).parent.mkdir(parents=True)
        Path(name).write_bytes(data)
    vae, refiner = (hashlib.sha256(data).hexdigest()[:10] for data in (b"vae", b"fine"))
    line = f"VAE hash: {vae}, VAE: old.pt, Refiner: older [{refiner}], Refiner switch at: 0.8"
    plain("old.png", f"a cat\nSteps: 3, Sampler: Euler, Seed: 9, {line}")
    run("redo", "old.png", "--models", ".", "-o", "new.png")
    assert pipeline.loaded["vae"] == Path("models/VAE/soft.pt")
    assert Picture.open("new.png").request.refiner == "fine.ckpt"


def test_a_lora_is_called_what_it_is_called_here(run):
    Path("models/Lora").mkdir(parents=True)
    save_file({"a": np.zeros(4, np.float32)}, "models/Lora/pen.safetensors")
    digest = file_hashes("models/Lora/pen.safetensors")
    line = f'Steps: 3, Sampler: Euler, Seed: 9, Lora hashes: "ink: {digest["autov3"]}"'
    plain("old.png", f"a cat <lora:ink:0.5>\n{line}")
    done = run("redo", "old.png", "--models", ".", "-o", "new.png")
    assert "Note: the LoRA 'ink' is called 'pen' here." in done.stderr
    assert Picture.open("new.png").request.prompt == "a cat <lora:pen:0.5>"


def test_an_embedding_is_called_what_it_is_called_here(run):
    Path("embeddings").mkdir()
    save_file({"emb_params": np.zeros((1, 768), np.float32)}, "embeddings/worse.safetensors")
    digest = file_hashes("embeddings/worse.safetensors")["sha256"][:12]
    line = f'Steps: 3, Sampler: Euler, Seed: 9, TI hashes: "bad: {digest}"'
    plain("old.png", f"a cat\nNegative prompt: bad\n{line}")
    done = run("redo", "old.png", "--models", ".", "-o", "new.png")
    assert "Note: the embedding 'bad' is called 'worse' here." in done.stderr
    assert Picture.open("new.png").request.negative_prompt == "worse"


def test_a_picture_by_comfyui_is_redone_as_well_as_can_be(run, pipeline):
    Path("models").mkdir()
    Path("models/v1.ckpt").touch()
    Path("graph.json").write_text(GRAPH)
    done = run("redo", "graph.json", "--models", "models", "-o", "new.png")
    assert done.exit_code == 0
    assert [line for line in done.stderr.splitlines() if line.startswith("Note:")] == [
        "Note: this of the picture is not followed: the node FreeU of the model.",
        "Note: the picture was drawn by ComfyUI; this one will be alike, not the same to the pixel.",
    ]
    request = Picture.open("new.png").request
    assert (request.prompt, request.seed, request.width, request.rng) == ("a cat", 7, 64, "cpu")


def test_a_graph_that_draws_nothing_is_told(run):
    Path("graph.json").write_text('{"1": {"class_type": "LoadImage", "inputs": {}}}')
    done = run("redo", "graph.json")
    assert (done.exit_code, "in which there is no sampler" in done.stderr) == (3, True)


def test_a_missing_model_is_said_and_another_may_be_given(run, pipeline):
    plain("old.png", "a cat\nSteps: 3, Sampler: Euler, Seed: 9, Model: v1")
    done = run("redo", "old.png")
    assert (done.exit_code, pipeline.loaded) == (2, None)
    assert done.stderr.startswith("Error: A file that the picture was drawn with is not here. There is no checkpoint")
    Path("mine.ckpt").touch()
    assert run("redo", "old.png", "--model", "mine.ckpt", "-o", "new.png").exit_code == 0


def test_a_picture_without_parameters_cannot_be_redone(run):
    Image.new("RGB", (8, 8)).save("bare.png")
    done = run("redo", "bare.png")
    assert (done.exit_code, "it carries no parameters" in done.stderr) == (3, True)


def test_a_missing_picture(run):
    assert run("redo", "none.png").exit_code == 3


@pytest.fixture
def begun(run):
    """A picture drawn over another one, with a mask."""
    Path("sources").mkdir()
    Image.new("RGB", (64, 64), "red").save("sources/house.png")
    Image.new("RGB", (64, 64), "white").save("sources/sky.png")
    words = ("--image", "sources/house.png", "--mask", "sources/sky.png", "--seed", 5)
    run("inpaint", "a", *words, "-o", "x.png")
    run("inpaint", "a", *words, "-o", "kept.png", "--keep-inputs")


def hashes(path):
    request = Picture.open(path).request
    return request.image_hash, request.mask_hash


def test_pictures_kept_inside_are_used(run, begun):
    done = run("redo", "kept.png", "-o", "new.png", "--keep-inputs")
    assert (done.exit_code, done.stderr.count("Note:"), hashes("new.png")) == (0, 0, hashes("kept.png"))
    assert run("redo", "new.png", "-o", "third.png").exit_code == 0


def test_a_missing_picture_is_named(run, begun):
    done = run("redo", "x.png", "-o", "new.png")
    assert done.exit_code == 3
    assert done.stderr == (
        "Error: house.png: the picture began with this file, which is neither beside it nor in this folder; "
        "give it with --image FILE.\n"
    )


def test_pictures_are_found_beside_it_in_this_folder_or_where_the_user_says(run, begun):
    Path("x.png").rename("sources/x.png")
    done = run("redo", "sources/x.png", "-o", "new.png")
    assert (done.exit_code, done.stderr.count("Note:"), hashes("new.png")) == (0, 0, hashes("kept.png"))
    Path("sources/sky.png").rename("sky.png")
    Path("sources/house.png").rename("moved.png")
    Image.new("RGB", (8, 8)).save("sources/sky.png")
    done = run("redo", "sources/x.png", "--image", "moved.png", "-o", "new.png")
    assert (done.exit_code, done.stderr.count("Note:"), hashes("new.png")) == (0, 0, hashes("kept.png"))
    assert Picture.open("new.png").request.image == "moved.png"


def test_another_picture_is_told(run, begun):
    Image.new("RGB", (64, 64), "blue").save("house.png")
    done = run("redo", "x.png", "--mask", "sources/sky.png", "-o", "new.png")
    assert done.exit_code == 0
    assert f"began with another image, of pixels {hashes('x.png')[0]}; those of this one are" in done.stderr
    assert "another mask" not in done.stderr


def test_a_picture_that_it_did_not_begin_with_is_refused(run, begun):
    run("txt2img", "a", "-o", "plain.png")
    done = run("redo", "plain.png", "--image", "sources/house.png")
    assert (done.exit_code, "began without a picture for --image" in done.stderr) == (2, True)


def test_a_picture_from_memory_must_be_given(run, begun):
    drawn = Picture.open("x.png")
    Picture(drawn.image, replace(drawn.request, image=""), infotext=drawn.infotext).save("memory.png")
    done = run("redo", "memory.png", "-o", "new.png")
    assert (done.exit_code, "a picture in memory (image)" in done.stderr) == (2, True)
    words = ("--image", "sources/house.png", "--mask", "sources/sky.png")
    assert run("redo", "memory.png", *words, "-o", "new.png").exit_code == 0


def test_what_a1111_drew_over_must_be_given(run, begun):
    plain("old.png", "a cat\nSteps: 3, Sampler: Euler, Seed: 9, Size: 64x64, Denoising strength: 0.5")
    done = run("redo", "old.png")
    assert (done.exit_code, "give it with --image FILE" in done.stderr) == (2, True)
    assert run("redo", "old.png", "--image", "sources/house.png", "-o", "new.png").exit_code == 0
    assert Picture.open("new.png").request.strength == 0.5


def changed(path, **fields):
    """The picture as if it were drawn with other facts."""
    drawn = Picture.open(path)
    Picture(drawn.image, replace(drawn.request, **fields), infotext=drawn.infotext).save(path)


def test_what_differs_is_explained(run, monkeypatch):
    run("txt2img", "a", "-o", "x.png", "--device", "cpu", "--dtype", "fp32")
    changed("x.png", model_hash="1234567890", vae_hash="9876543210")
    monkeypatch.setattr("pochade.__version__", "99.0.0")
    done = run("redo", "x.png", "--dtype", "bf16", "-o", "new.png")
    assert done.exit_code == 0
    notes = [line for line in done.stderr.splitlines() if line.startswith("Note:")]
    assert [note.split(",")[0] for note in notes] == [
        "Note: the picture was drawn by another model",
        "Note: the picture was drawn with another VAE",
        "Note: the picture was computed on cpu in fp32",
        f"Note: the picture was drawn by pochade {VERSION}",
    ]


def test_a_device_that_is_not_here_gives_way(run, pipeline, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run("txt2img", "a", "-o", "x.png")
    changed("x.png", device="cuda", dtype="fp16")
    assert run("redo", "x.png", "-o", "new.png").exit_code == 0
    assert (pipeline.loaded["device"], pipeline.loaded["dtype"]) == ("auto", "auto")


def test_refiner_and_upscaler_are_found_by_name_or_hash(run):
    for name, data in {"models/Stable-diffusion/fine.ckpt": b"fine", "models/ESRGAN/sharp.pth": b"sharp"}.items():
        Path(name).parent.mkdir(parents=True)
        Path(name).write_bytes(data)
    run("txt2img", "a", "-o", "x.png")
    digest = hashlib.sha256(b"fine").hexdigest()[:10]
    changed("x.png", refiner="renamed.ckpt", refiner_hash=digest, hires=2.0, hires_upscaler="sharp.pth")
    done = run("redo", "x.png", "--models", ".", "-o", "new.png")
    request = Picture.open("new.png").request
    assert (done.exit_code, request.refiner, request.hires_upscaler) == (0, "fine.ckpt", "sharp.pth")
    done = run("redo", "x.png", "-o", "new.png")
    assert (done.exit_code, "There is no checkpoint" in done.stderr or "renamed.ckpt" in done.stderr) == (2, True)


def test_no_picture_of_the_old_run_is_written_over(run, begun, pipeline):
    Path("x.png").rename("sources/x.png")
    Path("sources/house.png").rename("moved.png")
    words = ("redo", "sources/x.png", "--image", "moved.png")
    for output in ("sources/x.png", "moved.png", "sources/sky.png"):
        done = run(*words, "-o", output)
        assert (done.exit_code, f"{output} is a picture that this begins with" in done.stderr) == (2, True)


def test_a_picture_that_was_made_larger_is_redone_as_it_was_drawn(run):
    run("txt2img", "a", "-o", "x.png")
    run("upscale", "x.png", "-o", "large.png")
    done = run("redo", "large.png", "-o", "new.png")
    assert "Note: the picture was made larger after it was drawn; this one is as it was before" in done.stderr
    assert "made larger" not in run("redo", "x.png", "-o", "new.png").stderr
    assert Picture.open("new.png").image.size == (64, 64)


def test_text_does_not_steer_the_terminal(run):
    plain("old.png", "a cat\nSteps: 3, Sampler: Euler, Seed: 9, Model hash: \x1b[2J12")
    done = run("redo", "old.png", "-o", "new.png")
    assert ("\x1b" in done.stderr, "another model, \\x1b[2J12" in done.stderr) == (False, True)


def test_the_way_to_a_missing_control_picture_is_told(run):
    Path("c.safetensors").touch()
    Image.new("RGB", (64, 64)).save("lines.png")
    run("txt2img", "a", "--control", "model=c.safetensors,image=lines.png", "-o", "x.png")
    Path("lines.png").unlink()
    done = run("redo", "x.png", "-o", "new.png")
    assert done.exit_code == 3
    assert "put a file of this name beside it; a picture saved with --keep-inputs holds its control 1." in done.stderr
