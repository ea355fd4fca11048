"""Loading: every size from shapes, no copy, and one clear error for a file that lacks something."""

from functools import partial

import numpy as np
import pytest
import torch

from pochade import files, layouts
from pochade.errors import MalformedFileError
from pochade.families import SD1, SD2, SDXL, SDXL_REFINER
from pochade.files import LazyArray, TensorInfo, Weights
from pochade.layouts.packing import unpacked
from pochade.networks import (
    VAE,
    CLIPText,
    OpenCLIPText,
    UNet,
    clip_shapes,
    fresh,
    networks_of,
    openclip_shapes,
    tensor_of,
    unet_shapes,
    vae_shapes,
)
from pochade.networks.loading import array_of, load
from pochade.networks.unet import Attention
from tests.families.manifests import shapes

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
    assert networks_of(weights, SD1, CPU, torch.float32).text_encoders[0].depth == 2


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
        table = networks.text_encoders[0].text_model.embeddings.token_embedding.weight
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
    with pytest.raises(MalformedFileError, match=r"holds no VAE: nothing is below 'first_stage_model\..*--vae FILE"):
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


def test_a_unet_that_is_there_as_moving_average_only_is_taken(arrays):
    averages = {
        SD1.ema_name(name) if name.startswith(SD1.unet_prefix) else name: array for name, array in arrays.items()
    }
    counters = {"model_ema.decay": np.array(0.5, np.float32), "model_ema.num_updates": np.array(3)}
    unet = networks_of(Weights.from_arrays(averages | counters), SD1, CPU, torch.float16).unet
    for name, tensor in unet.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), arrays[SD1.unet_prefix + name])


def test_of_live_weights_and_moving_averages_the_live_ones_count(arrays):
    averages = {
        SD1.ema_name(name): np.zeros_like(array) for name, array in arrays.items() if name.startswith(SD1.unet_prefix)
    }
    unet = networks_of(Weights.from_arrays(arrays | averages), SD1, CPU, torch.float16).unet
    assert unet.get_parameter("out.0.weight").any()


@pytest.fixture(scope="module")
def sdxl_arrays(arrays):
    """Names as SDXL's, as far as loading goes: two text encoders and the UNet of another family."""
    first, second = SDXL.encoders
    texts = {
        first.prefix: fresh(CLIPText, clip_shapes(64, 3, vocabulary=100), 1),
        second.prefix: fresh(OpenCLIPText, openclip_shapes(128, 3, vocabulary=100), 1),
    }
    rest = {name: array for name, array in arrays.items() if not name.startswith("cond_stage_model.")}
    return rest | {
        prefix + name: array_of(tensor.half())
        for prefix, network in texts.items()
        for name, tensor in network.state_dict().items()
    }


def test_text_encoders_come_in_the_family_s_order(sdxl_arrays):
    first, second = networks_of(Weights.from_arrays(sdxl_arrays), SDXL, CPU, torch.float32).text_encoders
    assert isinstance(first, CLIPText)
    assert isinstance(second, OpenCLIPText)
    assert second.transformer.resblocks[0].attn.heads == 2


def test_an_open_clip_in_diffusers_names_is_the_same(sdxl_arrays):
    prefix = SDXL.encoders[1].prefix
    own = Weights.from_arrays({n.removeprefix(prefix): a for n, a in sdxl_arrays.items() if n.startswith(prefix)})
    others = unpacked(own, layouts.openclip.to_diffusers(own))
    renamed = {name: array for name, array in sdxl_arrays.items() if not name.startswith(prefix)}
    renamed |= {prefix + name: others[name] for name in others}
    (_, text) = networks_of(Weights.from_arrays(renamed), SDXL, CPU, torch.float16).text_encoders
    for name, tensor in text.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), own[name])


def test_a_text_encoder_that_cannot_sum_up_is_refused_where_the_unet_wants_it(sdxl_arrays):
    bare = {name: array for name, array in sdxl_arrays.items() if not name.endswith("text_projection")}
    with pytest.raises(MalformedFileError, match=r"lacks 'conditioner\.embedders\.1\.model\.text_projection'"):
        networks_of(Weights.from_arrays(bare), SDXL, CPU, torch.float32)


def hollow(tensors):
    """Weights of true shape whose numbers take no room: one zero, seen everywhere."""
    zero = np.zeros((), np.float16)
    arrays = {
        name: (TensorInfo("F16", shape), partial(np.broadcast_to, zero, shape)) for name, shape in tensors.items()
    }
    return Weights({name: LazyArray(info, load) for name, (info, load) in arrays.items()})


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize(
    ("name", "family", "layers", "heads"),
    [
        ("sd15", SD1, [12], {8}),
        ("nai", SD1, [12], {8}),
        ("sd15-inpainting", SD1, [12], {8}),
        ("ip2p", SD1, [12], {8}),
        ("sd2-base", SD2, [23], {5, 10, 20}),
        ("sd2-v", SD2, [23], {5, 10, 20}),
        ("sd2-inpainting", SD2, [23], {5, 10, 20}),
        ("sd2-depth", SD2, [23], {5, 10, 20}),
        ("x4-upscaler", SD2, [23], {8}),
        ("unclip-h", SD2, [23], {5, 10, 20}),
        ("unclip-l", SD2, [23], {5, 10, 20}),
        ("sdxl-base", SDXL, [12, 32], {10, 20}),
        ("sdxl-inpainting", SDXL, [12, 32], {10, 20}),
        ("sdxl-refiner", SDXL_REFINER, [32], {12, 24}),
    ],
)
def test_every_release_loads_in_true_shape(name, family, layers, heads):
    """Every tensor finds its place; layers and attention heads are those of the release."""
    tensors = shapes(f"{name}.ldm")
    networks = networks_of(hollow(tensors), family, torch.device("meta"), torch.float16)
    assert [text.depth for text in networks.text_encoders] == layers
    found = [each.heads for each in networks.unet.input_blocks.modules() if isinstance(each, Attention)]
    assert set(found) == heads
    unet = {f"{family.unet_prefix}{each}" for each in networks.unet.state_dict()}
    assert unet == {each for each in tensors if each.startswith(family.unet_prefix)}
