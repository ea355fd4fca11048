"""Hypernetworks' files: what is stated beside the tensors, and how their layers are called."""

import numpy as np
import pytest

from pochade.files import Weights
from pochade.kinds.hypernetwork import Manner, layers_of, manner_of


@pytest.mark.parametrize(
    ("told", "manner"),
    [
        ({}, Manner("linear", True)),
        ({"activation_func": None, "activate_output": False}, Manner("linear", False)),
        ({"activation_func": "ReLU", "activate_output": True}, Manner("relu", True)),
        ({"activation_func": "mish", "activate_output": "False"}, Manner("mish", False)),
    ],
)
def test_the_manner_is_stated_beside_the_tensors(told, manner):
    assert manner_of(Weights({}, extra=told)) == manner
    written = {name: str(each) for name, each in told.items() if each is not None}
    assert manner_of(Weights({}, metadata=written)) == manner


def test_old_layers_get_numbers_and_other_tensors_stay_behind():
    names = ("768.0.linear1.weight", "768.0.linear2.bias", "768.1.linear.3.weight", "optimizer.0", "768.2.linear.0")
    found = layers_of(Weights.from_arrays({name: np.full(1, place) for place, name in enumerate(names)}))
    assert {name: int(found[name][0]) for name in found} == {
        "768.0.linear.0.weight": 0,
        "768.0.linear.1.bias": 1,
        "768.1.linear.3.weight": 2,
    }
