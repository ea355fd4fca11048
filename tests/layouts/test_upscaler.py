"""The three namings of an RRDB upscaler are told apart, and the old one comes back exactly."""

import re

import numpy as np
import pytest

from pochade.files import Weights
from pochade.layouts import upscaler
from pochade.networks.upscalers import rrdb_shapes

OUTER = {
    0: {"conv_first": "model.0", "conv_hr": "model.2", "conv_last": "model.4"},
    1: {"conv_first": "model.0", "conv_up1": "model.3", "conv_hr": "model.5", "conv_last": "model.7"},
    2: {"conv_up1": "model.3", "conv_up2": "model.6", "conv_hr": "model.8", "conv_last": "model.10"},
    3: {"conv_up3": "model.9", "conv_hr": "model.11", "conv_last": "model.13"},
}


def bsrgan(name):
    """The name that BSRGAN's code gives."""
    name = re.sub(r"^body\.(\d+)\.rdb", r"RRDB_trunk.\1.RDB", name)
    outer = {"conv_body": "trunk_conv", "conv_hr": "HRconv"}
    module, end = name.rsplit(".", 1)
    return f"{outer.get(module, module.replace('conv_up', 'upconv'))}.{end}"


@pytest.mark.parametrize("ups", [0, 1, 2, 3])
@pytest.mark.parametrize("blocks", [1, 6, 23])
def test_new_names_become_old_ones_and_come_back(blocks, ups):
    names = list(rrdb_shapes(2, 2, blocks, ups))
    old = upscaler.to_old(names)
    expected = OUTER[ups] | {"conv_body": f"model.1.sub.{blocks}"}
    assert {new: old[f"{new}.weight"] for new in expected} == {new: f"{name}.weight" for new, name in expected.items()}
    assert old["body.0.rdb3.conv5.bias"] == "model.1.sub.0.RDB3.conv5.0.bias"
    assert upscaler.to_new(old.values()) == {before: after for after, before in old.items()}


def test_new_names_stay_and_bsrgans_become_new():
    names = list(rrdb_shapes(2, 2, 23, 2))
    assert upscaler.to_new(names) == {name: name for name in names}
    assert upscaler.to_new(map(bsrgan, names)) == {bsrgan(name): name for name in names}


def test_the_short_cuts_of_esrgan_plus():
    new = [*rrdb_shapes(2, 2, 2, 2), "body.1.rdb2.conv1x1.weight"]
    old = upscaler.to_old(new)
    assert old["body.1.rdb2.conv1x1.weight"] == "model.1.sub.1.RDB2.conv1x1.weight"
    assert upscaler.to_new(old.values()) == {before: after for after, before in old.items()}


def test_foreign_names_are_left_alone():
    names = ["model.99999.weight", f"model.1.sub.{'9' * 5000}.RDB1.conv1.0.weight", "layers.0.weight", ""]
    assert upscaler.to_new(names) == {name: name for name in names}


def test_weights_keep_their_numbers_under_new_names():
    shapes = rrdb_shapes(2, 2, 2, 1)
    arrays = {name: np.full(shape, count, np.float16) for count, (name, shape) in enumerate(shapes.items())}
    old = {name: arrays[new] for new, name in upscaler.to_old(arrays).items()}
    again = upscaler.in_new_names(Weights.from_arrays(old, {"author": "me"}))
    assert again.metadata == {"author": "me"}
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }
