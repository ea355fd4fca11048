"""Every algorithm gives what LyCORIS gave, with numpy's arrays and with torch's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pochade.adapters import ALGORITHMS, BIAS, algorithm_of, delta, rows_of

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


@pytest.mark.parametrize("case", CASES, ids=title)
def test_rows_change_by_themselves_where_they_can(case):
    parts = {name: array(each) for name, each in case["state_dict"].items() if name not in BIAS}
    check_rows(array(case["base_weight"]), parts)


def test_rows_of_a_glora_change_by_themselves():
    shapes = {"a1.weight": (10, 2), "a2.weight": (2, 10), "b1.weight": (12, 2), "b2.weight": (2, 10), "alpha": ()}
    rng = np.random.default_rng(1)
    parts = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    assert rows_of(parts) == ("b1.weight",)
    check_rows(rng.standard_normal((12, 10)), parts)


def check_rows(weight, parts):
    rows, whole = rows_of(parts), delta(weight, parts, 0.5)
    for start in range(0, len(weight) if rows else 0, 5):
        some = slice(start, start + 5)
        cut = {name: each[some] if name in rows else each for name, each in parts.items()}
        np.testing.assert_allclose(delta(weight[some], cut, 0.5), whole[some], atol=1e-6)


def test_the_shape_is_told_where_the_weight_does_not_count():
    for case in CASES:
        parts = {name: array(each) for name, each in case["state_dict"].items() if name not in BIAS}
        weight, algorithm = array(case["base_weight"]), algorithm_of(parts)
        is_known = algorithm.shape is not None
        assert is_known == np.array_equal(delta(weight, parts), delta(weight + 1, parts))
        if is_known:
            assert algorithm.shape(parts, weight.shape[2:]) == weight.shape


def test_a_dora_leaves_a_channel_of_zeros():
    up = np.array([[0.0], [1.0]], np.float32)
    parts = {"lora_up.weight": up, "lora_down.weight": np.ones((1, 3), np.float32), "dora_scale": np.ones((2, 1))}
    found = delta(np.zeros((2, 3), np.float32), parts)
    np.testing.assert_allclose(found, [[0, 0, 0], [3**-0.5] * 3])


def test_every_algorithm_is_known_by_its_own_tensors():
    assert len({each.name for each in ALGORITHMS}) == len(ALGORITHMS)
    with pytest.raises(ValueError, match="no algorithm knows the tensors strange"):
        delta(np.ones((2, 2)), {"strange": np.ones(2)})
