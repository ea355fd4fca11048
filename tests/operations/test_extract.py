"""Extraction: parts as files of their own, and LoRAs that give the tuned model back."""

import numpy as np
import pytest
import torch

import pochade
from pochade import families, files
from pochade.errors import MalformedFileError, UsageError
from pochade.events import Saved, Warned
from pochade.families import SD1, SD2, SDXL
from pochade.kinds import lora as lora_kind
from pochade.operations.bake import Adapter, baking
from pochade.operations.decompose import low_rank
from pochade.operations.extract import _places, extracting_lora, extracting_part

from ..families.manifests import shapes
from .test_bake import model


def saved(events):
    return next(event.path for event in events if isinstance(event, Saved))


def shaped(name):
    """A checkpoint of which only names and shapes are known."""
    table = {each: files.TensorInfo("F32", shape) for each, shape in shapes(name).items()}
    return files.Weights({each: files.LazyArray(info, lambda: None) for each, info in table.items()})


@pytest.mark.parametrize(
    ("name", "family", "plain", "with_convolutions"),
    [("sd15.ldm", SD1, 264, 350), ("sd2-base.ldm", SD2, 330, 416), ("sdxl-base.ldm", SDXL, 986, 1052)],
)
def test_the_modules_are_those_that_trainers_have(name, family, plain, with_convolutions):
    assert len(_places(shaped(name), family, False)) == plain
    assert len(_places(shaped(name), family, True)) == with_convolutions


@pytest.mark.parametrize(
    ("lora", "name", "family"),
    [
        ("lora-kohya-sd15-r8", "sd15.ldm", SD1),
        ("lora-kohya-sd21-r8", "sd2-base.ldm", SD2),
        ("lora-kohya-sdxl-r8", "sdxl-base.ldm", SDXL),
    ],
)
def test_they_have_the_names_of_real_files(lora, name, family):
    assert set(_places(shaped(name), family, False)) == {each.partition(".")[0] for each in shapes(lora)}


@pytest.mark.parametrize("name", ["sd15.ldm", "sd2-base.ldm"])
def test_a_lora_of_full_rank_gives_the_tuned_model_back(tmp_path, name):
    base, before = model(tmp_path, name)
    rng = np.random.default_rng(7)
    family = families.recognise(files.open(base).shapes())
    names = {place.name for place in _places(files.open(base), family, True).values()}
    after = {
        each: array + (rng.standard_normal(array.shape).astype(np.float32) if each in names else 0)
        for each, array in before.items()
    }
    tuned = files.save(tmp_path / "tuned.safetensors", after)
    lora = saved(extracting_lora(base, tuned, tmp_path / "lora.safetensors", 36, 36, "fp32"))
    assert lora_kind.family_of(files.open(lora).shapes()) is family
    back = files.open(saved(baking(base, tmp_path / "back.safetensors", [Adapter(lora)])))
    for each in names:
        np.testing.assert_allclose(back[each], after[each], atol=2e-4)


def test_a_difference_of_low_rank_is_found_whole(tmp_path):
    base, before = model(tmp_path)
    name = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight"
    change = np.outer(np.arange(4), np.ones(4)).astype(np.float32)
    tuned = files.save(tmp_path / "tuned.safetensors", before | {name: before[name] + change})
    events = list(extracting_lora(base, tuned, tmp_path / "lora.safetensors", rank=1))
    (told,) = [event.message for event in events if isinstance(event, Warned)]
    assert told.startswith("1 modules; 0.0 %")
    report = pochade.inspect(saved(events))
    assert (report["kind"], report["rank"], report["alpha"]) == ("lora", 1, 1.0)
    assert set(report["dtypes"]) == {"F16", "F32"}


def test_models_without_a_difference_are_refused(tmp_path):
    base, before = model(tmp_path)
    other = files.save(tmp_path / "other.safetensors", before)
    with pytest.raises(UsageError, match="does not differ"):
        list(extracting_lora(base, other, tmp_path / "x.safetensors"))
    second, _ = model(tmp_path, "sd2-base.ldm")
    with pytest.raises(UsageError, match="not of one known family"):
        list(extracting_lora(base, second, tmp_path / "x.safetensors"))


def test_a_part_becomes_a_file_of_its_own(tmp_path):
    source, before = model(tmp_path)
    for part, prefix in (("vae", SD1.vae_prefix), ("unet", SD1.unet_prefix)):
        path = saved(extracting_part(source, part, tmp_path / f"{part}.safetensors"))
        assert pochade.inspect(path)["kind"] == part
        assert set(files.open(path)) == {name.removeprefix(prefix) for name in before if name.startswith(prefix)}
    with pytest.raises(UsageError, match="no part named 'depth'"):
        list(extracting_part(source, "depth", tmp_path / "x.safetensors"))


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_sampling_captures_what_the_exact_way_captures(power):
    generator = torch.Generator().manual_seed(1)
    left, right = (torch.linalg.qr(torch.randn(400, 300, generator=generator))[0] for _ in range(2))
    values = torch.arange(1, 301).float() ** -power
    matrix = left @ torch.diag(values) @ right.T
    best = float((values[32:].square().sum() / values.square().sum()).sqrt())
    found = low_rank(matrix, 32)
    error = float((matrix - found.left @ found.right).norm() / matrix.norm())
    assert error == pytest.approx(found.error, rel=1e-2, abs=1e-4)
    assert error <= 1.01 * best


@pytest.mark.parametrize("is_base", [True, False])
def test_numbers_that_are_none_are_named(tmp_path, is_base):
    one, arrays = model(tmp_path)
    name = "model.diffusion_model.middle_block.1.proj_in.weight"
    arrays[name].flat[0] = np.nan
    other = files.save(tmp_path / "broken.safetensors", arrays)
    pair = (other, one) if is_base else (one, other)
    with pytest.raises(MalformedFileError, match=f"broken.safetensors: '{name}' holds NaN"):
        list(extracting_lora(*pair, tmp_path / "lora.safetensors"))
