"""Merged LoRAs: the new effect is the weighted sum of the old ones, to the bit where nothing must be rounded."""

import json

import ml_dtypes
import numpy as np
import pytest

from pochade import files, kinds
from pochade.errors import MalformedFileError, UsageError
from pochade.events import Warned
from pochade.families import SD1
from pochade.kinds.adapter import modules_of, targets
from pochade.kinds.lora_naming import in_naming
from pochade.operations.bake import Adapter, baking
from pochade.operations.merge_lora import merging_loras

from .lora_parts import DEPENDENT, NARROW, model, parts
from .lora_parts import WIDE as WIDER
from .test_resize import LINEAR, TEXT, WIDE, effect, module, truncated

SHAPE, KERNEL = (12, 10), (12, 10, 3, 3)


@pytest.fixture
def merge(tmp_path):
    """Save LoRAs, merge them and open the result."""

    def run(*loras, factors=(0.7, 0.5), metadata=None, **options):
        paths = [files.save(tmp_path / f"{at}.safetensors", each, metadata) for at, each in enumerate(loras)]
        events = list(merging_loras(paths, factors[: len(paths)], tmp_path / "new.safetensors", **options))
        run.told = [event.message for event in events if isinstance(event, Warned)]
        return files.open(events[-1].path)

    return run


def held(arrays):
    return files.Weights.from_arrays(arrays)


@pytest.mark.parametrize("factors", [(0.7, 0.5), (1.0, -1.0), (2.0, 1e-3)])
def test_the_effect_is_the_weighted_sum(merge, factors):
    one = module(LINEAR, 4, 2) | module(WIDE, 3, 6, kernel=(3, 3)) | module(TEXT, 2, 1, seed=3)
    two = module(LINEAR, 6, 6, seed=2) | module(WIDE, 2, kernel=(3, 3), core=True, seed=4)
    found = merge(one, two, factors=factors)
    for name, shape in ((LINEAR, SHAPE), (WIDE, KERNEL)):
        wanted = factors[0] * effect(held(one), name, shape) + factors[1] * effect(held(two), name, shape)
        np.testing.assert_allclose(effect(found, name, shape), wanted, atol=1e-5)
    np.testing.assert_allclose(effect(found, TEXT, SHAPE), factors[0] * effect(held(one), TEXT, SHAPE), rtol=1e-5)
    assert found.info(f"{LINEAR}.lora_down.weight").shape == (10, 10)
    assert found.info(f"{WIDE}.lora_down.weight").shape == (5, 10, 3, 3)
    assert found.info(f"{WIDE}.lora_up.weight").shape == (12, 5, 1, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_equal_weights_round_nothing(merge, dtype):
    one, two = module(LINEAR, 4, 2, dtype=dtype), module(LINEAR, 4, 2, dtype=dtype, seed=2)
    found = merge(one, two, factors=(0.3, -0.3))
    name = f"{LINEAR}.lora_down.weight"
    np.testing.assert_array_equal(found[name], np.concatenate([one[name], two[name]]))
    name = f"{LINEAR}.lora_up.weight"
    np.testing.assert_array_equal(found[name], np.concatenate([one[name], -two[name]], axis=1))
    assert found[f"{LINEAR}.alpha"] == np.float32(0.3 * 0.5 * 8)


def test_a_rank_brings_the_nearest_sum(merge):
    one = module(LINEAR, 4, 2) | module(WIDE, 4, kernel=(3, 3))
    two = module(LINEAR, 6, 6, seed=2) | module(WIDE, 4, kernel=(3, 3), seed=2)
    found = merge(one, two, rank=3, conv_rank=2)
    for name, shape, rank in ((LINEAR, SHAPE, 3), (WIDE, KERNEL, 2)):
        whole = 0.7 * effect(held(one), name, shape) + 0.5 * effect(held(two), name, shape)
        np.testing.assert_allclose(effect(found, name, shape), truncated(whole, rank)[0], atol=1e-5)
        assert found.info(f"{name}.lora_down.weight").shape[0] == rank
    assert "of the sum is missing on average" in merge.told[0]
    merge(one, two)
    assert not merge.told
    np.testing.assert_allclose(
        effect(merge(one, two, rank=64), LINEAR, SHAPE), effect(merge(one, two), LINEAR, SHAPE), atol=1e-5
    )


def test_namings_come_together(merge):
    inner = "transformer_blocks_1_attn1_to_q"
    original, diffusers = f"lora_unet_input_blocks_4_1_{inner}", f"lora_unet_down_blocks_1_attentions_0_{inner}"
    found = merge(module(original, 2), module(diffusers, 3), factors=(1.0, 1.0))
    assert found.info(f"{original}.lora_down.weight").shape[0] == 5
    assert len(modules_of(found)) == 1
    proj = "lora_unet_mid_block_attentions_0_proj_in"
    one = module(LINEAR, 2, 1) | module(proj, 2, 1, kernel=(1, 1))
    theirs = in_naming(held(one), "peft", SD1)
    found = merge(one, {name: theirs[name] for name in theirs}, factors=(1.0, 1.0))
    np.testing.assert_allclose(effect(found, LINEAR, SHAPE), 2 * effect(held(one), LINEAR, SHAPE), atol=1e-5)


def test_whole_differences_add_up(merge):
    norm = "lora_unet_conv_norm_out"
    one = {f"{norm}.w_norm": np.full(3, 1, np.float16), f"{norm}.b_norm": np.full(3, 2, np.float16)}
    two = {f"{norm}.w_norm": np.full(3, 3, np.float16), f"{LINEAR}.diff": np.ones((4, 4), np.float32)}
    two |= module(TEXT, 2) | {f"{TEXT}.diff_b": np.full(12, 2, np.float32)}
    found = merge(one, two, factors=(0.5, 0.25))
    np.testing.assert_array_equal(found[f"{norm}.w_norm"], np.full(3, 1.25, np.float16))
    np.testing.assert_array_equal(found[f"{norm}.b_norm"], np.full(3, 1, np.float16))
    np.testing.assert_array_equal(found[f"{LINEAR}.diff"], np.full((4, 4), 0.25, np.float32))
    np.testing.assert_array_equal(found[f"{TEXT}.diff_b"], np.full(12, 0.5, np.float32))
    assert "ss_network_dim" not in merge({f"{norm}.w_norm": np.ones(3, np.float32)}, factors=(0.5,)).metadata


def test_a_factor_of_zero_leaves_a_lora_out(merge):
    found = merge(module(LINEAR, 2, 1), module(LINEAR, 3) | module(TEXT, 3), factors=(1.0, 0.0))
    assert set(found.shapes()) == set(module(LINEAR, 2, 1))
    assert len(found[f"{LINEAR}.lora_down.weight"]) == 2
    with pytest.raises(UsageError, match="every factor is 0"):
        merge(module(LINEAR, 2), module(LINEAR, 3), factors=(0.0, 0.0))


def test_number_formats(merge):
    one, two = module(LINEAR, 2, dtype=np.float16), module(LINEAR, 2)
    assert merge(one, one)[f"{LINEAR}.lora_up.weight"].dtype == np.float16
    assert merge(one, two)[f"{LINEAR}.lora_up.weight"].dtype == np.float32
    assert merge(one, two, dtype="bf16")[f"{LINEAR}.lora_up.weight"].dtype == ml_dtypes.bfloat16


def test_the_metadata_is_the_first_one_s_and_true(merge):
    told = {"ss_base_model_version": "sd_v1", "ss_network_dim": "2", "ss_network_alpha": "1", "sshs_model_hash": "old"}
    found = merge(module(LINEAR, 2, 1), module(LINEAR, 2, 1), metadata=told, factors=(1.0, 1.0), dtype="fp16")
    assert (found.metadata["ss_network_dim"], found.metadata["ss_network_alpha"]) == ("4", "2.0")
    assert found.metadata["ss_base_model_version"] == "sd_v1"
    assert "sshs_model_hash" not in found.metadata
    lineage = json.loads(found.metadata["pochade.lineage"])
    assert [parent["name"] for parent in lineage["parents"].values()] == ["0.safetensors", "1.safetensors"]
    assert (lineage["operation"], lineage["options"]) == ("merge", {"factors": [1.0, 1.0], "dtype": "fp16"})


def test_what_does_not_belong_together_is_refused(merge, tmp_path):
    lora = module(LINEAR, 2)
    with pytest.raises(UsageError, match=r"1\.safetensors is no LoRA but a vae; `pochade bake`"):
        merge(lora, {"encoder.conv_in.weight": np.ones((2, 2, 3, 3), np.float32)})
    sdxl = module("lora_unet_input_blocks_4_1_proj_in", 2)
    projection = module("lora_unet_mid_block_attentions_0_proj_in", 2, kernel=(1, 1))
    with pytest.raises(UsageError, match=r"is for Stable Diffusion 1\.x and .* is for Stable Diffusion XL; such LoRAs"):
        merge(lora | projection, sdxl)
    with pytest.raises(MalformedFileError, match="cannot be used"):
        merge(lora, module(LINEAR, 2, columns=4))
    with pytest.raises(UsageError, match="one of the files to read"):
        path = tmp_path / "0.safetensors"
        list(merging_loras([path, tmp_path / "1.safetensors"], (1.0, 1.0), path))


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"hada_w1_a": np.ones((4, 2))}, r"is of loha, whose sums have no small exact form; give --rank N"),
        (
            {"oft_blocks": np.ones((2, 2, 2))},
            "is of oft, whose effect depends on the model's own weights; give .* --base",
        ),
        ({"oft_blocks": np.ones((2, 2, 2, 2))}, "is of boft, whose effect depends"),
        ({"strange": np.ones(2)}, "is of strange, which no algorithm knows"),
    ],
)
def test_what_does_not_add_up_is_refused(merge, extra, said):
    with pytest.raises(UsageError, match=said):
        merge(module(LINEAR, 2), module(LINEAR, 2) | {f"{TEXT}.{name}": array for name, array in extra.items()})


def test_dora_does_not_add_up(merge):
    with pytest.raises(UsageError, match="is of dora"):
        merge(module(LINEAR, 2), module(LINEAR, 2) | {f"{LINEAR}.dora_scale": np.ones((12, 1), np.float32)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"factors": ()}, "merged by a sum"),
        ({"factors": (1.0,)}, "merged by a sum"),
        ({"rank": 0}, "1 at least"),
        ({"rank": 2, "conv_rank": 0}, "1 at least"),
        ({"conv_rank": 2}, "needs --rank"),
    ],
)
def test_wrong_options_are_explained(merge, options, said):
    with pytest.raises(UsageError, match=said):
        merge(module(LINEAR, 2), module(LINEAR, 2), **options)


def baked(tmp_path, source, *written):
    (*_, saved) = baking(source, tmp_path / "baked.safetensors", [Adapter.read(each) for each in written])
    return dict(files.open(saved.path))


@pytest.mark.parametrize(("wide", "algorithm"), [(False, each) for each in NARROW] + [(True, each) for each in WIDER])
def test_baking_the_sum_is_baking_each(merge, tmp_path, wide, algorithm):
    source, before = model(tmp_path)
    own, plain = (WIDE, "locon") if wide else (LINEAR, "lora")
    one = parts(own, plain, wide=wide) | parts(TEXT, "loha", seed=2)
    two = parts(own, algorithm, seed=3, wide=wide) | parts(TEXT, "lora", seed=4)
    found = merge(one, two, factors=(0.7, -0.4), rank=4, base=source if algorithm in DEPENDENT else None)
    assert kinds.lora.algorithm(found.shapes()) == ("locon" if wide else "lora")
    assert "0.0 % at worst" in merge.told[0]
    after = baked(tmp_path, source, str(found.path))
    written = f"{tmp_path}/0.safetensors:0.7", f"{tmp_path}/1.safetensors:-0.4"
    first, second = (baked(tmp_path, source, each) for each in written)
    for name, weight in before.items():
        np.testing.assert_allclose(after[name], first[name] + second[name] - weight, atol=5e-6)
    if algorithm not in DEPENDENT:  # such a one would see the other's change
        together = baked(tmp_path, source, *written)
        assert all(np.abs(after[name] - together[name]).max() < 5e-6 for name in before)


@pytest.mark.parametrize(
    ("algorithm", "needs_base"), [("lora", False), ("loha", False), ("lokr", False), ("dora", True)]
)
def test_what_is_added_to_a_whole_difference_is_one(merge, tmp_path, algorithm, needs_base):
    source, before = model(tmp_path)
    one, two = parts(LINEAR, algorithm), parts(LINEAR, "full", seed=2)
    told = {"ss_network_module": "networks.lora", "ss_network_dim": "2", "ss_network_alpha": "1", "ss_steps": "9"}
    found = merge(one, two, base=source if needs_base else None, metadata=told)
    assert set(found) == {f"{LINEAR}.diff"}
    weight = before[targets(before, SD1)[LINEAR].name]
    wanted = effect(held(one), LINEAR, (4, 4), weight) * 0.7 + two[f"{LINEAR}.diff"] * 0.5
    np.testing.assert_allclose(found[f"{LINEAR}.diff"], wanted, atol=1e-6)
    assert not merge.told
    about = {name: text for name, text in found.metadata.items() if name.startswith("ss_")}
    assert about == {"ss_network_module": "lycoris.kohya", "ss_network_args": '{"algo": "full"}', "ss_steps": "9"}


def test_vectors_stay_whole_whatever_the_rank(merge):
    norm = "lora_unet_mid_block_resnets_0_norm1"
    one = {f"{norm}.w_norm": np.ones(4, np.float32), f"{norm}.b_norm": np.ones(4, np.float32)}
    two = {f"{norm}.diff": np.ones(4, np.float32)} | parts(LINEAR, "full")
    found = merge(one, two, rank=2)
    np.testing.assert_allclose(found[f"{norm}.diff"], np.full(4, 1.2))
    np.testing.assert_allclose(found[f"{norm}.b_norm"], np.full(4, 0.7, np.float32))
    assert found.info(f"{LINEAR}.lora_down.weight").shape == (2, 4)
    nearest, missing = truncated(two[f"{LINEAR}.diff"], 2)
    np.testing.assert_allclose(effect(found, LINEAR, (4, 4)), nearest * 0.5, atol=1e-6)
    assert merge.told == [f"{100 * missing:.1f} % of the sum is missing on average, {100 * missing:.1f} % at worst."]


def test_the_sum_with_a_model_is_told(merge, tmp_path):
    source, _ = model(tmp_path)
    told = {"ss_network_module": "networks.oft", "ss_network_dim": "8", "ss_base_model_version": "sd_v1"}
    found = merge(parts(LINEAR, "oft"), parts(LINEAR, "lora"), rank=3, base=source, metadata=told)
    assert (found.metadata["ss_network_module"], found.metadata["ss_network_dim"]) == ("networks.lora", "3")
    assert found.metadata["ss_network_alpha"] == "3.0"
    lineage = json.loads(found.metadata["pochade.lineage"])
    assert list(lineage["parents"]) == ["model-1", "model-2", "base"]
    assert lineage["parents"]["base"]["name"] == source.name
    assert lineage["options"] == {"factors": [0.7, 0.5], "rank": 3}


def test_a_module_that_the_model_lacks_is_refused(merge, tmp_path):
    source, _ = model(tmp_path)
    with pytest.raises(UsageError, match=r"1\.safetensors: 'lora_unet_x' is of ia3.* and .*model.* has none for it"):
        merge(parts(LINEAR, "lora"), parts("lora_unet_x", "ia3"), rank=2, base=source)
    with pytest.raises(UsageError, match="one of the files to read"):
        list(merging_loras([tmp_path / "0.safetensors"], (1.0,), source, base=source))


def test_whole_differences_of_other_sizes_are_told_by_their_file(merge):
    small = {f"{LINEAR}.diff": np.ones((4, 1), np.float32)}
    with pytest.raises(
        MalformedFileError, match=r"1\.safetensors: .* a weight of \[4, 1\], another LoRA's one of \[4, 4\]"
    ):
        merge(parts(LINEAR, "full"), small)
