"""Loading: every size from shapes, no copy, and one clear error for a file that lacks something."""

import numpy as np
import pytest
import torch

from pochade import files
from pochade.errors import MalformedFileError
from pochade.families import SD1
from pochade.networks import VAE, CLIPText, UNet, clip_shapes, fresh, networks_of, tensor_of, unet_shapes, vae_shapes
from pochade.networks.loading import array_of, load

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def arrays():
    parts = {
        SD1.unet_prefix: fresh(UNet, unet_shapes(32, (1, 2), 64, (0, 1), 1), 1),
        SD1.vae_prefix: fresh(VAE, vae_shapes(32, (1, 1), 1), 1),
        SD1.encoders[0].prefix: fresh(CLIPText, clip_shapes(64, 2, vocabulary=100), 1),
    }
    return {
        prefix + name: array_of(tensor.half())
        for prefix, network in parts.items()
        for name, tensor in network.state_dict().items()
    }


def test_networks_hold_the_files_numbers(arrays, tmp_path):
    weights = files.open(files.save(tmp_path / "model.safetensors", arrays))
    networks = networks_of(weights, SD1, CPU, torch.float32)
    for prefix, network in ((SD1.unet_prefix, networks.unet), (SD1.vae_prefix, networks.vae)):
        for name, tensor in network.state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), arrays[prefix + name].astype(np.float32))


def test_weights_of_the_files_own_dtype_are_not_copied(arrays, tmp_path):
    weights = files.open(files.save(tmp_path / "model.safetensors", arrays))
    unet = networks_of(weights, SD1, CPU, torch.float16).unet
    mapped = tensor_of(weights[f"{SD1.unet_prefix}out.2.weight"])
    assert unet.get_parameter("out.2.weight").data_ptr() == mapped.data_ptr()


def test_novelai_names_load(arrays):
    renamed = {name.replace("transformer.text_model.", "transformer."): array for name, array in arrays.items()}
    weights = files.Weights.from_arrays(renamed)
    assert networks_of(weights, SD1, CPU, torch.float32).text_encoder.depth == 2


def test_of_full_and_short_names_the_full_ones_count(arrays):
    """Merges of a NovelAI model may keep its position numbers, or all of its text encoder."""
    prefix = SD1.encoders[0].prefix
    short = {
        name.replace("transformer.text_model.", "transformer."): np.zeros_like(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    for more in (short, {f"{prefix}embeddings.position_ids": np.arange(77)[None]}):
        networks = networks_of(files.Weights.from_arrays(arrays | more), SD1, CPU, torch.float16)
        table = networks.text_encoder.text_model.embeddings.token_embedding.weight
        assert np.array_equal(table.numpy(), arrays[f"{prefix}text_model.embeddings.token_embedding.weight"])


def test_a_checkpoint_without_vae_takes_another(arrays):
    vae = fresh(VAE, vae_shapes(32, (1, 1), 1), 2)
    weights = files.Weights.from_arrays({name: a for name, a in arrays.items() if not name.startswith(SD1.vae_prefix)})
    assert networks_of(weights, SD1, CPU, torch.float32, vae).vae is vae


def test_a_tensor_without_dimensions_is_named(arrays):
    weights = files.Weights.from_arrays(arrays | {f"{SD1.unet_prefix}input_blocks.0.0.weight": np.array(1, np.float16)})
    with pytest.raises(MalformedFileError, match="no complete UNet"):
        networks_of(weights, SD1, CPU, torch.float32)


def test_a_missing_tensor_is_named(arrays):
    name = f"{SD1.unet_prefix}middle_block.0.in_layers.2.bias"
    weights = files.Weights.from_arrays({each: array for each, array in arrays.items() if each != name})
    with pytest.raises(MalformedFileError, match=r"middle_block\.0\.in_layers\.2\.bias"):
        networks_of(weights, SD1, CPU, torch.float32)


def test_a_missing_part_is_named(arrays):
    weights = files.Weights.from_arrays({name: a for name, a in arrays.items() if not name.startswith(SD1.vae_prefix)})
    with pytest.raises(MalformedFileError, match="holds no VAE: nothing is below 'first_stage_model"):
        networks_of(weights, SD1, CPU, torch.float32)


def test_a_tensor_of_foreign_shape_is_named(arrays):
    name = f"{SD1.unet_prefix}out.2.bias"
    weights = files.Weights.from_arrays({**arrays, name: np.zeros(7, np.float16)})
    with pytest.raises(MalformedFileError, match=r"out\.2\.bias"):
        load(lambda shapes: UNet(shapes), weights, SD1.unet_prefix, CPU, torch.float32)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float8_e4m3fn])
def test_arrays_and_tensors_share_bits(dtype):
    tensor = torch.randn(5, 3).to(dtype)
    assert torch.equal(tensor_of(array_of(tensor)).float(), tensor.float())
