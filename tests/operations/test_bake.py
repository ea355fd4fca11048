"""Baking: every module's change at its strength, rounded once, and never in silence where nothing fits."""

import numpy as np
import pytest

from pochade import files
from pochade.errors import MalformedFileError, UsageError
from pochade.events import Saved, Warned
from pochade.families import SD1, SD2
from pochade.kinds.adapter import targets
from pochade.operations.bake import Adapter, baking

from ..families.manifests import narrow, shapes

WIDTH = 4


@pytest.fixture(autouse=True, params=[1 << 21, 5])
def numbers_at_a_time(request, monkeypatch):
    """Everything holds for tensors that are changed whole, and for those that are changed row by row."""
    monkeypatch.setattr("pochade.operations.bake._AT_A_TIME", request.param)


def model(tmp_path, name="sd15.ldm", dtype=np.float32):
    rng = np.random.default_rng(1)
    sizes = narrow(shapes(name), WIDTH)
    for each in shapes(name):
        if each.endswith(("in_proj_weight", "in_proj_bias")):
            sizes[each] = (3 * WIDTH, *sizes[each][1:])
    arrays = {each: rng.standard_normal(shape).astype(dtype) for each, shape in sizes.items()}
    return files.save(tmp_path / f"{name}.safetensors", arrays), arrays


def lora(tmp_path, modules, rank=2, extra=None):
    rng = np.random.default_rng(2)
    arrays = {}
    for module in modules:
        arrays[f"{module}.lora_down.weight"] = rng.standard_normal((rank, WIDTH)).astype(np.float32)
        arrays[f"{module}.lora_up.weight"] = rng.standard_normal((WIDTH, rank)).astype(np.float32)
        arrays[f"{module}.alpha"] = np.array(1.0, np.float32)
    return files.save(tmp_path / "lora.safetensors", arrays | (extra or {})), arrays


def bake(source, target, *loras, **options):
    return list(baking(source, target, loras, **options))


UNET = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
TEXT = "lora_te_text_model_encoder_layers_3_mlp_fc1"


def test_each_part_has_its_strength(tmp_path):
    source, before = model(tmp_path)
    path, parts = lora(tmp_path, [UNET, TEXT])
    (*_, saved) = bake(source, tmp_path / "x.safetensors", Adapter(path, 0.5, -2.0))
    after = files.open(saved.path)
    for module, strength in ((UNET, 0.5), (TEXT, -2.0)):
        name = targets(before, SD1)[module].name
        change = parts[f"{module}.lora_up.weight"] @ parts[f"{module}.lora_down.weight"] / 2 * strength
        np.testing.assert_allclose(after[name], before[name] + change, rtol=1e-5, atol=1e-6)
    untouched = set(before) - {targets(before, SD1)[module].name for module in (UNET, TEXT)}
    assert all(np.array_equal(after[name], before[name]) for name in untouched)


def test_a_packed_projection_changes_in_its_third_only(tmp_path):
    source, before = model(tmp_path, "sd2-base.ldm")
    module = "lora_te_text_model_encoder_layers_5_self_attn_k_proj"
    path, parts = lora(tmp_path, [module])
    (*_, saved) = bake(source, tmp_path / "x.safetensors", Adapter(path))
    name = targets(before, SD2)[module].name
    change = files.open(saved.path)[name] - before[name]
    wanted = parts[f"{module}.lora_up.weight"] @ parts[f"{module}.lora_down.weight"] / 2
    np.testing.assert_allclose(change[WIDTH : 2 * WIDTH], wanted, rtol=1e-4, atol=1e-5)
    assert not change[:WIDTH].any()
    assert not change[2 * WIDTH :].any()


def test_biases_change_too(tmp_path):
    source, before = model(tmp_path)
    module = "lora_unet_conv_in"
    extra = {
        f"{module}.diff": np.ones((WIDTH, WIDTH, 3, 3), np.float32),
        f"{module}.diff_b": np.full(WIDTH, 2, np.float32),
    }
    path, _ = lora(tmp_path, [], extra=extra)
    (*_, saved) = bake(source, tmp_path / "x.safetensors", Adapter(path, 0.5))
    name = "model.diffusion_model.input_blocks.0.0"
    np.testing.assert_allclose(files.open(saved.path)[f"{name}.weight"], before[f"{name}.weight"] + 0.5, rtol=1e-6)
    np.testing.assert_allclose(files.open(saved.path)[f"{name}.bias"], before[f"{name}.bias"] + 1, rtol=1e-6)


def test_two_loras_add_up_and_are_told_in_the_lineage(tmp_path):
    source, before = model(tmp_path)
    path, parts = lora(tmp_path, [UNET])
    (*_, saved) = bake(source, tmp_path / "x.safetensors", Adapter(path, 1.0), Adapter(path, 0.5))
    name = targets(before, SD1)[UNET].name
    change = 1.5 * parts[f"{UNET}.lora_up.weight"] @ parts[f"{UNET}.lora_down.weight"] / 2
    np.testing.assert_allclose(files.open(saved.path)[name], before[name] + change, rtol=1e-5, atol=1e-6)
    assert "lora.safetensors" in files.open(saved.path).metadata["pochade.lineage"]


def test_what_finds_no_place_is_told(tmp_path):
    source, _ = model(tmp_path)
    path, _ = lora(tmp_path, [UNET, "lora_unet_nowhere"])
    events = bake(source, tmp_path / "x.safetensors", Adapter(path))
    assert next(event.message for event in events if isinstance(event, Warned)).startswith("1 modules have no place")
    path, _ = lora(tmp_path, ["lora_unet_nowhere"])
    with pytest.raises(UsageError, match="nothing would change"):
        bake(source, tmp_path / "y.safetensors", Adapter(path))


def test_a_lora_of_another_family_is_refused(tmp_path):
    source, _ = model(tmp_path)
    path, _ = lora(tmp_path, ["lora_te1_text_model_encoder_layers_0_mlp_fc1"])
    with pytest.raises(UsageError, match=r"is for Stable Diffusion XL, the model Stable Diffusion 1\.x"):
        bake(source, tmp_path / "y.safetensors", Adapter(path))


@pytest.mark.parametrize("broken", [np.full((2, 3), np.nan), np.ones((2, 50))])
def test_a_lora_that_does_not_fit_is_named_and_nothing_written(tmp_path, broken):
    source, _ = model(tmp_path)
    path, tensors = lora(tmp_path, [UNET])
    down = next(name for name in tensors if name.endswith("lora_down.weight"))
    files.save(path, tensors | {down: broken.astype(np.float32)})
    with pytest.raises(MalformedFileError, match=f"the tensors of '{UNET}' cannot be used"):
        bake(source, tmp_path / "y.safetensors", Adapter(path))
    assert not (tmp_path / "y.safetensors").exists()


def test_a_vae_is_baked(tmp_path):
    source, before = model(tmp_path)
    other = {name: each + 1 for name, each in before.items() if name.startswith(SD1.vae_prefix)}
    vae = files.save(tmp_path / "vae.safetensors", other)
    events = bake(source, tmp_path / "x.safetensors", vae=vae)
    assert isinstance(events[-1], Saved)
    found = files.open(events[-1].path)
    assert all(np.array_equal(found[name], each) for name, each in other.items())
    with pytest.raises(UsageError, match="nothing to bake"):
        bake(source, tmp_path / "y.safetensors")


@pytest.mark.parametrize(
    ("written", "weights"),
    [("a.safetensors", (1, 1)), ("a:0.5", (0.5, 0.5)), ("a:0.5:0", (0.5, 0)), ("a:-1", (-1, -1))],
)
def test_weights_are_read_behind_the_name(written, weights):
    found = Adapter.read(written)
    assert (found.unet, found.text) == weights


def test_wrong_weights_are_explained():
    with pytest.raises(UsageError, match="weights as numbers"):
        Adapter.read("a:strong")


def test_a_lora_with_more_rows_than_the_weight_is_refused(tmp_path):
    source, _ = model(tmp_path)
    path, tensors = lora(tmp_path, [UNET])
    files.save(path, tensors | {f"{UNET}.lora_up.weight": np.ones((2 * WIDTH, 2), np.float32)})
    with pytest.raises(MalformedFileError, match="must have 4 rows"):
        bake(source, tmp_path / "y.safetensors", Adapter(path))


def test_a_strength_that_is_no_number_is_refused():
    with pytest.raises(UsageError, match="finite"):
        Adapter.read("a.safetensors:nan")


def test_odd_lengths_are_explained(tmp_path):
    source, _ = model(tmp_path)
    path, _ = lora(tmp_path, [UNET], extra={f"{UNET}.dora_scale": np.array(1, np.float32)})
    with pytest.raises(MalformedFileError, match=UNET):
        bake(source, tmp_path / "out.safetensors", Adapter(path))
