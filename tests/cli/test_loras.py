"""What may follow --lora, and how it reaches the request."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pochade import files
from pochade.cli.loras import parse_lora
from pochade.cli.redo import _other_loras
from pochade.errors import UsageError
from pochade.generation.extra_networks.lora_files import lora_hash
from pochade.generation.extra_networks.lora_unit import LoraUnit
from pochade.generation.picture import Picture
from pochade.generation.request import Request


@pytest.fixture
def lora():
    """Save one in the folder of LoRAs."""

    def saved(name, number=0.0):
        path = Path("webui/models/Lora", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return files.save(path, {"lora_unet_x.lora_down.weight": np.full((1, 2), number, np.float32)})

    return saved


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("fox", LoraUnit("fox", weight=1, text_weight=1)),
        ("fox:0.8", LoraUnit("fox", weight=0.8, text_weight=0.8)),
        ("fox:0.8:0.2", LoraUnit("fox", weight=0.8, text_weight=0.2)),
        ("fox:0.8:te=0.2", LoraUnit("fox", weight=0.8, text_weight=0.2)),
        (
            "a fox.safetensors:unet=0.8:te=0.2:lbw=OUTD",
            LoraUnit("a fox.safetensors", weight=0.8, text_weight=0.2, blocks="OUTD"),
        ),
        ("fox:1:dyn=4:step=2-0.5", LoraUnit("fox", weight=1, text_weight=1, rank=4, start=2, stop=0.5)),
        ("C:\\loras\\fox.pt:-1", LoraUnit("C:\\loras\\fox.pt", weight=-1, text_weight=-1)),
    ],
)
def test_settings_are_read(text, unit):
    assert parse_lora(text) == unit


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fox:strong", "--lora is 'fox:strong': weight is 'strong'; it must be a number from -1000 to 1000."),
        ("fox:1:1:1", "--lora is 'fox:1:1:1'; write NAME:W or NAME:W:TEW, and all else by name, as in dyn=4."),
        ("fox:weight=1", "There is no setting of a LoRA named 'weight'; "),
        ("fox:lbw=OUT", "--lora is 'fox:lbw=OUT': There is no choice of blocks named 'OUT'; did you mean OUT"),
        ("", "--lora is '': It names no LoRA."),
    ],
)
def test_what_cannot_be_read_is_told(text, sentence):
    with pytest.raises(UsageError) as caught:
        parse_lora(text)
    assert str(caught.value).startswith(sentence)


def test_loras_reach_the_request(run, lora):
    lora("style/fox.safetensors")
    words = ("txt2img", "a", "--models", "webui", "-o", "x.png")
    done = run(*words, "--lora", "fox:0.5", "--lora", "webui/models/Lora/style/fox.safetensors:te=0")
    assert done.exit_code == 0, done.stderr
    one, two = Picture.open("x.png").request.loras
    assert (one.name, one.weight, two.name, two.text_weight) == ("fox.safetensors", 0.5, "fox.safetensors", 0)


def test_mistakes_are_said_before_anything_is_loaded(run, pipeline, lora):
    lora("fox.safetensors")
    done = run("txt2img", "a", "--models", "webui", "--lora", "fix")
    assert (done.exit_code, "did you mean fox?" in done.stderr, pipeline.loaded) == (2, True, None)
    done = run("txt2img", "a", "--lora", "fox")
    assert (done.exit_code, pipeline.loaded) == (2, None)


@pytest.mark.parametrize("command", ["txt2img", "img2img", "inpaint", "outpaint"])
def test_every_command_that_draws_takes_them(run, command):
    assert "--lora" in run(command, "--help").stdout


def test_a_renamed_one_is_found_again(run, lora):
    digest = lora_hash(lora("new.safetensors", 1))
    lora("other.safetensors", 2)
    request = Request("a cat", seed=1, loras=(LoraUnit("fox.safetensors", digest, 0.5),))
    Picture(Image.new("RGB", (64, 64)), request).save("old.png")
    done = run("redo", "old.png", "--models", "webui", "-o", "x.png")
    assert done.exit_code == 0, done.stderr
    (unit,) = Picture.open("x.png").request.loras
    assert (unit.name, unit.weight) == ("new.safetensors", 0.5)
    Path("webui/models/Lora/new.safetensors").unlink()
    done = run("redo", "old.png", "--models", "webui", "-o", "x.png")
    assert (done.exit_code, "A file that the picture was drawn with is not here." in done.stderr) == (2, True)


def test_other_loras_of_the_same_names_are_told():
    recorded = Request(loras=(LoraUnit("fox", "a" * 12),), lora_hashes="hare: 111111111111, gone: 222222222222")
    drawn = Request(loras=(LoraUnit("/x/fox", "b" * 12),), lora_hashes="hare: 333333333333")
    assert list(_other_loras(recorded, drawn)) == [
        "the picture was drawn with another LoRA 'fox', aaaaaaaaaaaa; this one is bbbbbbbbbbbb.",
        "the picture was drawn with another LoRA 'hare', 111111111111; this one is 333333333333.",
    ]
    assert list(_other_loras(recorded, recorded)) == []
