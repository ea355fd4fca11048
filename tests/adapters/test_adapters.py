"""Every algorithm gives what LyCORIS gave, with numpy's arrays and with torch's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pochade.adapters import ALGORITHMS, BIAS, delta

CASES = json.loads((Path(__file__).parents[1] / "vectors/training/lycoris_merge.json").read_text())["cases"]
LIBRARIES = {"numpy": np.asarray, "torch": torch.as_tensor}


def array(table):
    return np.array(table["data"], np.float32).reshape(table["shape"])


def title(case):
    return f"{case['algo']}-{case['layer']}"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("case", CASES, ids=title)
def test_recorded_merges_are_the_same(case, library):
    make = LIBRARIES[library]
    parts = {name: make(array(each)) for name, each in case["state_dict"].items()}
    weight = make(array(case["base_weight"]))
    kernel = {name: each for name, each in parts.items() if name not in BIAS}
    for strength, wanted in case["merged"].items():
        changed = weight + delta(weight, kernel, float(strength))
        exact = wanted.get("weight_linear_interp", wanted["weight"])  # DoRA between 0 and 1: as loaders do it
        np.testing.assert_allclose(np.asarray(changed), array(exact), atol=2e-5)


def test_nothing_happens_at_strength_zero():
    for case in CASES:
        parts = {name: array(each) for name, each in case["state_dict"].items() if name not in BIAS}
        weight = array(case["base_weight"])
        if "rescale" not in parts:  # it counts whatever the strength
            assert np.abs(delta(weight, parts, 0.0)).max() < 1e-6


def test_every_algorithm_is_known_by_its_own_tensors():
    assert len({each.name for each in ALGORITHMS}) == len(ALGORITHMS)
    with pytest.raises(ValueError, match="no algorithm knows the tensors strange"):
        delta(np.ones((2, 2)), {"strange": np.ones(2)})
