"""Hypernetworks: as recorded from A1111, read from its files, and put on a UNet for a while."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pochade import files
from pochade.errors import MalformedFileError
from pochade.files import Weights
from pochade.networks import UNet, unet_shapes
from pochade.networks.hypernetwork import ACTIVATIONS, Applied, Hypernetwork, attached, load_hypernetwork
from tests.networks.reduced import random_state

CPU = torch.device("cpu")
CASES = json.loads((Path(__file__).parents[1] / "vectors/training/hypernetwork_forward.json").read_text())["cases"]
FITTING = {"0.weight": (8, 4), "0.bias": (8,), "1.weight": (4, 8), "1.bias": (4,)}


def tensor(recorded):
    return torch.tensor(recorded["data"]).view(recorded["shape"])


def told(state, **extra):
    """Tensors with what stands beside them, as the reader gives both."""
    weights = Weights.from_arrays(state)
    return Weights({name: weights.lazy(name) for name in weights}, extra=extra)


def both(state, width):
    """The same tensors for keys and for values."""
    return {f"{width}.{side}.linear.{name}": value for side in (0, 1) for name, value in state.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['activation_func']}-{case['layer_structure']}")
@torch.no_grad()
def test_it_computes_what_was_recorded(case):
    state = {name.removeprefix("linear."): tensor(each).numpy() for name, each in case["state_dict"].items()}
    manner = {name: case[name] for name in ("activation_func", "activate_output")}
    network = load_hypernetwork(told(both(state, case["dim"]), **manner), CPU, torch.float32)
    x = tensor(case["x"])
    for strength, wanted in case["y"].items():
        for found in network(x, x, float(strength)):
            torch.testing.assert_close(found, tensor(wanted), atol=1e-5, rtol=1e-5)


def theirs(width, activation, structure=(1, 2, 1), norm=True, dropout=0.3, last=True):
    """The layers as A1111 builds them, with dropouts that a trained network has at rest."""
    layers = []
    for place, (inputs, outputs) in enumerate(pairwise(structure)):
        layers.append(nn.Linear(int(width * inputs), int(width * outputs)))
        if activation and (place < len(structure) - 2 or last):
            layers.append(ACTIVATIONS[activation]())
        if norm:
            layers.append(nn.LayerNorm(int(width * outputs)))
        if dropout and place < len(structure) - 2:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@torch.no_grad()
def test_every_activation_is_read_from_torch_s_files(activation, tmp_path):
    torch.manual_seed(3)
    sides = [theirs(6, None if activation == "linear" else activation) for _ in "kv"]
    content = {6: tuple({f"linear.{name}": each for name, each in side.state_dict().items()} for side in sides)}
    torch.save(content | {"activation_func": activation, "activate_output": True, "step": 9}, tmp_path / "x.pt")
    network = load_hypernetwork(files.open(tmp_path / "x.pt"), CPU, torch.float32)
    context = torch.randn(2, 3, 6)
    for found, side in zip(network(context, context, 0.5), sides, strict=True):
        torch.testing.assert_close(found, context + 0.5 * side(context))


@torch.no_grad()
def test_old_files_and_safetensors_are_read(tmp_path):
    torch.manual_seed(3)
    side, curved = (theirs(4, each, norm=False, dropout=0, last=False) for each in (None, "tanh"))
    old = {f"linear{int(name[0]) + 1}{name[1:]}": each for name, each in side.state_dict().items()}
    assert "linear1.weight" in old
    torch.save({4: (old, dict(old))}, tmp_path / "old.pt")
    new = both({name: each.numpy() for name, each in curved.state_dict().items()}, 4)
    files.save(tmp_path / "new.safetensors", new, {"activation_func": "tanh", "activate_output": "false"})
    context = torch.randn(1, 2, 4)
    for name, wanted in (("old.pt", side), ("new.safetensors", curved)):
        found, _ = load_hypernetwork(files.open(tmp_path / name), CPU, torch.float32)(context, context)
        torch.testing.assert_close(found, context + wanted(context))


@pytest.mark.parametrize(
    ("change", "manner"),
    [
        ({"4.1.linear.1.weight": None}, {}),
        ({"4.1.linear.1.weight": (3, 8)}, {}),
        ({"4.0.linear.0.weight": (8, 5)}, {}),
        ({"4.0.linear.9999999999.weight": (4, 4)}, {}),
        ({"4.0.linear.1.bias": (3,)}, {}),
        ({}, {"activation_func": "relu"}),
        ({}, {"activation_func": "threshold"}),
    ],
)
def test_a_broken_file_is_refused(change, manner):
    shapes = {name: shape for name, shape in (both(FITTING, 4) | change).items() if shape is not None}
    state = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(MalformedFileError, match=r"form no|do not fit|are missing|is not known"):
        load_hypernetwork(told(state, **manner), CPU, torch.float32)


def test_one_side_alone_is_refused():
    state = {name: np.ones(shape, np.float32) for name, shape in both(FITTING, 4).items() if name.startswith("4.0.")}
    with pytest.raises(MalformedFileError, match="a last layer of width 4 is missing"):
        load_hypernetwork(told(state), CPU, torch.float32)


@pytest.mark.parametrize(("number", "dtype"), [(np.nan, torch.float32), (1e6, torch.float16)])
def test_numbers_that_would_spoil_every_picture_are_refused(number, dtype):
    state = {name: np.full(shape, number, np.float32) for name, shape in both(FITTING, 4).items()}
    with pytest.raises(MalformedFileError, match="NaN, infinity or numbers that are too large"):
        load_hypernetwork(told(state), CPU, dtype)


@pytest.fixture(scope="module")
def unet():
    shapes = unet_shapes(32, (1, 2), 48, (0, 1), blocks=1)
    network = UNet(shapes)
    network.load_state_dict(random_state(shapes))
    return network.eval()


def hypernetwork(*widths, seed=0):
    shapes = {
        f"{width}.{side}.linear.{layer}.{kind}": (width, width) if kind == "weight" else (width,)
        for width in widths
        for side in (0, 1)
        for layer in (0, 1)
        for kind in ("weight", "bias")
    }
    network = Hypernetwork(shapes)
    generator = torch.Generator().manual_seed(seed)
    for each in network.parameters():
        each.data.copy_(torch.randn(each.shape, generator=generator) * 0.3)
    return network.eval()


@torch.no_grad()
def predicted(unet, *applied):
    generator = torch.Generator().manual_seed(5)
    latents, context = (torch.randn(1, *shape, generator=generator) for shape in ((4, 8, 8), (3, 48)))
    with attached(unet, applied):
        return unet(latents, torch.tensor([500.0]), context)


@pytest.mark.parametrize("width", [32, 64, 48])
def test_each_width_changes_what_a_unet_predicts(unet, width):
    plain = predicted(unet)
    assert not torch.allclose(plain, predicted(unet, Applied(hypernetwork(width))), atol=1e-3)
    assert torch.equal(plain, predicted(unet))  # and it is off again


def test_strength_counts_and_foreign_widths_do_nothing(unet):
    network = hypernetwork(48)
    plain, half, whole = (predicted(unet, Applied(network, strength)) for strength in (0.0, 0.5, 1.0))
    assert torch.equal(plain, predicted(unet))
    assert not torch.allclose(half, whole, atol=1e-4)
    assert torch.equal(plain, predicted(unet, Applied(hypernetwork(768))))


def test_several_act_one_after_the_other(unet):
    first, second = Applied(hypernetwork(48, seed=1)), Applied(hypernetwork(48, seed=2))
    orders = [predicted(unet, first, second), predicted(unet, second, first), predicted(unet, first)]
    assert not torch.allclose(orders[0], orders[1], atol=1e-4)
    assert not torch.allclose(orders[0], orders[2], atol=1e-4)


def test_it_is_taken_off_when_the_work_fails(unet):
    with pytest.raises(ZeroDivisionError), attached(unet, [Applied(hypernetwork(48))]):
        raise ZeroDivisionError
    assert not any(getattr(each, "changes", ()) for each in unet.modules())


def test_it_is_no_part_of_the_unet(unet):
    before = set(unet.state_dict())
    with attached(unet, [Applied(hypernetwork(48))]):
        assert set(unet.state_dict()) == before
