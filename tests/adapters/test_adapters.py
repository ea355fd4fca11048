"""Every algorithm gives what LyCORIS gave, and A1111 at other strengths, with numpy's arrays and with torch's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pochade.adapters import ALGORITHMS, BIAS, algorithm_of, delta, rows_of
from pochade.adapters.lora import truncated
from pochade.adapters.oft import rotations

VECTORS = Path(__file__).parents[1] / "vectors"
CASES = json.loads((VECTORS / "training/lycoris_merge.json").read_text())["cases"]
A1111 = json.loads((VECTORS / "webui/lora_changes.json").read_text())
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
    changed = weight + delta(weight, kernel)
    np.testing.assert_allclose(np.asarray(changed), array(case["merged"]["1.0"]["weight"]), atol=2e-5)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", A1111["changes"])
def test_recorded_changes_of_a1111_are_the_same(name, library):
    make, case = LIBRARIES[library], A1111["changes"][name]
    parts = {part: make(array(each)) for part, each in case["parts"].items()}
    weight = make(array(A1111["weights"][case["weight"]]))
    for strength, wanted in case["added"].items():
        found = np.asarray(delta(weight, parts, float(strength)))
        np.testing.assert_allclose(found.ravel(), wanted, atol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=title)
def test_a_strength_is_a_share_of_the_whole_change(case):
    """LyCORIS turns a butterfly half of the way in each stage, and stretches always; A1111 does neither."""
    parts = {name: array(each) for name, each in case["state_dict"].items() if name not in BIAS}
    weight = array(case["base_weight"])
    for strength in (-0.5, 0.0, 0.6):
        np.testing.assert_allclose(delta(weight, parts, strength), delta(weight, parts) * strength, atol=1e-6)


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


def test_the_first_ranks_count_as_before():
    rng = np.random.default_rng(1)
    parts = {"lora_up.weight": rng.standard_normal((5, 4)), "lora_down.weight": rng.standard_normal((4, 3)), "alpha": 2}
    found = delta(np.zeros((5, 3)), truncated(parts, 3))
    np.testing.assert_allclose(found, parts["lora_up.weight"][:, :3] @ parts["lora_down.weight"][:3] / 2)
    np.testing.assert_allclose(delta(np.zeros((5, 3)), truncated(parts, 9)), delta(np.zeros((5, 3)), parts))
    core = parts | {"lora_mid.weight": rng.standard_normal((4, 4, 3, 3))}
    assert truncated(core, 3) is core


def test_an_older_glora_has_its_pairs_the_other_way_round():
    rng = np.random.default_rng(1)
    shapes = {"a1.weight": (10, 2), "a2.weight": (2, 10), "b1.weight": (12, 2), "b2.weight": (2, 10)}
    parts = {name: rng.standard_normal(shape) for name, shape in shapes.items()} | {"alpha": np.array(2.0)}
    older = {"a1": "a2", "a2": "a1", "b1": "b2", "b2": "b1"}
    swapped = {f"{name}.weight": parts[f"{other}.weight"] for name, other in older.items()} | {"alpha": np.array(1.0)}
    weight = rng.standard_normal((12, 10))
    np.testing.assert_allclose(delta(weight, swapped), delta(weight, parts))
    check_rows(weight, swapped)


def test_lengths_without_a_change_are_refused():
    with pytest.raises(ValueError, match="dora_scale has no change beside it"):
        delta(np.ones((2, 3)), {"dora_scale": np.ones((2, 1))})


def test_rotations_may_be_stored_as_they_are():
    rng = np.random.default_rng(1)
    blocks, weight = rng.standard_normal((3, 4, 4)) * 0.1, rng.standard_normal((12, 5))
    turns = rotations(blocks, {}, 12)
    found = delta(weight, {"oft_diag": turns}, 0.7)
    np.testing.assert_allclose(found, delta(weight, {"oft_blocks": blocks}, 0.7))
    np.testing.assert_allclose(turns @ turns.swapaxes(1, 2), np.eye(4) + np.zeros((3, 1, 1)), atol=1e-12)
