"""`inspect` tells what single kinds have: words that call them up, forms of ControlNets, scales of upscalers."""

import base64
import json

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from pochade import files
from pochade.errors import MalformedFileError
from pochade.operations.convert import convert
from pochade.operations.inspect import inspect

from ..families.manifests import narrow, shapes


def inspected(tmp_path, tensors, metadata=None, name="model.safetensors"):
    return inspect(files.save(tmp_path / name, tensors, metadata))


KOHYA = {
    "ss_dataset_dirs": json.dumps({"10_zorp": {"n_repeats": 10, "img_count": 20}, "5_more": {"img_count": 5}}),
    "ss_reg_dataset_dirs": json.dumps({"1_cross": {"n_repeats": 1, "img_count": 100}}),
    "ss_tag_frequency": json.dumps(
        {
            "10_zorp": {"zorp": 20, "purple": 19, "night sky": 18, "day sky": 2, "": 20},
            "5_more": {"zorp": 5, "blarg": 5, "tree": 4},
            "1_cross": {"cross": 100},
        }
    ),
    "modelspec.trigger_phrase": "zorp, in pastel ",
}


def without_metadata(*names):
    return {name: value for name, value in KOHYA.items() if name not in names}


PHRASE, TAGS = "modelspec.trigger_phrase", "ss_tag_frequency"


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (KOHYA, ["zorp", "in pastel"]),
        (without_metadata(PHRASE), ["zorp", "purple", "night sky", "blarg"]),
        (without_metadata(PHRASE, TAGS), ["zorp", "more"]),
        (without_metadata(PHRASE, TAGS) | {TAGS: "{}"}, ["zorp", "more"]),
        ({TAGS: json.dumps({"img": {"ohwx": 12, "man": 12, "hat": 3}})}, ["ohwx", "man"]),
        ({TAGS: json.dumps({"img": {"a man on a horse": 1, "a man in a boat": 1}})}, []),
        ({TAGS: json.dumps({"img": {str(number): 9 for number in range(99)}})}, [str(number) for number in range(10)]),
        ({TAGS: json.dumps({"img": {"a": "9", "b": None, "c": -1, "d": True}, "other": 3})}, []),
        ({"ss_dataset_dirs": json.dumps({"pictures": {}, "3_": {}, "4_sks dog": None})}, ["sks dog"]),
        ({TAGS: "[1]"}, []),
        ({TAGS: "{"}, []),
        ({TAGS: "[" * 100_000}, []),
        ({TAGS: "null", "ss_dataset_dirs": "3", PHRASE: " , "}, []),
        ({}, []),
    ],
)
def test_trigger_words_of_a_lora(tmp_path, metadata, words):
    report = inspected(tmp_path, {"a.lora_down.weight": np.zeros((4, 8))}, metadata)
    assert (report["kind"], report["trigger_words"]) == ("lora", words)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"emb_params": np.zeros((2, 768))}, ["bad-hands"]),
        ({"clip_l": np.zeros((2, 768)), "clip_g": np.zeros((2, 1280))}, ["bad-hands"]),
        ({"<cat-toy>": np.zeros(768)}, ["<cat-toy>", "bad-hands"]),
    ],
)
def test_trigger_words_of_an_embedding(tmp_path, tensors, words):
    assert inspected(tmp_path, tensors, name="bad-hands.safetensors")["trigger_words"] == words


def test_the_word_of_an_embedding_in_a_picture_is_inside_it(tmp_path):
    content = {"string_to_param": {"*": {"TORCHTENSOR": [[0.5] * 768]}}, "name": "bad-hands", "step": 3}
    info = PngImagePlugin.PngInfo()
    info.add_text("sd-ti-embedding", base64.b64encode(json.dumps(content).encode()).decode())
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    assert inspect(tmp_path / "a.png")["trigger_words"] == ["bad-hands"]
    torch.save({"string_to_param": {"*": torch.zeros(2, 768)}, "name": "bad-hands"}, tmp_path / "bad-hands-500.pt")
    assert inspect(tmp_path / "bad-hands-500.pt")["trigger_words"] == ["bad-hands-500"]


def test_forms_of_a_controlnet(tmp_path):
    whole = {name: np.zeros(shape, np.float16) for name, shape in narrow(shapes("controlnet-sd15.ldm")).items()}
    low_rank = {"lora_controlnet": np.zeros(0), "zero_convs.0.0.weight": np.zeros((4, 4, 1, 1))}
    for tensors, form in ((whole, None), (whole | {"difference": np.ones(())}, "difference"), (low_rank, "lora")):
        report = inspected(tmp_path, tensors)
        facts = [report[name] for name in ("kind", "variant", "components", "problems")]
        assert facts == ["controlnet", form, ["controlnet"], []]
    assert inspected(tmp_path, whole | {"difference": np.ones(())})["family"] == "sd1"


def test_a_difference_becomes_no_folder(tmp_path):
    whole = {name: np.zeros(shape, np.float16) for name, shape in narrow(shapes("controlnet-sd15.ldm")).items()}
    path = files.save(tmp_path / "a.safetensors", whole | {"difference": np.ones(())})
    with pytest.raises(MalformedFileError, match="no place"):
        convert(path, tmp_path / "folder")


def rrdb(blocks, ups, channels=3, first="conv_first", last="conv_last", body="body.{}.rdb{}.conv{}", up="conv_up{}"):
    """Names and shapes of an RRDB network as its authors' code builds them."""
    inner = {
        f"{body.format(block, row, conv)}.weight": (2, 2, 3, 3)
        for block in range(blocks)
        for row in (1, 2, 3)
        for conv in range(1, 6)
    }
    enlarging = {f"{up.format(number)}.weight": (2, 2, 3, 3) for number in range(1, ups + 1)}
    return inner | enlarging | {f"{first}.weight": (2, channels, 3, 3), f"{last}.weight": (3, 2, 3, 3)}


def old_rrdb(blocks, ups):
    """The same in the names of the first ESRGAN: one row of layers, of which only convolutions have tensors."""
    names = rrdb(blocks, 0, 3, "model.0", f"model.{3 * ups + 4}", "model.1.sub.{}.RDB{}.conv{}.0")
    rows = [*(3 * number for number in range(1, ups + 1)), 3 * ups + 2]
    trunk = {f"model.1.sub.{blocks}.weight": (2, 2, 3, 3)}
    return names | trunk | {f"model.{row}.weight": (2, 2, 3, 3) for row in rows}


def compact(convolutions, scale):
    rows = {f"body.{2 * row}.weight": (2, 2, 3, 3) for row in range(1, convolutions + 1)}
    slopes = {f"body.{2 * row + 1}.weight": (2,) for row in range(convolutions + 1)}
    last = {f"body.{2 * convolutions + 2}.weight": (3 * scale**2, 2, 3, 3)}
    return {"body.0.weight": (2, 3, 3, 3)} | rows | slopes | last


@pytest.mark.parametrize(
    ("tensors", "scale", "blocks"),
    [
        (rrdb(23, 2), 4, 23),  # Real-ESRGAN x4plus
        (rrdb(6, 2), 4, 6),  # its anime 6B
        (rrdb(23, 2, 12), 2, 23),  # x2plus: four pixels in one
        (rrdb(23, 2, 48), 1, 23),
        (rrdb(23, 1, body="RRDB_trunk.{}.RDB{}.conv{}", up="upconv{}"), 2, 23),  # BSRGANx2
        (old_rrdb(23, 2), 4, 23),
        (old_rrdb(23, 3), 8, 23),
        (old_rrdb(4, 0), 1, 4),
        (compact(32, 4), 4, None),
        (compact(16, 2), 2, None),
        (rrdb(2, 2, 7), None, 2),
        (rrdb(2, 0, 12), None, 2),
        (rrdb(2, 9), None, 2),
        ({"conv_first.weight": (2, 3, 3, 3), "upsample.0.weight": (8, 2, 3, 3)}, None, None),
        ({"conv_first.weight": (3,), "body.0.rdb1.conv1.weight": ()}, None, 1),
        ({"body.0.weight": (0, 0, 0, 0), "body.1.weight": (2,)}, None, None),
    ],
)
def test_upscalers_tell_scale_and_blocks(tmp_path, tensors, scale, blocks):
    report = inspected(tmp_path, {name: np.zeros(shape, np.float16) for name, shape in tensors.items()})
    assert (report["kind"], report["scale"], report["blocks"]) == ("upscaler", scale, blocks)
    assert (report["family"], report["components"], report["problems"]) == (None, [], [])


def test_an_upscaler_in_its_wrapping(tmp_path):
    state = {name: torch.zeros(shape) for name, shape in rrdb(2, 2).items()}
    torch.save({"params_ema": state}, tmp_path / "RealESRGAN.pth")
    report = inspect(tmp_path / "RealESRGAN.pth")
    assert (report["kind"], report["format"], report["scale"], report["problems"]) == ("upscaler", "ckpt", 4, [])


LONG = "9" * 5000


@pytest.mark.parametrize(
    "names",
    [
        [f"model.diffusion_model.input_blocks.1.1.transformer_blocks.{LONG}.attn1.to_q.weight"],
        [f"down_blocks.{LONG}.resnets.{LONG}.conv1.weight"],
        [f"input_blocks.{LONG}.{LONG}.x.weight"],
        [f"encoder.down_blocks.0.resnets.{LONG}.conv1.weight"],
        [f"lora_unet_x_transformer_blocks_{LONG}_attn1.lora_down.weight"],
        [f"lora_te_text_model_encoder_layers_{LONG}_mlp_fc1.lora_down.weight"],
        [f"model.{LONG}.weight", "model.1.sub.0.RDB1.conv1.0.weight"],
    ],
)
def test_numbers_without_end_are_names_like_others(names, tmp_path):
    path = files.save(tmp_path / "a.safetensors", {name: np.ones((2, 2), np.float32) for name in names})
    assert inspect(path)["parameters"] == 4 * len(names)


def test_an_endless_configuration_beside_a_model_is_read_at_once(tmp_path):
    tensors = narrow({name: shape for name, shape in shapes("sd2-v.ldm").items() if name.startswith("model.")})
    path = files.save(tmp_path / "a.safetensors", {name: np.ones(shape) for name, shape in tensors.items()})
    path.with_suffix(".yaml").write_text("\n" * 900_000 + "  parameterization: v\n")
    assert inspect(path)["prediction"] == "v"


def test_a_folder_without_a_name_is_inspected(tmp_path, monkeypatch):
    tensors = narrow({name: shape for name, shape in shapes("sd15.ldm").items() if name.startswith("model.")})
    arrays = {name: np.ones(shape) for name, shape in tensors.items()}
    files.save(tmp_path / "diffusion_pytorch_model.safetensors", arrays)
    monkeypatch.chdir(tmp_path)
    assert inspect(".")["kind"] == "unet"
