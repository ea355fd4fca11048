"""ControlNets equal diffusers' class on the same random weights, alone and on a UNet; every form of file loads."""

from functools import partial

import numpy as np
import pytest
import torch

from pochade import files, layouts
from pochade.errors import MalformedFileError
from pochade.families import SD1, SD2, SDXL
from pochade.files import LazyArray, TensorInfo, Weights
from pochade.networks import UNet, array_of, fresh, unet_shapes
from pochade.networks.controlnet import ControlNet, controlnet_shapes
from pochade.networks.controlnet_loading import load_controlnet
from pochade.networks.layers import sinusoid

from ..families.manifests import manifest, part, shapes
from .test_oracles import TOLERANCE, randomised, worst

CPU = torch.device("cpu")
LEVELS = ("DownBlock2D", "CrossAttnDownBlock2D")
FAMILIES = {
    SD1: {"down_block_types": LEVELS[::-1], "attention_head_dim": 8, "cross_attention_dim": 48},
    SD2: {
        "down_block_types": LEVELS[::-1],
        "attention_head_dim": (1, 2),
        "cross_attention_dim": 64,
        "use_linear_projection": True,
    },
    SDXL: {
        "down_block_types": LEVELS,
        "attention_head_dim": (1, 2),
        "cross_attention_dim": 80,
        "use_linear_projection": True,
        "transformer_layers_per_block": (1, 2),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 16,
        "projection_class_embeddings_input_dim": 24 + 6 * 16,
    },
}
BATCH = 2


def original(theirs, names):
    """Weights of a diffusers network under the original's names."""
    state = theirs.state_dict()
    return {new: state[old] for old, new in names(state).items()}


def built(build, state, family):
    network = build({name: tuple(tensor.shape) for name, tensor in state.items()}, heads=family.heads)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def pair(request):
    """Family, diffusers' UNet and ControlNet of reduced width, and ours with the same numbers."""
    from diffusers import ControlNetModel, UNet2DConditionModel

    config = {"block_out_channels": (64, 128), "layers_per_block": 1} | FAMILIES[request.param]
    up = tuple(each.replace("Down", "Up") for each in reversed(config["down_block_types"]))
    unet = randomised(UNet2DConditionModel(**config, up_block_types=up))
    control = randomised(ControlNetModel(**config))
    ours = (
        built(UNet, original(unet, layouts.unet.to_original), request.param),
        built(ControlNet, original(control, layouts.controlnet.to_original), request.param),
    )
    return request.param, (unet, control), ours


@pytest.fixture(scope="module")
def call(pair):
    """Arguments of one call for diffusers, and for us."""
    family, (unet, _), _ = pair
    generator = torch.Generator().manual_seed(5)
    draw = partial(torch.randn, generator=generator)
    latents, context = draw(BATCH, 4, 8, 12), draw(BATCH, 77, unet.config.cross_attention_dim)
    times = torch.tensor([21.0, 801.0])
    if FAMILIES[family].get("addition_embed_type") is None:
        return (latents, times, context), {}, None
    text, sizes = draw(BATCH, 24), torch.tensor([[512.0, 768.0, 0.0, 8.0, 512.0, 768.0]] * BATCH)
    classes = torch.cat([text, sinusoid(sizes.flatten(), 16).view(BATCH, -1)], dim=1)
    return (latents, times, context), {"added_cond_kwargs": {"text_embeds": text, "time_ids": sizes}}, classes


@torch.no_grad()
def test_residuals_equal_diffusers(pair, call):
    _, (_, theirs), (_, ours) = pair
    (latents, times, context), added, classes = call
    hint = torch.rand(BATCH, 3, 64, 96)
    down, middle = theirs(latents, times, context, hint, return_dict=False, **added)
    found = ours(latents, times, context, hint, classes)
    assert len(found) == len(down) + 1
    assert max(map(worst, found, [*down, middle])) < TOLERANCE


@torch.no_grad()
def test_a_unet_with_these_residuals_equals_diffusers(pair, call):
    _, (unet, control), (ours, our_control) = pair
    (latents, times, context), added, classes = call
    hint = torch.rand(BATCH, 3, 64, 96)
    down, middle = control(latents, times, context, hint, return_dict=False, **added)
    wanted = unet(
        latents, times, context, down_block_additional_residuals=down, mid_block_additional_residual=middle, **added
    ).sample
    found = ours(latents, times, context, classes, our_control(latents, times, context, hint, classes))
    assert worst(found, wanted) < TOLERANCE
    assert worst(ours(latents, times, context, classes), wanted) > 100 * TOLERANCE


@torch.no_grad()
def test_the_hint_may_be_embedded_once(pair, call):
    _, _, (_, ours) = pair
    (latents, times, context), _, classes = call
    hint = torch.rand(1, 3, 64, 96)
    once = ours.residuals(latents, times, context, ours.embed(hint), classes)
    again = ours(latents, times, context, hint.expand(BATCH, -1, -1, -1), classes)
    assert max(map(worst, once, again)) < TOLERANCE


@torch.no_grad()
def test_an_inpainting_models_latents_may_have_more_channels(pair, call):
    _, _, (_, ours) = pair
    (latents, times, context), _, classes = call
    hint, more = torch.rand(1, 3, 64, 96), torch.randn(BATCH, 5, 8, 12)
    wide = ours(torch.cat([latents, more], dim=1), times, context, hint, classes)
    assert max(map(worst, wide, ours(latents, times, context, hint, classes))) == 0


@torch.no_grad()
def test_classes_that_the_network_does_not_know_are_not_looked_at():
    unet = unet_shapes(32, (1, 2), 48, (0,), 1)
    ours = randomised(fresh(ControlNet, controlnet_shapes(unet), 1))
    rest = torch.randn(1, 4, 8, 8), torch.tensor([5.0]), torch.randn(1, 7, 48), torch.rand(1, 3, 64, 64)
    assert max(map(worst, ours(*rest, torch.randn(1, 9)), ours(*rest))) == 0


@pytest.mark.parametrize("name", ["controlnet-sd15.ldm", "controlnet-sd21.ldm"])
def test_true_names_and_shapes_are_those_of_the_original(name):
    wanted = part(shapes(name), "control_model.")
    with torch.device("meta"):
        network = ControlNet(wanted)
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == wanted


@pytest.mark.parametrize("name", ["controlnet-sd15", "controlnet-sd21", "controlnet-sdxl"])
def test_true_names_and_shapes_are_those_of_diffusers(name):
    published = {key: tuple(each[1]) for key, each in manifest(f"{name}.diffusers")["components"]["controlnet"].items()}
    new = layouts.controlnet.to_original(published)
    wanted = {new[key]: shape for key, shape in published.items()}
    with torch.device("meta"):
        network = ControlNet(wanted, heads=None)
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == wanted
    assert new.keys() != wanted.keys()


@pytest.mark.parametrize(("control", "model"), [("controlnet-sd15", "sd15"), ("controlnet-sd21", "sd2-base")])
def test_the_shapes_for_a_unet_are_those_of_the_published_files(control, model):
    unet = part(shapes(f"{model}.ldm"), "model.diffusion_model.")
    assert controlnet_shapes(unet) == part(shapes(f"{control}.ldm"), "control_model.")


# ---- files


@pytest.fixture(scope="module")
def plain():
    """The same triple for one family, without diffusers."""
    unet = unet_shapes(32, (1, 2), 48, (0,), 1)
    networks = randomised(fresh(UNet, unet, 1)), randomised(fresh(ControlNet, controlnet_shapes(unet), 2))
    return SD1, None, networks


def arrays_of(network, prefix=""):
    return {prefix + name: array_of(tensor) for name, tensor in network.state_dict().items()}


def loaded(source, pair, family=None):
    own, _, (unet, _) = pair
    return load_controlnet(source, family or own, unet, CPU, torch.float32)


def assert_same(network, wanted, within=0.0):
    theirs = wanted.state_dict()
    state = network.state_dict()
    assert state.keys() == theirs.keys()
    assert max(worst(tensor, theirs[name]) for name, tensor in state.items()) <= within


@pytest.mark.parametrize("prefix", ["", "control_model."])
def test_an_original_file_loads(pair, prefix, tmp_path):
    control = pair[2][1]
    path = files.save(tmp_path / "control.safetensors", arrays_of(control, prefix))
    assert_same(loaded(path, pair), control)


def test_a_file_with_the_whole_model_inside_loads(pair):
    _, _, (unet, control) = pair
    arrays = arrays_of(control, "control_model.") | arrays_of(unet, "model.diffusion_model.")
    assert_same(loaded(Weights.from_arrays(arrays), pair), control)


def test_a_file_and_a_folder_of_diffusers_load(pair, tmp_path):
    _, (_, theirs), (_, control) = pair
    assert_same(loaded(files.save(tmp_path / "control.safetensors", arrays_of(theirs)), pair), control)
    assert_same(loaded(Weights.from_arrays(arrays_of(theirs)), pair), control)
    theirs.save_pretrained(tmp_path / "folder")
    assert_same(loaded(tmp_path / "folder", pair), control)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_loads(pair, dtype, tmp_path):
    family, _, (unet, control) = pair
    halves = {name: array_of(tensor.to(dtype)) for name, tensor in control.state_dict().items()}
    weights = files.open(files.save(tmp_path / "control.safetensors", halves))
    network = load_controlnet(weights, family, unet, CPU, dtype)
    assert all(each.dtype is dtype for each in network.parameters())
    assert_same(loaded(weights, pair), control, 0.05)


def test_a_difference_is_added_to_the_unet(pair):
    _, _, (unet, control) = pair
    base = unet.state_dict()
    arrays = {
        name: array_of(tensor - base[name] if name in base else tensor) for name, tensor in control.state_dict().items()
    }
    weights = Weights.from_arrays(arrays | {"difference": np.zeros((), np.float32)})
    assert_same(loaded(weights, pair), control, 1e-5)


def low_rank(control, unet, rank=3):
    """A control-LoRA's arrays, and the whole ControlNet that it stands for."""
    generator = torch.Generator().manual_seed(2)
    base, arrays = unet.state_dict(), {"lora_controlnet": np.zeros(0, np.float32)}
    whole = {name: tensor.clone() for name, tensor in control.state_dict().items()}
    for name, tensor in whole.items():
        if name in base and tensor.ndim > 1:
            up = torch.randn(len(tensor), rank, *[1] * (tensor.ndim - 2), generator=generator)
            down = torch.randn(rank, *tensor.shape[1:], generator=generator)
            module = name.removesuffix(".weight")
            arrays |= {f"{module}.up": array_of(up), f"{module}.down": array_of(down)}
            tensor.copy_(base[name] + (up.flatten(1) @ down.flatten(1)).view(tensor.shape))
        elif "norm" in name:
            tensor.copy_(base[name])  # norms are left as the UNet has them
        else:
            arrays[name] = array_of(tensor)
    return arrays, whole


def test_a_control_lora_is_put_on_the_unet(pair):
    _, _, (unet, control) = pair
    arrays, whole = low_rank(control, unet)
    network = loaded(Weights.from_arrays(arrays), pair)
    assert max(worst(tensor, whole[name]) for name, tensor in network.state_dict().items()) < 1e-5


@pytest.mark.parametrize("form", ["difference", "low rank"])
def test_on_an_inpainting_model_only_what_looks_at_the_latents_counts(plain, form):
    family, _, (unet, control) = plain
    state = unet.state_dict()
    first = "input_blocks.0.0.weight"
    state[first] = torch.cat([state[first], torch.randn(32, 5, 3, 3)], dim=1)
    inpainting = built(UNet, state, family)
    arrays = arrays_of(control) | {"difference": np.zeros(1)} if form == "difference" else low_rank(control, unet)[0]
    network = load_controlnet(Weights.from_arrays(arrays), family, inpainting, CPU, torch.float32)
    assert network.input_blocks[0][0].in_channels == 4


def hollow(tensors):
    """Weights of true shape that hold no numbers."""
    info = {name: TensorInfo("F16", shape) for name, shape in tensors.items()}
    return Weights({name: LazyArray(each, partial(np.zeros, each.shape, np.float16)) for name, each in info.items()})


@pytest.mark.parametrize(
    ("control", "family", "model"), [("controlnet-sd15", SD2, "sd2-base"), ("controlnet-sd21", SD1, "sd15")]
)
def test_another_family_is_named(control, family, model):
    with torch.device("meta"):
        unet = UNet(part(shapes(f"{model}.ldm"), "model.diffusion_model."), heads=family.heads)
    with pytest.raises(MalformedFileError, match=r"for Stable Diffusion \d.x, and the model is Stable Diffusion \d.x"):
        load_controlnet(hollow(shapes(f"{control}.ldm")), family, unet, CPU, torch.float16)


@pytest.mark.parametrize("form", [None, "difference", "low rank"])
def test_other_widths_are_told(plain, form):
    control, unet = plain[2][1], fresh(UNet, unet_shapes(64, (1, 2), 48, (0,), 1), 1)
    arrays = low_rank(control, plain[2][0])[0] if form == "low rank" else arrays_of(control)
    weights = Weights.from_arrays(arrays | ({form: np.zeros(1)} if form == "difference" else {}))
    with pytest.raises(MalformedFileError, match=r"its '.*' is \[\d+.*, the model's is"):
        load_controlnet(weights, SD1, unet, CPU, torch.float32)


def test_another_count_of_blocks_is_told(plain):
    family, _, (_, control) = plain
    unet = fresh(UNet, unet_shapes(32, (1, 2, 2), 48, (0,), 1), 1)
    with pytest.raises(MalformedFileError, match=r"it has 4 outlets, the model's UNet wants 6"):
        load_controlnet(Weights.from_arrays(arrays_of(control)), family, unet, CPU, torch.float32)


def test_half_of_a_low_rank_pair_is_named(plain):
    arrays = low_rank(plain[2][1], plain[2][0])[0]
    del arrays["time_embed.0.up"]
    with pytest.raises(MalformedFileError, match=r"time_embed\.0\.down' has no counterpart"):
        loaded(Weights.from_arrays(arrays), plain)


def test_a_tensor_without_dimensions_in_a_low_rank_pair_is_named(plain):
    arrays = low_rank(plain[2][1], plain[2][0])[0] | {"time_embed.0.down": np.array(1.0)}
    with pytest.raises(MalformedFileError, match=r"'time_embed\.0' is"):
        loaded(Weights.from_arrays(arrays), plain)


def test_what_is_no_controlnet_is_refused(plain):
    with pytest.raises(MalformedFileError, match=r"is no ControlNet \(unet\)"):
        loaded(Weights.from_arrays(arrays_of(plain[2][0])), plain)


def test_a_missing_tensor_is_named(plain):
    arrays = arrays_of(plain[2][1])
    del arrays["zero_convs.2.0.bias"]
    with pytest.raises(MalformedFileError, match=r"zero_convs\.2\.0\.bias"):
        loaded(Weights.from_arrays(arrays), plain)


def test_a_controlnet_of_another_make_is_refused(plain):
    arrays = arrays_of(plain[2][1]) | {"task_embedding": np.zeros((6, 64), np.float32)}
    with pytest.raises(MalformedFileError, match="'task_embedding', for which a ControlNet has no place"):
        loaded(Weights.from_arrays(arrays), plain)
