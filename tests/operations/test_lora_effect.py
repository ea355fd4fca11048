"""What a module adds to its weight: by its tensors alone, or with the model's weight where that counts."""

import numpy as np
import pytest
import torch

from pochade import adapters, files
from pochade.errors import MalformedFileError, UsageError
from pochade.families import SD1, SDXL
from pochade.kinds.adapter import modules_of
from pochade.operations.lora_effect import Ground
from pochade.operations.lora_tensors import loaded

from ..families.manifests import narrow, shapes
from .lora_parts import DEPENDENT, NARROW, model, parts
from .test_resize import LINEAR, TEXT

QUERY = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight"


def held(arrays):
    return files.Weights.from_arrays(arrays)


def tensors_of(weights, name):
    return loaded(modules_of(weights)[name])


@pytest.mark.parametrize("algorithm", NARROW)
def test_a_model_counts_where_it_must_and_only_there(tmp_path, algorithm):
    path, arrays = model(tmp_path)
    tensors = tensors_of(held(parts(LINEAR, algorithm)), LINEAR)
    found = Ground.of([], path).change(LINEAR, tensors, 0.5)
    torch.testing.assert_close(found, adapters.delta(torch.from_numpy(arrays[QUERY]), tensors, 0.5))
    assert found.shape == (4, 4)
    if algorithm in DEPENDENT:
        with pytest.raises(ValueError, match="need the model's weight"):
            Ground().change(LINEAR, tensors)
    else:
        torch.testing.assert_close(Ground().change(LINEAR, tensors, 0.5), found)


def test_a_packed_third_is_a_weight_of_its_own(tmp_path):
    rng = np.random.default_rng(3)
    sizes = narrow(shapes("sd2-base.ldm"), 4)
    packed = [name for name in sizes if name.endswith("resblocks.5.attn.in_proj_weight")]
    arrays = {name: rng.standard_normal(size).astype(np.float32) for name, size in sizes.items()}
    arrays[packed[0]] = rng.standard_normal((12, 4)).astype(np.float16)
    ground = Ground.of([], files.save(tmp_path / "model.safetensors", arrays))
    scales = {"weight": torch.ones(4), "on_input": torch.zeros(())}
    for third, letter in enumerate("qkv"):
        found = ground.change(f"lora_te_text_model_encoder_layers_5_self_attn_{letter}_proj", scales)
        np.testing.assert_array_equal(found, arrays[packed[0]][4 * third : 4 * third + 4])


def test_the_family_is_the_model_s(tmp_path):
    path, _ = model(tmp_path)
    assert Ground.of([held(parts(LINEAR, "loha"))]).family is None
    assert Ground.of([held(parts(LINEAR, "loha"))], path).family is SD1
    sdxl = held(parts("lora_unet_input_blocks_4_1_proj_in", "ia3"))
    assert Ground.of([sdxl]).family is SDXL
    with pytest.raises(UsageError, match=r"is for Stable Diffusion XL, the model Stable Diffusion 1\.x"):
        Ground.of([sdxl], path)
    other = files.save(tmp_path / "vae.safetensors", {"encoder.conv_in.weight": np.ones((2, 2, 3, 3), np.float32)})
    with pytest.raises(MalformedFileError, match=r"vae\.safetensors: is no checkpoint of a known family"):
        Ground.of([], other)


@pytest.mark.parametrize("algorithm", NARROW)
def test_what_needs_a_model_is_named(tmp_path, algorithm):
    lora = held(parts(LINEAR, algorithm))
    check = (lora, LINEAR, modules_of(lora)[LINEAR])
    Ground.of([], model(tmp_path)[0]).check(*check)
    if algorithm not in DEPENDENT:
        Ground().check(*check)
        return
    name = "dora" if "dora" in algorithm else algorithm
    with pytest.raises(UsageError, match=f"is of {name}, .* give the model with --base"):
        Ground().check(*check)


def test_a_broken_model_is_named(tmp_path):
    path, arrays = model(tmp_path)
    arrays[QUERY][0] = np.nan
    ground = Ground.of([], files.save(path, arrays))
    with pytest.raises(
        MalformedFileError, match=rf"model\.safetensors: the tensors of '{LINEAR}' cannot be used: .* not"
    ):
        ground.change(LINEAR, tensors_of(held(parts(LINEAR, "ia3")), LINEAR))
    ground.change(TEXT, tensors_of(held(parts(TEXT, "ia3")), TEXT))
