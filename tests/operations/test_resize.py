"""Another rank: exact where it suffices, numpy's own truncation where it does not, and nothing but ranks changed."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import pochade
from pochade import files
from pochade.adapters import BIAS, delta
from pochade.errors import MalformedFileError, UnknownNameError, UsageError
from pochade.events import Saved, Step, Warned
from pochade.kinds.adapter import modules_of
from pochade.operations.bake import Adapter, baking
from pochade.operations.resize import Size, resizing

from .lora_parts import DEPENDENT, NARROW, model, parts

LINEAR = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
WIDE = "lora_unet_mid_block_resnets_0_conv1"
PLAIN = ("lora_down.weight", "lora_up.weight", "alpha")
TEXT = "lora_te_text_model_encoder_layers_3_mlp_fc1"
CASES = json.loads((Path(__file__).parents[1] / "vectors/training/lycoris_merge.json").read_text())["cases"]


def module(name, rank, alpha=None, rows=12, columns=10, kernel=(), core=False, dtype=np.float32, seed=1):
    """A module's tensors with singular values that fall."""
    rng = np.random.default_rng(seed)
    ones = (1,) * len(kernel)
    fall = (0.7 ** np.arange(rank)).reshape(1, rank, *ones)
    parts = {
        "lora_up.weight": rng.standard_normal((rows, rank, *ones)) * fall,
        "lora_down.weight": rng.standard_normal((rank, columns, *(ones if core else kernel))),
    }
    if core:
        parts["lora_mid.weight"] = rng.standard_normal((rank, rank, *kernel))
    arrays = {f"{name}.{each}": array.astype(dtype) for each, array in parts.items()}
    return arrays | ({f"{name}.alpha": np.array(alpha, np.float32)} if alpha else {})


def effect(weights, name, shape, weight=None):
    parts = {each: array.load().astype(np.float32) for each, array in modules_of(weights)[name].items()}
    kernel = {each: array for each, array in parts.items() if each not in BIAS}
    return delta(np.zeros(shape, np.float32) if weight is None else weight, kernel)


def resized(tmp_path, arrays, metadata=None, base=None, **size):
    source = files.save(tmp_path / "lora.safetensors", arrays, metadata)
    events = list(resizing(source, tmp_path / "new.safetensors", Size(**size), base))
    return files.open(source), files.open(events[-1].path), events


def truncated(matrix, rank):
    left, values, right = np.linalg.svd(matrix.reshape(matrix.shape[0], -1).astype(np.float64), full_matrices=False)
    nearest = (left[:, :rank] * values[:rank]) @ right[:rank]
    return nearest.reshape(matrix.shape), np.linalg.norm(values[rank:]) / np.linalg.norm(values)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (12, 10)),
        ({"kernel": (3, 3)}, (12, 10, 3, 3)),
        ({"kernel": (1, 1)}, (12, 10, 1, 1)),
        ({"kernel": (3, 3), "core": True}, (12, 10, 3, 3)),
        ({"rows": 3}, (3, 10)),
    ],
)
@pytest.mark.parametrize(("rank", "alpha"), [(6, 3), (6, None), (5, 5)])
def test_full_rank_is_exact_and_less_is_the_nearest(tmp_path, options, shape, rank, alpha):
    arrays = module(WIDE, rank, alpha, **options)
    before, after, _ = resized(tmp_path, arrays, rank=64)
    whole = effect(before, WIDE, shape)
    np.testing.assert_allclose(effect(after, WIDE, shape), whole, atol=1e-5)
    before, after, events = resized(tmp_path, arrays, rank=2)
    nearest, missing = truncated(whole, 2)
    np.testing.assert_allclose(effect(after, WIDE, shape), nearest, atol=1e-5)
    (told,) = [event.message for event in events if isinstance(event, Warned)]
    assert told.startswith(f"1 modules of rank 2; {100 * missing:.1f} % of the effect is missing on average")
    assert after.info(f"{WIDE}.lora_down.weight").shape == (2, *shape[1:])
    assert after.info(f"{WIDE}.lora_up.weight").shape == (shape[0], 2, *[1] * (len(shape) - 2))


def test_alpha_over_rank_stays(tmp_path):
    _, after, _ = resized(tmp_path, module(LINEAR, 8, 4) | module(TEXT, 8), rank=2)
    assert (after[f"{LINEAR}.alpha"], after[f"{TEXT}.alpha"]) == (1, 2)


def counted(values, method, target):
    """As the definitions say."""
    if method == "sv_ratio":
        return sum(value > values[0] / target for value in values)
    power = 2 if method == "sv_fro" else 1
    goal = target**power * sum(value**power for value in values)
    return next(count for count in range(1, len(values) + 1) if sum(values[:count] ** power) >= goal)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("sv_ratio", 2),
        ("sv_ratio", 5),
        ("sv_cumulative", 0.5),
        ("sv_cumulative", 0.9),
        ("sv_fro", 0.8),
        ("sv_fro", 0.99),
    ],
)
def test_each_module_gets_the_rank_that_it_needs(tmp_path, method, target):
    arrays = module(LINEAR, 8, 8) | module(TEXT, 4, 2, seed=2)
    before, after, _ = resized(tmp_path, arrays, rank=64, dynamic=method, target=target)
    _, limited, _ = resized(tmp_path, arrays, rank=2, dynamic=method, target=target)
    for name in (LINEAR, TEXT):
        values = np.linalg.svd(effect(before, name, (12, 10)), compute_uv=False)
        count = counted(values, method, target)
        assert after.info(f"{name}.lora_down.weight").shape[0] == count
        assert limited.info(f"{name}.lora_down.weight").shape[0] == min(2, count)
        np.testing.assert_allclose(
            effect(after, name, (12, 10)), truncated(effect(before, name, (12, 10)), count)[0], atol=1e-5
        )


def test_targets_at_their_ends(tmp_path):
    arrays = module(LINEAR, 4)
    for method in ("sv_cumulative", "sv_fro"):
        _, after, _ = resized(tmp_path, arrays, rank=64, dynamic=method, target=1.0)
        assert after.info(f"{LINEAR}.lora_down.weight").shape[0] == 4
    nothing = {name: array * 0 for name, array in arrays.items()}
    for method, target in (("sv_ratio", 2.0), ("sv_fro", 0.5), ("sv_cumulative", 0.5)):
        _, after, _ = resized(tmp_path, nothing, rank=64, dynamic=method, target=target)
        assert after.info(f"{LINEAR}.lora_down.weight").shape[0] == 1


def test_convolutions_have_a_rank_of_their_own(tmp_path):
    arrays = module(LINEAR, 6) | module(WIDE, 6, kernel=(3, 3))
    _, after, events = resized(tmp_path, arrays, rank=4, conv_rank=2)
    assert [after.info(f"{name}.lora_down.weight").shape[0] for name in (LINEAR, WIDE)] == [4, 2]
    assert any("2 modules of ranks from 2 to 4" in event.message for event in events if isinstance(event, Warned))
    assert [event for event in events if isinstance(event, Step)][:2] == [Step(1, 2, "modules"), Step(2, 2, "modules")]
    _, after, _ = resized(tmp_path, arrays, rank=4)
    assert after.info(f"{WIDE}.lora_down.weight").shape[0] == 4


def array_of(table):
    return np.array(table["data"], np.float32).reshape(table["shape"])


def recorded(*beginnings):
    return [case for case in CASES if case["algo"].startswith(beginnings)]


def title(case):
    return f"{case['algo']}-{case['layer']}"


@pytest.mark.parametrize("case", recorded("lo", "dora", "dylora", "full"), ids=title)
def test_every_algorithm_with_a_rank_keeps_its_effect_as_lora(tmp_path, case):
    weight = array_of(case["base_weight"])
    name = {(3, 3): WIDE, (1, 1): "lora_unet_mid_block_resnets_0_conv_shortcut", (): LINEAR}[weight.shape[2:]]
    arrays = {f"{name}.{each}": array_of(table) for each, table in case["state_dict"].items()}
    before, after, _ = resized(tmp_path, arrays, rank=64)
    wanted = effect(before, name, weight.shape, weight)
    np.testing.assert_allclose(effect(after, name, weight.shape, weight), wanted, atol=2e-5)
    assert after.info(f"{name}.lora_down.weight").shape[1:] == weight.shape[1:]
    if f"{name}.dora_scale" not in arrays:
        _, after, _ = resized(tmp_path, arrays, rank=2, dynamic="sv_cumulative", target=0.999)
        rank = after.info(f"{name}.lora_down.weight").shape[0]
        nearest = truncated(effect(before, name, weight.shape), rank)[0]
        np.testing.assert_allclose(effect(after, name, weight.shape), nearest, atol=2e-5)


GLORA = {"a1.weight": (10, 2), "a2.weight": (2, 10), "b1.weight": (12, 2), "b2.weight": (2, 10)}


@pytest.mark.parametrize(
    "parts",
    [
        *({name: array_of(table) for name, table in case["state_dict"].items()} for case in recorded("ia", "di", "bo")),
        {name: np.ones(shape, np.float32) for name, shape in GLORA.items()},
    ],
)
def test_what_depends_on_the_model_is_refused(tmp_path, parts):
    with pytest.raises(UsageError, match="depends on the model's own weights; give the model with --base"):
        resized(tmp_path, {f"{LINEAR}.{name}": array for name, array in parts.items()}, rank=2)


def baked(base, path):
    (*_, saved) = baking(base, path.with_name("baked.safetensors"), [Adapter(path)])
    return dict(files.open(saved.path))


@pytest.mark.parametrize(("algorithm", "wide"), [*((each, False) for each in NARROW), ("dora", True)])
def test_with_the_model_everything_becomes_lora(tmp_path, algorithm, wide):
    base, weights = model(tmp_path)
    name = WIDE if wide else LINEAR
    arrays = parts(name, algorithm, wide=wide) | parts(TEXT, "lora", seed=2)
    before, after, _ = resized(tmp_path, arrays, base=base, rank=4)
    assert {each.removeprefix(f"{name}.") for each in after if each.startswith(name)} == set(PLAIN)
    assert after.info(f"{name}.lora_down.weight").shape[1:] == ((4, 3, 3) if wide else (4,))
    wanted, found = baked(base, before.path), baked(base, after.path)
    for each in weights:
        np.testing.assert_allclose(found[each], wanted[each], atol=5e-6)


@pytest.mark.parametrize("algorithm", DEPENDENT)
def test_with_the_model_the_missing_part_is_told_truly(tmp_path, algorithm):
    base, weights = model(tmp_path)
    before, after, events = resized(tmp_path, parts(LINEAR, algorithm), base=base, rank=2)
    (changed,) = [each for each in weights if each.endswith("to_q.weight")]
    whole, found = (baked(base, each.path)[changed] - weights[changed] for each in (before, after))
    missing = np.linalg.norm(whole - found) / np.linalg.norm(whole)
    assert missing == pytest.approx(truncated(whole, 2)[1], abs=1e-5)
    (told,) = [event.message for event in events if isinstance(event, Warned)]
    assert f"; {100 * missing:.1f} % of the effect is missing on average" in told


def test_without_the_model_a_dora_stays_one(tmp_path):
    arrays = parts(LINEAR, "loha-dora")
    _, after, _ = resized(tmp_path, arrays, rank=1)
    assert set(after) == {f"{LINEAR}.{each}" for each in (*PLAIN, "dora_scale")}
    np.testing.assert_array_equal(after[f"{LINEAR}.dora_scale"], arrays[f"{LINEAR}.dora_scale"])


def test_what_a_dora_was_is_not_told_of_a_lora(tmp_path):
    base, _ = model(tmp_path)
    arguments = {"ss_network_module": "lycoris.kohya", "ss_network_args": '{"algo": "loha", "dora_wd": "True"}'}
    _, after, _ = resized(tmp_path, parts(LINEAR, "loha-dora"), arguments, base=base, rank=2)
    assert json.loads(after.metadata["ss_network_args"]) == {"algo": "lora"}
    assert after.metadata["ss_network_module"] == "lycoris.kohya"
    lineage = json.loads(after.metadata["pochade.lineage"])
    assert {role: each["name"] for role, each in lineage["parents"].items()} == {
        "lora": "lora.safetensors",
        "base": "model.safetensors",
    }
    _, after, _ = resized(tmp_path, parts(LINEAR, "loha-dora"), arguments, rank=2)
    assert json.loads(after.metadata["ss_network_args"]) == {"algo": "lora", "dora_wd": "True"}


def test_what_has_no_rank_stays(tmp_path):
    extra = {
        f"{LINEAR}.dora_scale": np.ones((12, 1), np.float32),
        f"{LINEAR}.diff_b": np.arange(12, dtype=np.float32),
        "lora_unet_conv_norm_out.w_norm": np.arange(4, dtype=np.float32),
        "lora_unet_mid_block_resnets_0_norm1.diff": np.arange(4, dtype=np.float32),
        "lora_unet_conv_norm_out.b_norm": np.arange(4, dtype=np.float16),
    }
    _, after, _ = resized(tmp_path, module(LINEAR, 4) | extra, rank=2)
    for name, array in extra.items():
        np.testing.assert_array_equal(after[name], array)
        assert after[name].dtype == array.dtype


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_number_formats_stay(tmp_path, dtype):
    _, after, _ = resized(tmp_path, module(LINEAR, 4, 4, dtype=dtype), rank=2)
    assert after[f"{LINEAR}.lora_up.weight"].dtype == dtype
    assert after[f"{LINEAR}.alpha"].dtype == np.float32


def test_the_naming_stays(tmp_path):
    rng = np.random.default_rng(1)
    place = "unet.down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_q"
    arrays = {f"{place}.lora_{side}.weight": rng.standard_normal((8, 8)).astype(np.float32) for side in "AB"}
    settings = {"lora_adapter_metadata": '{"unet.lora_alpha": 2}'}
    before, after, _ = resized(tmp_path, arrays, settings, rank=2)
    assert after.shapes() == {f"{place}.lora_A.weight": (2, 8), f"{place}.lora_B.weight": (8, 2)}
    assert "lora_adapter_metadata" not in after.metadata
    (name,) = modules_of(before)
    np.testing.assert_allclose(
        effect(after, name, (8, 8)), truncated(effect(before, name, (8, 8)), 2)[0], atol=1e-5
    )  # fmt: skip


def test_the_metadata_stays_true(tmp_path):
    told = {
        "ss_tag_frequency": "{}",
        "ss_network_dim": "8",
        "ss_network_alpha": "4.0",
        "ss_network_args": '{"algo": "locon", "conv_dim": "8", "preset": "full"}',
        "sshs_model_hash": "old",
        "modelspec.hash_sha256": "0xold",
    }
    arrays = module(LINEAR, 8, 4) | module(WIDE, 8, 8, kernel=(3, 3))
    _, after, _ = resized(tmp_path, arrays, told, rank=4, conv_rank=2)
    assert (after.metadata["ss_network_dim"], after.metadata["ss_network_alpha"]) == ("4", "2.0")
    arguments = json.loads(after.metadata["ss_network_args"])
    assert arguments == {"algo": "lora", "conv_dim": "2", "conv_alpha": "2.0", "preset": "full"}
    assert after.metadata["ss_tag_frequency"] == "{}"
    assert not {"sshs_model_hash", "modelspec.hash_sha256"} & set(after.metadata)
    lineage = json.loads(after.metadata["pochade.lineage"])
    assert (lineage["operation"], lineage["options"]) == ("resize", {"rank": 4, "conv_rank": 2})
    _, after, _ = resized(
        tmp_path, module(LINEAR, 8) | module(TEXT, 3, seed=2), {"ss_network_args": "None"}, rank=8
    )  # fmt: skip
    assert after.metadata["ss_network_dim"] == "Dynamic"


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({"rank": 0}, "1 at least"),
        ({"rank": 4, "conv_rank": 0}, "1 at least"),
        ({"rank": 4, "dynamic": "sv_fro"}, "belong together"),
        ({"rank": 4, "target": 0.5}, "belong together"),
        ({"rank": 4, "dynamic": "sv_ratio", "target": 0.5}, "it must be 1 or more"),
        ({"rank": 4, "dynamic": "sv_fro", "target": 1.5}, "above 0 and up to 1"),
        ({"rank": 4, "dynamic": "sv_cumulative", "target": float("nan")}, "above 0 and up to 1"),
    ],
)
def test_sizes_that_cannot_be_are_explained(tmp_path, size, said):
    with pytest.raises(UsageError, match=said):
        resized(tmp_path, module(LINEAR, 4), **size)
    assert not (tmp_path / "new.safetensors").exists()


def test_an_unknown_way_gets_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean sv_fro"):
        resized(tmp_path, module(LINEAR, 4), rank=4, dynamic="fro", target=0.5)


def test_files_that_cannot_be_are_explained(tmp_path):
    with pytest.raises(UsageError, match="is no LoRA"):
        resized(tmp_path, {"encoder.conv_in.weight": np.ones((2, 2, 3, 3), np.float32)}, rank=2)
    with pytest.raises(UsageError, match="no module with a rank"):
        resized(tmp_path, {"lora_unet_conv_norm_out.w_norm": np.ones(4, np.float32)}, rank=2)
    source = files.save(tmp_path / "lora.safetensors", module(LINEAR, 4))
    with pytest.raises(UsageError, match="one of the files to read"):
        list(resizing(source, source, Size(rank=2)))


@pytest.mark.parametrize(
    "broken",
    [
        {"lora_up.weight": np.ones((4, 3), np.float32), "lora_down.weight": np.ones((2, 4), np.float32)},
        {"lora_down.weight": np.ones((2, 4), np.float32)},
        {"lora_up.weight": np.ones((4, 2), np.float32), "lora_down.weight": np.full((2, 4), np.nan, np.float32)},
        {"hada_w1_a": np.ones((4, 2), np.float32), "hada_w1_b": np.ones((2, 4), np.float32)},
    ],
)
def test_tensors_that_do_not_fit_are_explained(tmp_path, broken):
    with pytest.raises(MalformedFileError, match=f"the tensors of '{LINEAR}' cannot be used"):
        resized(tmp_path, {f"{LINEAR}.{name}": array for name, array in broken.items()}, rank=2)


def test_it_has_a_public_name(tmp_path):
    source = files.save(tmp_path / "lora.safetensors", module(LINEAR, 4))
    made = pochade.resize(source, tmp_path / "new.safetensors", 3, dynamic="sv_fro", target=1.0)
    assert isinstance(made, Path)
    assert pochade.inspect(made)["rank"] == 3
    assert isinstance(next(reversed(list(resizing(source, made, Size(rank=1))))), Saved)
