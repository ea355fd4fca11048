"""Merging: A1111's results where it has them, exact rounding, weights per block, and nothing that makes no sense."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import pochade
from pochade import files
from pochade.errors import MalformedFileError, UnknownNameError, UsageError
from pochade.events import Warned
from pochade.operations.blocks import block_weights, blocks_of
from pochade.operations.expression import parse
from pochade.operations.merge import Merge, merged, merging
from pochade.operations.recipes import recipe_in

from ..families.manifests import narrow, shapes

CASES = json.loads((Path(__file__).parents[1] / "vectors/webui/checkpoint_merge.json").read_text())["cases"]
METHODS = {"Weighted sum": "weighted-sum", "Add difference": "add-difference"}


def weights_of(table):
    arrays = {name: np.array(each["data"], each["dtype"]).reshape(each["shape"]) for name, each in table.items()}
    return files.Weights.from_arrays(arrays)


@pytest.mark.parametrize("case", [each for each in CASES if each["method"] in METHODS], ids=lambda case: case["id"])
def test_recorded_merges_are_the_same(case):
    models = [weights_of(case["inputs"][case[role]]) for role in "ABC" if case[role]]
    merge = Merge(
        method=METHODS[case["method"]],
        alpha=case["multiplier"],
        dtype="fp16" if case["save_as_half"] else None,
    )
    if "expected_error" in case:
        with pytest.raises(UsageError, match="must be the first one"):
            merged(models, merge)
        return
    found = merged(models, merge)
    assert set(found) == set(case["expected"])
    for name, wanted in weights_of(case["expected"]).items():
        np.testing.assert_allclose(found[name].astype(np.float64), wanted, atol=1e-3 if case["save_as_half"] else 1e-6)


def model(seed, name="sd15.ldm", dtype=np.float32):
    rng = np.random.default_rng(seed)
    return {each: rng.standard_normal(shape).astype(dtype) for each, shape in narrow(shapes(name), 3).items()}


@pytest.fixture
def three(tmp_path):
    return [files.save(tmp_path / f"{name}.safetensors", model(seed)) for seed, name in enumerate("abc")]


def test_any_sum_of_models(three, tmp_path):
    a, b, c = (files.open(path) for path in three)
    found = files.open(pochade.merge("0.5*a + (b - c)/4", tmp_path / "x.safetensors", folders=[tmp_path]))
    name = "model.diffusion_model.out.2.weight"
    np.testing.assert_allclose(found[name], 0.5 * a[name] + (b[name] - c[name]) / 4, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["betas"], a["betas"])


def test_halves_are_summed_in_full_precision_and_rounded_once():
    rng = np.random.default_rng(5)
    parts = [rng.standard_normal(300_001).astype(np.float16) for _ in range(3)]
    models = [files.Weights.from_arrays({"encoder.conv_in.weight": part}) for part in parts]
    found = merged(models, Merge(factors=(1.0, 0.75, -0.75)))["encoder.conv_in.weight"]
    a, b, c = (part.astype(np.float32) for part in parts)
    exact = (a + np.float32(0.75) * b - np.float32(0.75) * c).astype(np.float16)
    assert (found != exact).mean() < 1e-3


def test_weights_per_block_and_part(three):
    a, b = (files.open(path) for path in three[:2])
    found = merged(
        [a, b], Merge(method="weighted-sum", alpha=0.5, block_weights="IN=0.25, OUT03=1", parts={"vae": 0.0})
    )

    def share(name):
        return float(((found[name] - a[name]) / (b[name] - a[name])).mean())

    unet = "model.diffusion_model."
    assert share(f"{unet}input_blocks.5.0.in_layers.0.weight") == pytest.approx(0.25, abs=1e-4)
    assert share(f"{unet}time_embed.0.weight") == pytest.approx(0.25, abs=1e-4)
    assert share(f"{unet}output_blocks.3.0.in_layers.0.weight") == pytest.approx(1, abs=1e-4)
    assert share(f"{unet}output_blocks.4.0.in_layers.0.weight") == pytest.approx(0.5, abs=1e-4)
    assert share("first_stage_model.decoder.conv_out.bias") == pytest.approx(0, abs=1e-4)
    assert share("cond_stage_model.transformer.text_model.final_layer_norm.weight") == pytest.approx(0.5, abs=1e-4)


def test_blocks_have_the_usual_names():
    found = blocks_of(shapes("sd15.ldm"))
    assert found["model.diffusion_model.input_blocks.11.0.in_layers.0.weight"] == "IN11"
    assert found["model_ema.diffusion_modelinput_blocks110in_layers0weight"] == "IN11"
    assert found["model.diffusion_model.middle_block.1.norm.weight"] == "M00"
    assert found["model.diffusion_model.out.0.weight"] == "OUT11"
    assert found["model.diffusion_model.time_embed.0.weight"] == "IN00"
    assert found["first_stage_model.decoder.conv_out.bias"] == "BASE"
    assert len(set(found.values())) == 26
    assert len(set(blocks_of(shapes("sdxl-base.ldm")).values())) == 20


def test_block_weights_are_read_or_explained():
    blocks = {"BASE", "IN00", "M00", "OUT00"}
    assert block_weights("0, 0.1,0.2, 1", blocks) == {"BASE": 0.0, "IN00": 0.1, "M00": 0.2, "OUT00": 1.0}
    with pytest.raises(UsageError, match="2 numbers; these models have 4: BASE IN00 M00 OUT00"):
        block_weights("0, 1", blocks)
    with pytest.raises(UsageError, match="no block named 'XX'"):
        block_weights("XX=1", blocks)
    with pytest.raises(UsageError, match="'x' is no number"):
        block_weights("IN=x", blocks)


def test_slerp_turns_evenly():
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(400_000).astype(np.float32) for _ in range(2))
    models = [files.Weights.from_arrays({"encoder.conv_in.weight": each}) for each in (a, b * 3)]
    found = merged(models, Merge(method="slerp", alpha=0.5))["encoder.conv_in.weight"]
    lengths = np.linalg.norm(a), np.linalg.norm(3 * b)
    assert np.linalg.norm(found) == pytest.approx(sum(lengths) / 2, rel=1e-3)
    half = a / lengths[0] + 3 * b / lengths[1]
    assert found @ half / np.linalg.norm(found) / np.linalg.norm(half) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("0.7*a.safetensors + 0.3*b.safetensors", {"a.safetensors": 0.7, "b.safetensors": 0.3}),
        ("a + 1.0*(b - c)", {"a": 1, "b": 1, "c": -1}),
        ("(a+b)/2", {"a": 0.5, "b": 0.5}),
        ("-0.5 * (a - 3*b)", {"a": -0.5, "b": 1.5}),
        ("folder/my-model-v1.5.ckpt - 'odd (name).ckpt'", {"folder/my-model-v1.5.ckpt": 1, "odd (name).ckpt": -1}),
        ("a + a", {"a": 2}),
        ("2e-1*3d-model", {"3d-model": 0.2}),
        ("0.7*/home/me/a.safetensors + (/b - /c) / 2", {"/home/me/a.safetensors": 0.7, "/b": 0.5, "/c": -0.5}),
    ],
)
def test_expressions(text, factors):
    assert parse(text) == pytest.approx(factors)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it ends"),
        ("a +", "it ends"),
        ("a * b", "by numbers only"),
        ("a / b", "behind /"),
        ("a / 0", "behind /"),
        ("a + 1", "no sum of models"),
        ("0.5", "no sum of models"),
        ("(a", "not closed"),
        ("a b", "where \\+ or - was expected"),
        ("a )", "where \\+ or - was expected"),
        ("a + *", "where a model or number"),
        ('a + "b', "odd signs in quotes"),
        ("(" * 1000 + "a", "too many brackets"),
        ("-" * 3000 + "a", "too many brackets or signs"),
    ],
)
def test_wrong_expressions_are_explained(text, said):
    with pytest.raises(UsageError, match=said):
        parse(text)


def test_a_merge_that_changes_nothing_is_refused(three, tmp_path):
    target = tmp_path / "x.safetensors"
    for merge, models in (
        (Merge(method="weighted-sum", alpha=0.0), three[:2]),
        (Merge(method="weighted-sum", alpha=0.5), [three[0], three[0]]),
        (Merge(factors=(1.0, 0.0)), three[:2]),
    ):
        with pytest.raises(UsageError, match=r"only give a\.safetensors itself"):
            pochade.merge(merge, target, models)
    assert not target.exists()


def test_an_input_is_never_written_over(three):
    before = three[1].read_bytes()
    with pytest.raises(UsageError, match="one of the files to read"):
        pochade.merge(Merge(method="weighted-sum"), three[1], three[:2])
    assert three[1].read_bytes() == before


def test_families_and_kinds_do_not_mix(three, tmp_path):
    xl = files.save(tmp_path / "xl.safetensors", model(1, "sdxl-base.ldm", np.float16))
    with pytest.raises(
        UsageError, match=r"a\.safetensors \(Stable Diffusion 1\.x.*xl\.safetensors \(Stable Diffusion XL"
    ):
        pochade.merge(Merge(method="weighted-sum"), tmp_path / "x.safetensors", [three[0], xl])
    with pytest.raises(UnknownNameError, match="did you mean weighted-sum"):
        pochade.merge(Merge(method="weightedsum"), tmp_path / "x.safetensors", three[:2])
    with pytest.raises(UsageError, match="merges 3 models, not 2"):
        pochade.merge(Merge(method="add-difference"), tmp_path / "x.safetensors", three[:2])


def test_a_merged_file_is_made_again_from_itself_alone(three, tmp_path):
    made = pochade.merge("0.25*a + 0.75*b", tmp_path / "x.safetensors", folders=[tmp_path])
    paths, merge = recipe_in(made, lambda name: tmp_path / name)
    again = pochade.merge(merge, tmp_path / "y.safetensors", paths)
    assert made.read_bytes() == again.read_bytes()
    made = pochade.merge(
        Merge(method="sigmoid", alpha=0.0, block_weights="OUT=1"), tmp_path / "v.safetensors", three[:2]
    )
    assert recipe_in(made, Path)[1] == Merge(method="sigmoid", alpha=0.0, block_weights="OUT=1")
    with pytest.raises(MalformedFileError, match="no merge recipe"):
        recipe_in(three[0], Path)


def test_recipe_files(three, tmp_path):
    (tmp_path / "r.toml").write_text('models = ["a", "b"]\nmethod = "sigmoid"\nalpha = 0.5\n')
    found = files.open(pochade.merge(str(tmp_path / "r.toml"), tmp_path / "x.safetensors", folders=[tmp_path]))
    name = "model.diffusion_model.out.2.weight"
    np.testing.assert_allclose(found[name], (model(0)[name] + model(1)[name]) / 2, atol=1e-6)
    (tmp_path / "r.json").write_text('{"expresion": "a + b"}')
    with pytest.raises(UnknownNameError, match="did you mean expression"):
        pochade.merge(str(tmp_path / "r.json"), tmp_path / "x.safetensors", folders=[tmp_path])


def test_a_merge_is_told_as_web_uis_tell_it(three, tmp_path):
    a, b, _ = three
    once = pochade.merge(f"0.5*'{a}' + 0.5*'{b}'", tmp_path / "once.safetensors")
    twice = pochade.merge(f"0.5*'{once}' + 0.5*'{a}'", tmp_path / "twice.safetensors")
    metadata = files.open(twice).metadata
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (once, a, b)]
    recipe, models = (json.loads(metadata[name]) for name in ("sd_merge_recipe", "sd_merge_models"))
    assert (recipe["primary_model_hash"], recipe["secondary_model_hash"]) == (hashes[0], hashes[1])
    assert set(models) == set(hashes)
    assert models[hashes[0]]["name"] == "once"
    assert models[hashes[0]]["sd_merge_recipe"]["models"] == hashes[1:]
    assert models[hashes[1]]["sd_merge_recipe"] is None
    assert metadata["modelspec.merged_from"] == f"once, {a.stem}"


def test_copies_of_one_file_are_told_too(three, tmp_path):
    a, b, _ = three
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(a.read_bytes())
    made = pochade.merge(Merge(factors=(0.4, 0.3, 0.3)), tmp_path / "m.safetensors", [a, copy, b])
    assert len(json.loads(files.open(made).metadata["sd_merge_models"])) == 2


def test_loras_are_merged_by_sums_alone(three, tmp_path):
    lora = {
        "lora_unet_x.lora_down.weight": np.ones((2, 4), np.float32),
        "lora_unet_x.lora_up.weight": np.ones((4, 2), np.float32),
    }
    paths = [files.save(tmp_path / f"{name}.safetensors", lora) for name in "xy"]
    made = files.open(pochade.merge(Merge(factors=(0.5, 1.0)), tmp_path / "z.safetensors", paths))
    assert made.info("lora_unet_x.lora_down.weight").shape == (4, 4)
    with pytest.raises(UsageError, match="by a sum, without method"):
        pochade.merge(Merge(method="slerp"), tmp_path / "z.safetensors", paths)
    with pytest.raises(UsageError, match="Only LoRAs"):
        pochade.merge(Merge(factors=(0.5, 0.5), rank=4), tmp_path / "z.safetensors", three[:2])


def test_float8_models_are_merged(tmp_path):
    numbers = np.arange(8).astype(ml_dtypes.float8_e4m3fn)
    models = [files.Weights.from_arrays({"encoder.conv_in.weight": each}) for each in (numbers, numbers * 3)]
    found = merged(models, Merge(factors=(0.5, 0.5)))["encoder.conv_in.weight"]
    np.testing.assert_array_equal(found.astype(np.float32), np.arange(8) * 2)


def test_models_with_nothing_in_common_are_refused():
    models = [files.Weights.from_arrays({name: np.ones(2, np.float32)}) for name in ("x", "y")]
    with pytest.raises(UsageError, match="no weights in common"):
        merged(models, Merge(factors=(0.5, 0.5)))


@pytest.mark.parametrize(
    "options", [{"alpha": float("nan")}, {"factors": (1.0, float("inf"))}, {"parts": {"vae": float("nan")}}]
)
def test_weights_that_are_no_numbers_are_refused(options):
    with pytest.raises(UsageError, match="no finite number"):
        Merge(method="slerp", **options)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UnknownNameError, match="fp16"):
        Merge(factors=(1.0,), dtype="float16")


def test_the_name_of_the_result_tells_its_container(three, tmp_path):
    a, b, _ = three
    made = pochade.merge(Merge(factors=(0.5, 0.5)), tmp_path / "m.ckpt", [a, b])
    assert files.open(made).format == "ckpt"
    with pytest.raises(UsageError, match="tells no format"):
        pochade.merge(Merge(factors=(0.5, 0.5)), tmp_path / "m.zip", [a, b])


def test_a_recipe_s_models_are_known_by_their_hash(three, tmp_path):
    a, b, c = three
    made = pochade.merge(Merge(factors=(0.25, 0.75)), tmp_path / "made.safetensors", [a, b])
    library = tmp_path / "library"
    library.mkdir()
    (library / "a.safetensors").write_bytes(c.read_bytes())  # another model of that name
    (library / "moved.safetensors").write_bytes(a.read_bytes())
    (library / "b.safetensors").write_bytes(b.read_bytes())
    paths, _ = recipe_in(made, lambda name: library / name, [library])
    assert [path.name for path in paths] == ["moved.safetensors", "b.safetensors"]
    (library / "moved.safetensors").unlink()
    with pytest.raises(UsageError, match=r"is not the a\.safetensors that was merged"):
        recipe_in(made, lambda name: library / name, [library])


def test_blocks_without_a_number_count_to_the_first():
    start = "model.diffusion_model.input_blocks."
    assert set(blocks_of([f"{start}foo", f"{start}{'9' * 5000}.0.weight"]).values()) == {"IN00"}


def test_what_other_programs_told_of_a_merge_may_be_anything(tmp_path):
    nested = '{"a":' * 700 + "1" + "}" * 700
    told = {"sd_merge_models": "[" * 100_000, "sd_merge_recipe": "x", "pochade.lineage": nested}
    one = files.save(tmp_path / "a.safetensors", model(0), told)
    files.save(tmp_path / "b.safetensors", model(1))
    found = files.open(pochade.merge("0.5*a + 0.5*b", tmp_path / "x.safetensors", folders=[tmp_path]))
    assert [each["name"] for each in json.loads(found.metadata["sd_merge_models"]).values()] == [one.stem, "b"]
    assert "lineage" not in json.loads(found.metadata["pochade.lineage"])["parents"]["model-1"]


def test_models_may_come_in_different_pieces():
    one, other = np.random.default_rng(1).standard_normal((2, 6, 100_003)).astype(np.float16)
    thirds = files.LazyArray.stacked([files.LazyArray.of(part) for part in np.split(other, 3)])
    models = [files.Weights.from_arrays({"a": one}), files.Weights({"a": thirds})]
    found = merged(models, Merge(factors=(0.5, 0.5)))["a"]
    np.testing.assert_array_equal(found, ((one.astype(np.float32) + other) / 2).astype(np.float16))


def told(*inputs):
    """Models whose UNets take so many channels; the numbers of each are its place in the list."""
    start = "model.diffusion_model."
    names = (f"{start}input_blocks.0.0.weight", f"{start}input_blocks.1.1.proj_in.weight")
    return [
        files.Weights.from_arrays(
            {names[0]: np.full((2, channels, 3, 3), number, np.float32), names[1]: np.zeros((2, 2, 1, 1), np.float32)}
        )
        for number, channels in enumerate(inputs, 1)
    ]


@pytest.mark.parametrize("channels", [(9, 8), (9, 5), (8, 4, 9)])
def test_models_that_see_different_things_do_not_mix(channels):
    with pytest.raises(UsageError, match="do not mix, since what they see"):
        merged(told(*channels), Merge(factors=(1.0,) * len(channels)))


def test_the_special_model_must_be_the_first():
    with pytest.raises(UsageError, match="must be the first one"):
        merged(told(4, 9, 4), Merge(factors=(1.0, 1.0, -1.0)))
    found = merged(told(9, 9, 4), Merge(factors=(0.5, 0.25, 0.25)))["model.diffusion_model.input_blocks.0.0.weight"]
    assert found[0, :, 0, 0].tolist() == [1.75] * 4 + [1.0] * 5


def test_only_a_difference_of_models_that_predict_something_else_is_taken(tmp_path):
    for name, prediction in (("a", "epsilon"), ("b", "v"), ("c", "v")):
        files.save(tmp_path / f"{name}.safetensors", model(1), {"modelspec.prediction_type": prediction})
    a, b, c = (files.open(tmp_path / f"{name}.safetensors") for name in "abc")
    for merge in (Merge(factors=(0.5, 0.5)), Merge(method="slerp", alpha=0.5)):
        with pytest.raises(UsageError, match=r"a\.safetensors predicts epsilon and b\.safetensors predicts v"):
            merged([a, b], merge)
    assert merged([a, b, c], Merge(factors=(1.0, 1.0, -1.0)))
    with pytest.raises(UsageError, match="predict neither"):
        merged([b, c, a], Merge(factors=(1.0, -1.0, 1.0)))


def warnings(merge, paths, target):
    return [event.message for event in merging(paths, merge, target) if isinstance(event, Warned)]


def test_what_not_all_models_have_is_told(three, tmp_path):
    tensors = {name: each for name, each in model(5).items() if ".output_blocks.7." not in name}
    cut = files.save(tmp_path / "cut.safetensors", tensors)
    count = len(model(5)) - len(tensors)
    half = Merge(factors=(0.5, 0.5))
    (said,) = warnings(half, [three[0], cut], tmp_path / "x.safetensors")
    assert said.startswith(f"{count} tensors are not in every model (")
    assert warnings(half, three[:2], tmp_path / "y.safetensors") == []


def test_few_bits_of_the_first_model_are_told(tmp_path):
    name = "encoder.conv_in.weight"
    small, wide = (
        files.save(tmp_path / f"{title}.safetensors", {name: np.ones(4, dtype)})
        for title, dtype in (("small", ml_dtypes.float8_e4m3fn), ("wide", np.float16))
    )
    half, target = Merge(factors=(0.5, 0.5)), tmp_path / "x.safetensors"
    (said,) = warnings(half, [small, wide], target)
    assert "rounded to F8_E4M3" in said
    assert warnings(half, [wide, small], target) == []
    assert warnings(replace(half, dtype="fp16"), [small, wide], target) == []


def test_weights_that_do_not_add_up_are_told(three, tmp_path):
    with pytest.raises(UsageError, match=r"only a\.safetensors times 0\.5; weights should add up to 1"):
        pochade.merge("0.5*a", tmp_path / "x.safetensors", folders=[tmp_path])
