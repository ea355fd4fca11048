"""Upscalers equal plain functions on their tensors, in every naming; what is none is refused in one sentence."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pochade import files, kinds
from pochade.errors import MalformedFileError
from pochade.files import Weights
from pochade.layouts import upscaler as layout
from pochade.networks import array_of
from pochade.networks.upscalers import Compact, RRDBNet, compact_shapes, load_upscaler, rrdb_shapes
from pochade.networks.upscalers_foreign import ForeignUpscaler

from ..layouts.test_upscaler import bsrgan

CPU = torch.device("cpu")
TOLERANCE = 1e-5
NAMINGS = {"new": lambda name: name, "bsrgan": bsrgan, "old": lambda name: layout.to_old(ALL_NAMES)[name]}


def random_state(shapes):
    generator = torch.Generator().manual_seed(7)
    return {
        name: torch.randn(shape, generator=generator) * (0.7 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1)
        for name, shape in shapes.items()
    }


def loaded(state, dtype=torch.float32):
    return load_upscaler(Weights.from_arrays({name: array_of(each) for name, each in state.items()}), CPU, dtype)


def picture(height=7, width=10):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(3))


def rrdb_reference(state, x):
    """The network as its paper draws it, on tensors by their new names."""

    def conv(name, x):
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    def dense(name, x):
        seen = [x]
        for number in (1, 2, 3, 4):
            new = F.leaky_relu(conv(f"{name}.conv{number}", torch.cat(seen, 1)), 0.2)
            if f"{name}.conv1x1.weight" in state and number in (2, 4):
                new = new + (conv(f"{name}.conv1x1", x) if number == 2 else seen[2])
            seen.append(new)
        return x + 0.2 * conv(f"{name}.conv5", torch.cat(seen, 1))

    first = features = conv("conv_first", x)
    for block in range(len({name.split(".")[1] for name in state if name.startswith("body.")})):
        inner = features
        for row in (1, 2, 3):
            inner = dense(f"body.{block}.rdb{row}", inner)
        features = features + 0.2 * inner
    features = first + conv("conv_body", features)
    for number in range(1, 5):
        if f"conv_up{number}.weight" in state:
            enlarged = features.repeat_interleave(2, 2).repeat_interleave(2, 3)
            features = F.leaky_relu(conv(f"conv_up{number}", enlarged), 0.2)
    return conv("conv_last", F.leaky_relu(conv("conv_hr", features), 0.2))


def squares_as_channels(x, side):
    batch, channels, height, width = x.shape
    rows = x.reshape(batch, channels, height // side, side, width // side, side)
    return rows.permute(0, 1, 3, 5, 2, 4).reshape(batch, channels * side**2, height // side, width // side)


def same(ours, theirs):
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max()) <= TOLERANCE and float(theirs.std()) > 0.01


ALL_NAMES = list(rrdb_shapes(8, 4, 2, 2))


@pytest.mark.parametrize("naming", NAMINGS)
def test_rrdb_in_every_naming(naming):
    state = random_state(rrdb_shapes(8, 4, 2, 2))
    network = loaded({NAMINGS[naming](name): each for name, each in state.items()})
    assert (type(network), network.scale, network.square, network.channels) == (RRDBNet, 4, 1, 3)
    assert same(network(picture()), rrdb_reference(state, picture()))


@pytest.mark.parametrize("ups", [0, 1, 2, 3])
def test_the_scale_follows_from_the_enlargements(ups):
    state = random_state(rrdb_shapes(6, 3, 1, ups))
    network = loaded({layout.to_old(state)[name]: each for name, each in state.items()})
    assert network.scale == 2**ups
    assert same(network(picture()), rrdb_reference(state, picture()))


@pytest.mark.parametrize(("inputs", "side"), [(12, 2), (48, 4)])
def test_squares_of_pixels_enter_as_channels(inputs, side):
    state = random_state(rrdb_shapes(6, 3, 1, 2, inputs))
    network = loaded(state)
    x = picture(8, 12)
    assert (network.scale, network.square) == (4 // side, side)
    assert same(network(x), rrdb_reference(state, squares_as_channels(x, side)))


@pytest.mark.parametrize("size", [(7, 9), (1, 1), (2, 5), (13, 3)])
@pytest.mark.parametrize("inputs", [12, 48])
def test_sides_that_are_no_multiples_are_continued_and_cut(size, inputs):
    state = random_state(rrdb_shapes(6, 3, 1, 2, inputs))
    network = loaded(state)
    x = picture(*size)
    far = tuple(-(-side // network.square) * network.square for side in size)
    rows, columns = (mirrored(side, end) for side, end in zip(size, far, strict=True))
    if min(size) < network.square:
        rows, columns = (torch.arange(end).clamp(max=side - 1) for side, end in zip(size, far, strict=True))
    expected = rrdb_reference(state, squares_as_channels(x[:, :, rows][:, :, :, columns], network.square))
    assert same(network(x), expected[:, :, : network.scale * size[0], : network.scale * size[1]])


def mirrored(side, end):
    """Indices of a row that comes back at its end."""
    there = torch.arange(end)
    return torch.where(there < side, there, 2 * (side - 1) - there).clamp(min=0)


def test_esrgan_plus_has_short_cuts():
    shapes = rrdb_shapes(6, 3, 2, 1)
    shapes |= {f"body.{block}.rdb{row}.conv1x1.weight": (3, 6, 1, 1) for block in (0, 1) for row in (1, 2, 3)}
    state = random_state(shapes)
    network = loaded({layout.to_old(state)[name]: each for name, each in state.items()})
    assert same(network(picture()), rrdb_reference(state, picture()))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_compact(scale):
    state = random_state(compact_shapes(8, 3, scale))
    network = loaded(state)
    x = features = picture()
    for index in range(9):
        weight = state[f"body.{index}.weight"]
        if weight.ndim > 1:
            features = F.conv2d(features, weight, state[f"body.{index}.bias"], padding=1)
        else:
            features = torch.where(features > 0, features, features * weight[:, None, None])
    batch, _, height, width = x.shape
    squares = features.reshape(batch, 3, scale, scale, height, width).permute(0, 1, 4, 2, 5, 3)
    expected = squares.reshape(batch, 3, height * scale, width * scale)
    expected = expected + x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert (type(network), network.scale, network.channels) == (Compact, scale, 3)
    assert same(network(x), expected)


@pytest.mark.parametrize("wrapped", [None, "params_ema", "params", "state_dict"])
def test_files_in_every_wrapping(tmp_path, wrapped):
    state = random_state(rrdb_shapes(6, 3, 1, 2))
    torch.save({wrapped: state} if wrapped else state, tmp_path / "x4.pth")
    network = load_upscaler(kinds.open_model(tmp_path / "x4.pth"), CPU, torch.float32)
    assert same(network(picture()), rrdb_reference(state, picture()))


def test_the_numbers_of_a_safetensors_file_are_not_copied(tmp_path):
    state = random_state(compact_shapes(8, 1, 2))
    path = files.save(tmp_path / "x.safetensors", {name: array_of(each) for name, each in state.items()})
    weights = files.open(path)
    network = load_upscaler(weights, CPU, torch.float32)
    assert network.get_parameter("body.0.weight").data_ptr() == weights["body.0.weight"].ctypes.data


def test_half_precision_stays_near():
    state = random_state(rrdb_shapes(8, 4, 1, 1))
    half, full = loaded(state, torch.bfloat16), loaded(state)
    assert float((half(picture().bfloat16()).float() - full(picture())).abs().max()) < 0.03


def test_a_missing_tensor_is_named():
    state = random_state(rrdb_shapes(6, 3, 2, 2))
    del state["body.1.rdb2.conv3.bias"]
    with pytest.raises(MalformedFileError, match=r"body\.1\.rdb2\.conv3\.bias"):
        loaded(state)
    del state["conv_hr.weight"]
    with pytest.raises(MalformedFileError, match="no complete RRDBNet"):
        loaded(state)


def test_pictures_of_one_channel_are_refused():
    state = random_state(rrdb_shapes(6, 3, 1, 1, 1)) | {"conv_last.weight": torch.zeros(1, 6, 3, 3)}
    state["conv_last.bias"] = torch.zeros(1)
    with pytest.raises(MalformedFileError, match="pictures of 1 channels; only those with 3"):
        loaded(state)


SWINIR = {"conv_first.weight": torch.zeros(4, 3, 3, 3), "layers.0.norm.weight": torch.zeros(4)}


def test_without_spandrel_others_end_in_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(MalformedFileError, match=r"ESRGAN's kind; for others .* install 'pochade\[upscalers\]'"):
        loaded(SWINIR)
    lora = {"lora_unet_x.lora_up.weight": torch.zeros(4, 3), "lora_unet_x.lora_down.weight": torch.zeros(3, 4)}
    with pytest.raises(MalformedFileError, match=r"this is a lora, no upscaler\.$"):
        loaded(lora)


class Description:
    """What spandrel tells of a network, here one that repeats pixels."""

    supports_half, supports_bfloat16, scale, input_channels = False, True, 2, 3

    def __init__(self):
        self.model = torch.nn.Linear(1, 1)

    def to(self, device, dtype):
        self.model.to(device, dtype)
        return self

    def eval(self):
        return self

    def __call__(self, x):
        return F.interpolate(x, scale_factor=2)


@pytest.fixture
def spandrel(monkeypatch):
    """A pretended package that knows SWINIR alone."""
    package = ModuleType("spandrel")
    package.UnsupportedModelError = type("UnsupportedModelError", (Exception,), {})
    package.ImageModelDescriptor = Description

    def load_from_state_dict(state):
        if state.keys() != SWINIR.keys():
            raise package.UnsupportedModelError
        return Description()

    package.ModelLoader = lambda device: SimpleNamespace(load_from_state_dict=load_from_state_dict)
    monkeypatch.setitem(sys.modules, "spandrel", package)
    return package


def test_spandrel_loads_what_is_not_known_here(spandrel):
    network = loaded(SWINIR)
    assert (type(network), network.scale, network.channels) == (ForeignUpscaler, 2, 3)
    assert torch.equal(network(picture()), F.interpolate(picture(), scale_factor=2))
    assert next(loaded(SWINIR, torch.bfloat16).parameters()).dtype == torch.bfloat16
    assert next(loaded(SWINIR, torch.float16).parameters()).dtype == torch.float32


def test_what_spandrel_does_not_know_or_what_needs_a_mask(spandrel):
    with pytest.raises(MalformedFileError, match="spandrel does not know it either"):
        loaded({"x": torch.zeros(3)})
    spandrel.ImageModelDescriptor = int
    with pytest.raises(MalformedFileError, match="needs more than a picture"):
        loaded(SWINIR)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shapes", "tensors", "parameters"),
    [
        (rrdb_shapes(64, 32, 23, 2), 702, 16_697_987),  # RealESRGAN_x4plus
        (rrdb_shapes(64, 32, 23, 2, 12), 702, 16_703_171),  # RealESRGAN_x2plus
        (rrdb_shapes(64, 32, 6, 2), 192, 4_467_779),  # RealESRGAN_x4plus_anime_6B
    ],
)
def test_networks_of_true_shape(shapes, tensors, parameters):
    state = random_state(shapes)
    assert (len(state), sum(each.numel() for each in state.values())) == (tensors, parameters)
    network = loaded({layout.to_old(state)[name]: each for name, each in state.items()})
    x = picture(16, 24)[:1]
    given = squares_as_channels(x, network.square)
    assert same(network(x), rrdb_reference(state, given))


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "parameters"), [(32, 1_213_296), (16, 621_424)])  # general-x4v3, animevideov3
def test_compact_networks_of_true_shape(depth, parameters):
    state = random_state(compact_shapes(64, depth, 4))
    assert sum(each.numel() for each in state.values()) == parameters
    assert loaded(state)(picture()).shape == (2, 3, 28, 40)
