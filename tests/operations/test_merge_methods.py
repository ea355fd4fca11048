"""Merge methods against the papers' formulas on whole tensors, and against sd-mecha's recorded numbers."""

import json
from itertools import combinations, permutations
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

import pochade
from pochade import files
from pochade.errors import UsageError
from pochade.files.weights import BLOCK
from pochade.operations.merge import Merge, merged
from pochade.operations.methods import METHODS, Stack
from pochade.operations.methods.chance import dice
from pochade.operations.methods.method import regrouped
from pochade.operations.recipes import recipe_in

RECORDED = json.loads((Path(__file__).parents[1] / "vectors/sd_mecha/merge_methods.json").read_text())
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
NAME = "encoder.conv_in.weight"
SPANNING = [(700, 401), (BLOCK + 7,), (2, BLOCK + 3), (40, 11, 25, 30)]
"""More numbers than a block each; in rows that no block is a multiple of, that are one number, or more than a block."""


def tuned(shape, count, seed=0, dtype=np.float32):
    """A base, and models that went different ways from it."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(shape)
    return [each.astype(dtype) for each in (base, *(base + 0.3 * rng.standard_normal(shape) for _ in range(count - 1)))]


def merge_of(arrays, method, **options):
    models = [files.Weights.from_arrays({NAME: each}) for each in arrays]
    return merged(models, Merge(method=method, **options))[NAME]


def thrown(shape, models, seed):
    """Each tuned model's random numbers for a whole tensor, thrown at once."""
    stack = Stack(NAME, [files.LazyArray.of(np.zeros(shape, np.float32))] * models, 1.0, {"seed": seed})
    return [throw(torch.empty(shape)).numpy().astype(np.float64) for throw in dice(stack)]


def agreed_mean(deltas):
    total, count = np.zeros_like(deltas[0]), np.zeros_like(deltas[0])
    side = np.sign(sum(deltas))
    for delta in deltas:
        agrees = (np.sign(delta) == side) & (side != 0)
        total += np.where(agrees, delta, 0)
        count += agrees
    return total / np.maximum(count, 1)


def ties(arrays, alpha, density):
    base, *others = arrays
    kept = []
    for delta in (other - base for other in others):  # in float32, as the bits of its magnitudes are what is compared
        cut = np.sort(np.abs(delta).ravel())[-max(1, round(density * delta.size))]
        kept.append(np.where(np.abs(delta) >= cut, delta, 0).astype(np.float64))
    return base + alpha * agreed_mean(kept)


def dare(arrays, alpha, density, seed):
    base, *others = arrays
    masks = [each < np.float32(density) for each in thrown(base.shape, len(arrays), seed)]
    return base + alpha * sum(mask * (other - base) / density for mask, other in zip(masks, others, strict=True))


def chances(delta, density, epsilon):
    rows = np.abs(delta).reshape(len(delta), -1)
    ranks = np.empty(rows.shape)
    for row, places in zip(rows, ranks, strict=True):
        places[np.argsort(row, kind="stable")] = np.arange(rows.shape[1])
    return (density + epsilon * ((ranks + 0.5) / rows.shape[1] - 0.5)).reshape(delta.shape)


def della(arrays, alpha, density, epsilon, seed):
    base, *others = arrays
    kept = []
    for other, throw in zip(others, thrown(base.shape, len(arrays), seed), strict=True):
        chance = chances(other - base, density, epsilon)
        kept.append((throw < chance.astype(np.float32)) * (other - base).astype(np.float64) / chance)
    return base + alpha * agreed_mean(kept)


def cosine(a, b):
    return (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))


def lerp_by(arrays, alpha, similarity):
    a, b = arrays
    weight = 1 - np.clip(similarity - alpha, 0, 1)
    return a * (1 - weight) + b * weight


def cosine_a(arrays, alpha):
    a, b = (each.astype(np.float64) for each in arrays)
    return lerp_by(arrays, alpha, cosine(a, b))


def cosine_b(arrays, alpha):
    a, b = (each.astype(np.float64) for each in arrays)
    return lerp_by(arrays, alpha, (cosine(a, b) + cosine(a.ravel(), b.ravel())) / 2)


def train_difference(arrays, alpha):
    a, b, c = (each.astype(np.float64) for each in arrays)
    distances = np.abs(b - a) + np.abs(b - c)
    share = np.divide(np.abs(b - a), distances, out=np.zeros_like(a), where=distances != 0)
    return a + 1.8 * alpha * share * (b - c)


def geometric_median(arrays, alpha):
    points = np.stack([each.astype(np.float64) for each in arrays])
    median = points.mean(0)
    for _ in range(200):
        nearness = 1 / np.array([np.linalg.norm(point - median) for point in points])
        median = np.tensordot(nearness / nearness.sum(), points, 1)
    return (1 - alpha) * points[0] + alpha * median


def model_stock(arrays, alpha):
    base, *others = (each.astype(np.float64) for each in arrays)
    deltas = [(other - base).ravel() for other in others]
    angles = [one @ two / np.linalg.norm(one) / np.linalg.norm(two) for one, two in combinations(deltas, 2)]
    count, angle = len(deltas), max(0, np.mean(angles))
    ratio = count * angle / ((count - 1) * angle + 1)
    return base + alpha * ratio * (sum(others) / count - base)


FORMULAS = {
    "ties": (ties, 4, {"alpha": 0.8, "density": 0.3}),
    "dare": (dare, 3, {"alpha": 0.8, "density": 0.4, "seed": 5}),
    "della": (della, 3, {"alpha": 0.8, "density": 0.4, "epsilon": 0.5, "seed": 5}),
    "cosine-a": (cosine_a, 2, {"alpha": 0.3}),
    "cosine-b": (cosine_b, 2, {"alpha": 0.3}),
    "train-difference": (train_difference, 3, {"alpha": 0.7}),
    "geometric-median": (geometric_median, 4, {"alpha": 0.9}),
    "model-stock": (model_stock, 4, {"alpha": 0.9}),
}


@pytest.mark.parametrize("shape", [(7, 5), (9,), *SPANNING], ids=str)
@pytest.mark.parametrize("method", FORMULAS)
def test_methods_are_the_papers_formulas_on_whole_tensors(method, shape):
    formula, count, options = FORMULAS[method]
    arrays = tuned(shape, count)
    wanted = formula(arrays, **options)
    different = np.abs(merge_of(arrays, method, **options) - wanted) > 2e-5
    # a random number, or a rank, may fall the other way where float32 and float64 round it differently
    assert different.mean() <= (1e-4 if method == "della" else 0)


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: f"{case['method']}-{case['tensor']}")
def test_methods_are_those_of_sd_mecha(case):
    tensor = RECORDED["tensors"][case["tensor"]]
    arrays = [np.array(each, np.float32).reshape(tensor["shape"]) for each in tensor["models"][: case["models"]]]
    found = merge_of(arrays, case["method"], alpha=case["alpha"], **case["settings"])
    np.testing.assert_allclose(found.ravel(), case["expected"], atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_halves_are_merged_in_full_precision(dtype):
    arrays = tuned((600, 500), 3, dtype=dtype)
    wanted = ties([each.astype(np.float32) for each in arrays], 1.0, 0.3)
    found = merge_of(arrays, "ties", density=0.3)
    assert found.dtype == dtype
    assert (found != wanted.astype(dtype)).mean() < 1e-3


@pytest.mark.parametrize("density", [1e-9, 0.001, 0.5, 1.0])
def test_ties_keeps_its_share_exactly(density):
    rng = np.random.default_rng(2)
    size = BLOCK + 99
    delta = rng.permutation(np.arange(1, size + 1)).astype(np.float32)
    found = merge_of([np.zeros(size, np.float32), delta], "ties", density=density)
    assert np.count_nonzero(found) == max(1, round(density * size))
    assert np.abs(found[found != 0]).min() == size + 1 - np.count_nonzero(found)


def test_ties_takes_the_weightier_side():
    arrays = [np.zeros(4), [1, 1, 0, 1], [1, -3, 0, -1], [3, 1, 0, 0]]
    found = merge_of([np.array(each, np.float32) for each in arrays], "ties", density=1.0)
    np.testing.assert_allclose(found, [5 / 3, -3, 0, 0])


@pytest.mark.parametrize("method", ["dare", "della"])
def test_thinned_differences_expect_the_same(method):
    base = np.zeros((500, 600), np.float32)
    found = merge_of([base, base + 1], method, density=0.4, seed=1)
    assert found.mean() == pytest.approx(1, abs=0.01)
    assert np.count_nonzero(found) / found.size == pytest.approx(0.4, abs=0.005)


def test_dare_adds_what_models_learnt():
    base, one, two = (np.full((500, 600), each, np.float32) for each in (1, 1.5, 0.75))
    found = merge_of([base, one, two], "dare", density=0.3)
    assert found.mean() == pytest.approx(1 + 0.5 - 0.25, abs=0.01)
    assert len(np.unique(found)) == 4, "models are thinned independently"


def test_della_keeps_large_differences_more_often():
    rng = np.random.default_rng(3)
    delta = rng.permuted(np.tile(np.arange(1, 31), (10_000, 1)), axis=1).astype(np.float32)
    found = merge_of([np.zeros_like(delta), delta], "della", density=0.5, epsilon=0.6)
    for magnitude in (1, 15, 30):
        chance = 0.5 + 0.6 * ((magnitude - 0.5) / 30 - 0.5)
        values = found[delta == magnitude]
        assert np.count_nonzero(values) / len(values) == pytest.approx(chance, abs=0.02)
        np.testing.assert_allclose(values[values != 0], magnitude / chance, rtol=1e-6)


def test_random_numbers_stay_what_they_are():
    stack = Stack("a.weight", [files.LazyArray.of(np.zeros(4, np.float32))] * 3, 1.0, {"seed": 7})
    first, second = (throw(torch.empty(4)).tolist() for throw in dice(stack))
    assert [each * 2**24 for each in first] == [6692998, 10019284, 12577022, 9829862]
    assert [each * 2**24 for each in second] == [15049637, 11708546, 14635604, 6676491]


def test_seed_and_name_of_a_tensor_choose_what_stays():
    arrays = tuned((50, 40), 2)
    models = [files.Weights.from_arrays({NAME: each, "encoder.conv_out.weight": each}) for each in arrays]
    found = merged(models, Merge(method="dare"))
    assert (found[NAME] != found["encoder.conv_out.weight"]).any()
    assert (found[NAME] != merge_of(arrays, "dare", seed=1)).any()
    np.testing.assert_array_equal(found[NAME], merge_of(arrays, "dare", seed=0))


@pytest.mark.parametrize("method", ["ties", "dare", "della", "geometric-median", "model-stock", "train-difference"])
def test_models_equal_to_the_base_leave_it_as_it_is(method):
    base = tuned((30, 20), 1)[0]
    np.testing.assert_array_equal(merge_of([base] * 3, method), base)


@pytest.mark.parametrize("method", ["ties", "model-stock", "geometric-median"])
def test_the_order_of_tuned_models_does_not_matter(method):
    base, *others = tuned((30, 20), 4)
    one, *rest = (merge_of([base, *order], method) for order in permutations(others))
    for other in rest:
        np.testing.assert_allclose(other, one, atol=1e-6)


def test_geometric_median_is_the_same_from_every_model_and_the_least_far():
    arrays = tuned((30, 20), 5)
    found = merge_of(arrays, "geometric-median")
    np.testing.assert_allclose(merge_of(arrays[::-1], "geometric-median"), found, atol=1e-6)
    pulls = [(each - found) / np.linalg.norm(each - found) for each in arrays]
    assert np.linalg.norm(sum(pulls)) < 1e-4


def test_geometric_median_minds_no_stray_model():
    arrays = tuned((30, 20), 5)
    strayed = [*arrays[:-1], arrays[-1] + 1000]
    settled, moved = (merge_of(each, "geometric-median") for each in (arrays, strayed))
    assert np.abs(moved - settled).max() < 0.5
    same = [arrays[0], arrays[1], arrays[1], arrays[1]]
    np.testing.assert_allclose(merge_of(same, "geometric-median"), arrays[1], atol=1e-5)


def test_model_stock_goes_as_far_as_models_agree():
    base, one, two = tuned((30, 20), 3)
    np.testing.assert_allclose(merge_of([base, one, one], "model-stock"), one, atol=1e-6)
    np.testing.assert_array_equal(merge_of([base, one, 2 * base - one], "model-stock"), base)
    square = [np.array(each, np.float32) for each in ([0, 0], [1, 0], [0, 1])]
    np.testing.assert_array_equal(merge_of(square, "model-stock"), [0, 0])
    near = merge_of([base, one, two], "model-stock")
    assert np.linalg.norm(near - base) < np.linalg.norm((one + two) / 2 - base)


def test_cosine_takes_alike_columns_from_a():
    a = np.array([[1, 1], [2, 2]], np.float32)
    b = np.array([[2, -1], [4, -2]], np.float32)
    np.testing.assert_allclose(merge_of([a, b], "cosine-a", alpha=0.0), [[1, -1], [2, -2]])
    np.testing.assert_allclose(merge_of([a, b], "cosine-a", alpha=1.0), b)


def test_an_inpainting_base_keeps_its_own_channels():
    base, *others = tuned((6, 4, 3, 3), 3)
    wide = np.concatenate([base, np.ones((6, 5, 3, 3), np.float32)], axis=1)
    name = "model.diffusion_model.input_blocks.0.0.weight"
    found, plain = (
        merged([files.Weights.from_arrays({name: each}) for each in (first, *others)], Merge(method="della", seed=2))
        for first in (wide, base)
    )
    found, plain = found[name], plain[name]
    np.testing.assert_array_equal(found[:, :4], plain)
    np.testing.assert_array_equal(found[:, 4:], 1)


@pytest.mark.parametrize("method", METHODS)
def test_tensors_of_one_number_or_none_are_merged_too(method):
    count = METHODS[method].least
    assert np.isfinite(merge_of([np.float32(each).reshape(()) for each in range(count)], method))
    assert merge_of([np.empty((3, 0), np.float32)] * count, method).shape == (3, 0)


def test_pieces_are_regrouped_from_buffers_that_are_used_again():
    def pieces():
        buffer = torch.empty(2, 5)
        for start, count in ((0, 5), (5, 5), (10, 2)):
            yield buffer[:, :count].copy_(torch.arange(start, start + count))

    for size in (1, 3, 4, 5, 7, 12, 20):
        found = [each.clone() for each in regrouped(pieces(), size)]
        assert [each.shape[1] for each in found] == [size] * (12 // size) + [12 % size] * (12 % size > 0)
        assert torch.cat(found, 1).tolist() == [list(range(12))] * 2


@pytest.fixture
def three(tmp_path):
    names = zip("abc", tuned((900, 301), 3, dtype=np.float16), strict=True)
    return [files.save(tmp_path / f"{name}.safetensors", {NAME: each}) for name, each in names]


def test_a_random_merge_is_made_again_from_itself_alone(three, tmp_path):
    made = pochade.merge(Merge(method="della", density=0.3, seed=4), tmp_path / "x.safetensors", three)
    paths, merge = recipe_in(made, lambda name: tmp_path / name)
    assert merge == Merge(method="della", alpha=1.0, density=0.3, epsilon=0.14, seed=4), "what it took is told whole"
    again = pochade.merge(merge, tmp_path / "y.safetensors", paths)
    assert made.read_bytes() == again.read_bytes()


def test_recipe_files_hold_settings(three, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('models = ["a", "b", "c"]\nmethod = "ties"\ndensity = 0.3\n')
    found = files.open(pochade.merge(str(recipe), tmp_path / "x.safetensors", folders=[tmp_path]))
    np.testing.assert_array_equal(
        found[NAME], merge_of([files.open(each)[NAME] for each in three], "ties", density=0.3)
    )
    recipe.write_text('models = ["a", "b", "c"]\nmethod = "ties"\ndensity = "much"\n')
    with pytest.raises(UsageError, match=r"r\.toml: 'density' is 'much': .*number"):
        pochade.merge(str(recipe), tmp_path / "y.safetensors", folders=[tmp_path])
    recipe.write_text('expression = "a + b"\nseed = 1\n')
    with pytest.raises(UsageError, match="A sum of models takes no seed"):
        pochade.merge(str(recipe), tmp_path / "y.safetensors", folders=[tmp_path])


@pytest.mark.parametrize(
    ("count", "options", "said"),
    [
        (2, {"method": "weighted-sum", "density": 0.3}, "weighted-sum takes no density; it takes alpha."),
        (2, {"method": "ties", "seed": 3}, "ties takes no seed; it takes alpha, density."),
        (2, {"method": "dare", "density": 0}, "density is 0; it must be above 0 and at most 1."),
        (2, {"method": "dare", "density": float("nan")}, "density is nan; it must be above 0 and at most 1."),
        (2, {"method": "della", "density": 0.95}, "density 0.95 with epsilon 0.14 gives chances from 0.88 to 1.02;"),
        (2, {"method": "della", "epsilon": -0.1}, "they must rise"),
        (2, {"method": "dare", "seed": -1}, "seed is -1; it must be 0 or more."),
        (1, {"method": "ties"}, "merges at least 2 models, not 1."),
        (2, {"method": "model-stock"}, "merges at least 3 models, not 2."),
        (3, {"method": "cosine-a"}, "merges 2 models, not 3."),
        (2, {"factors": (0.5, 0.5), "alpha": 0.5}, "A sum of models takes no alpha; write the weights into the sum."),
    ],
)
def test_wrong_settings_are_explained(count, options, said):
    models = [files.Weights.from_arrays({NAME: each}) for each in tuned((3, 2), count)]
    with pytest.raises(UsageError) as raised:
        merged(models, Merge(**options))
    assert said in str(raised.value)


def test_only_merges_that_leave_the_first_model_alone_are_refused(three, tmp_path):
    with pytest.raises(UsageError, match="only give a"):
        pochade.merge(Merge(method="ties", alpha=0.0), tmp_path / "x.safetensors", three)
    assert pochade.merge(Merge(method="cosine-a", alpha=0.0), tmp_path / "x.safetensors", three[:2]).exists()


def test_the_readme_names_every_method():
    section = README.partition("\n## Merge\n")[2].partition("\n## ")[0]
    assert [name for name in METHODS if f"`{name}`" not in section] == []
