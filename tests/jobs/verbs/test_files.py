from pathlib import Path

import numpy as np
import pytest

from pochade import files
from pochade.errors import UnknownNameError, UsageError

NAME = "model.diffusion_model.input_blocks.0.0.weight"
PROJECTION = "model.diffusion_model.input_blocks.1.1.proj_in.weight"
VAE = "first_stage_model.encoder.conv_in.weight"
MODULE = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"


@pytest.fixture(autouse=True)
def models(folder, tmp_path):
    """Three small models and two LoRAs."""
    for number, name in enumerate(("a", "b", "c")):
        arrays = {
            NAME: np.full((4, 4, 3, 3), number),
            PROJECTION: np.full((4, 4, 1, 1), 1 + number),
            VAE: np.ones((4, 3)),
        }
        files.save(tmp_path / f"{name}.safetensors", {key: each.astype(np.float32) for key, each in arrays.items()})
    files.save("lora.safetensors", {"lora_unet_conv_in.diff": np.ones((4, 4, 3, 3), np.float32)})
    values = np.diag([8, 4, 2, 1]).astype(np.float32)
    arrays = {f"{MODULE}.lora_down.weight": np.eye(4, dtype=np.float32), f"{MODULE}.lora_up.weight": values}
    files.save("wide.safetensors", arrays)


def value(path, name=NAME):
    return float(files.open(path)[name].ravel()[0])


def test_convert(done):
    job = done("convert", {"source": "a.safetensors", "target": "x.safetensors", "dtype": "fp16", "only": ["unet"]})
    assert [each["path"] for each in job.results] == [str(Path("x.safetensors").absolute())]
    assert files.open("x.safetensors").info(NAME).dtype == "F16"
    assert VAE not in files.open("x.safetensors")
    assert job.progress.unit == "MB"


@pytest.mark.parametrize(
    "how",
    [
        {"recipe": "0.5*b.safetensors + 0.5*c.safetensors"},
        {"recipe": "0.5*b + 0.5*c", "folders": ["."]},
        {"models": ["b.safetensors", "c.safetensors"], "method": "weighted-sum", "alpha": 0.5},
    ],
)
def test_merge(done, how):
    done("merge", {"target": "x.safetensors", **how})
    assert value("x.safetensors") == 1.5


def test_bake(done):
    lora = {"path": "lora.safetensors", "unet": 0.25}
    done("bake", {"model": "a.safetensors", "target": "x.safetensors", "loras": [lora]})
    assert value("x.safetensors") == 0.25


def test_extract(done):
    done("extract", {"model": "a.safetensors", "target": "vae.safetensors", "part": "vae"})
    assert list(files.open("vae.safetensors")) == ["encoder.conv_in.weight"]
    done("extract", {"model": "a.safetensors", "tuned": "b.safetensors", "target": "x.safetensors", "rank": 1})
    assert any(name.endswith("lora_down.weight") for name in files.open("x.safetensors"))


def test_resize(done):
    done("resize", {"lora": "wide.safetensors", "destination": "x.safetensors", "rank": 2})
    assert files.open("x.safetensors").info(f"{MODULE}.lora_down.weight").shape[0] == 2


@pytest.mark.parametrize(
    ("verb", "record", "told"),
    [
        ("convert", {"source": "a.safetensors"}, "lacks 'target'"),
        ("convert", {"source": "a.safetensors", "target": "x.safetensors", "dtpye": "fp16"}, "did you mean dtype"),
        ("convert", {"source": "a.safetensors", "target": "x.safetensors", "dtype": "fp8"}, "'convert.dtype' is 'fp8'"),
        ("convert", {"source": 7, "target": "x.safetensors"}, "'source' is 7; it must be a path"),
        ("merge", {"target": "x.safetensors"}, "'models' is None"),
        ("merge", {"target": "x.safetensors", "recipe": "a", "alpha": 1}, "not both"),
        (
            "bake",
            {"model": "a.safetensors", "target": "x.safetensors", "loras": [{"weight": 1}]},
            "no field of 'loras'",
        ),
        ("extract", {"model": "a.safetensors", "target": "x.safetensors"}, "name the part of a model, or"),
        ("resize", {"lora": "lora.safetensors", "destination": "x.safetensors"}, "'resize.rank'"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_written(done, verb, record, told):
    with pytest.raises(UsageError, match=told):
        done(verb, record)
    assert not Path("x.safetensors").exists()


def test_every_field_that_is_unknown_is_refused(done):
    with pytest.raises(UnknownNameError):
        done("extract", {"model": "a.safetensors", "target": "x", "part": "vae", "layers": 3})
