"""What may follow --control, and how it reaches the request."""

from pathlib import Path

import pytest
from PIL import Image

from pochade.cli.controls import parse_control
from pochade.errors import UsageError
from pochade.generation.controlnet.control_unit import ControlUnit
from pochade.generation.picture import Picture


def test_settings_are_read():
    text = "model=c.safetensors, image=in/a,b.png, preprocessor=canny, threshold-a=50, weight=0.5, start=0, end=1, "
    assert parse_control(text + "mode=my prompt is more important, low-vram=true, resolution=0") == ControlUnit(
        "c.safetensors",
        image="in/a,b.png",
        preprocessor="canny",
        threshold_a=50,
        weight=0.5,
        mode="My prompt is more important",
        low_vram=True,
        resolution=0,
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("canny.safetensors", "--control is 'canny.safetensors'; it must be settings such as model="),
        ("", "--control is ''; it must be settings"),
        ("model=c,wieght=1", "There is no setting of a control named 'wieght'; did you mean weight"),
        ("model=c,model_hash=1", "There is no setting of a control named 'model_hash'; did you mean model"),
        ("model=c,model=d", "--control names model twice, as c and d"),
    ],
)
def test_what_cannot_be_read_is_told(text, sentence):
    with pytest.raises(UsageError) as caught:
        parse_control(text)
    assert str(caught.value).startswith(sentence)


def test_controls_reach_the_request(run, tmp_path):
    Image.new("RGB", (64, 64)).save("a.png")
    for name in ("c.safetensors", "d.safetensors"):
        Path(name).touch()
    first, second = "model=c.safetensors,image=a.png,weight=0.5", "model=d.safetensors,image=a.png,end=0.25"
    done = run("txt2img", "a", "-o", "x.png", "--control", first, "--control", second)
    assert done.exit_code == 0, done.stderr
    one, two = Picture.open("x.png").request.controls
    assert (one.model, one.weight, two.model, two.end) == ("c.safetensors", 0.5, "d.safetensors", 0.25)


def test_networks_are_found_by_name(run, monkeypatch):
    Image.new("RGB", (64, 64)).save("a.png")
    place = Path("webui/extensions/sd-webui-controlnet/models")
    place.mkdir(parents=True)
    (place / "control_canny.pth").touch()
    words = ("txt2img", "a", "-o", "x.png", "--models", "webui", "--control")
    assert run(*words, "model=control_canny [d14c016b],image=a.png").exit_code == 0
    assert Picture.open("x.png").request.controls[0].model == "control_canny.pth"
    done = run(*words, "model=control_cany,image=a.png")
    assert (done.exit_code, "did you mean control_canny?" in done.stderr) == (2, True)


def test_the_network_of_a_preprocessor_is_found_by_its_published_name(run):
    Image.new("RGB", (64, 64)).save("a.png")
    Path("c.safetensors").touch()
    place = Path("webui/extensions/sd-webui-controlnet/annotator/downloads/hed")
    place.mkdir(parents=True)
    (place / "ControlNetHED.pth").touch()
    words = ("txt2img", "a", "-o", "x.png", "--models", "webui", "--control")
    control = f"model={Path('c.safetensors').resolve()},image=a.png,preprocessor="
    for more in ("hed", "hed,annotator=controlnethed", f"hed,annotator={place / 'ControlNetHED.pth'}"):
        assert run(*words, control + more).exit_code == 0
        assert Picture.open("x.png").request.controls[0].annotator == "ControlNetHED.pth"
    done = run(*words, control + "openpose")
    assert done.exit_code == 2
    assert "get body_pose_model.pth from https://huggingface.co/lllyasviel/Annotators" in done.stderr
    assert run(*words, control + "depth").exit_code == 0
    assert run(*words, control + "hed,annotator=other").exit_code == 3


@pytest.mark.parametrize(
    ("control", "code", "sentence"),
    [
        ("image=a.png", 2, "model of control 1 is missing; name the ControlNet's file."),
        ("model=c.safetensors,weight=heavy", 2, "weight of control 1 is 'heavy'; it must be a number from 0 to 2."),
        ("model=none.safetensors", 3, "none.safetensors: there is no such file"),
        ("model=c.safetensors,image=in", 2, "in: a folder for the control picture needs pictures of the same names"),
        ("model=c.safetensors,image=none.png", 3, "none.png: there is no such image file; check the path."),
        ("model=c.safetensors,preprocessor=densepose", 2, "The preprocessor 'densepose' is a network of its own"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(run, pipeline, control, code, sentence):
    Path("c.safetensors").touch()
    Path("in").mkdir()
    done = run("txt2img", "a", "--control", control)
    assert (done.exit_code, pipeline.loaded) == (code, None)
    assert done.stderr.startswith(f"Error: {sentence}")


def test_a_folder_of_diffusers_is_a_network(run):
    Path("canny").mkdir()
    assert run("txt2img", "a", "-o", "x.png", "--control", "model=canny").exit_code == 2
    Path("canny/config.json").touch()
    assert run("txt2img", "a", "-o", "x.png", "--control", "model=canny").exit_code == 0
    assert Picture.open("x.png").request.controls[0].model == "canny"


def test_controls_without_pictures_are_left_out_when_a_foreign_picture_is_redone(run):
    text = (
        'a cat\nSteps: 2, Sampler: Euler, Seed: 1, ControlNet 0: "Module: none, Model: qr [5e5778cb]", Version: v1.8.0'
    )
    Picture(Image.new("RGB", (64, 64)), infotext=text).save("foreign.png")
    done = run("redo", "foreign.png", "-o", "x.png")
    assert done.exit_code == 0
    assert "Note: its ControlNets are left out, because it does not tell what pictures they looked at." in done.stderr
    assert Picture.open("x.png").request.controls == ()
