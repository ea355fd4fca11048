"""VAEs that cannot be a model's are refused in one sentence, as far as files tell."""

import numpy as np
import pytest

from pochade import files
from pochade.errors import MalformedFileError
from pochade.families import SD1, SD2, SDXL
from pochade.generation.device import vae_fit
from pochade.generation.device.vae_fit import check_vae
from pochade.generation.model import Model
from pochade.generation.pipeline import Pipeline
from pochade.generation.request import Request
from pochade.networks import vae_shapes
from tests.golden.replay import model_file


def vae_file(path, latent=4):
    shapes = vae_shapes(32, (1, 1, 1, 1), 1, latent)
    return files.save(path, {name: np.zeros(shape, np.float16) for name, shape in shapes.items()})


def test_latents_of_another_width_are_refused(tmp_path):
    weights = files.open(vae_file(tmp_path / "flux.safetensors", latent=16))
    with pytest.raises(MalformedFileError, match=r"flux\.safetensors: its latents have 16 channels.*1\.x 4; give"):
        check_vae(weights, SD1)


def test_one_inside_another_familys_checkpoint_is_refused():
    weights = files.open(model_file("goldxl"))
    with pytest.raises(
        MalformedFileError, match=r"one for Stable Diffusion XL, and the model is Stable Diffusion 1\.x"
    ):
        check_vae(weights, SD1)
    check_vae(weights, SDXL)
    check_vae(files.open(model_file("goldsd2v")), SD1)


def test_a_published_one_is_known_by_its_hash(tmp_path, monkeypatch):
    weights = files.open(vae_file(tmp_path / "vae.safetensors"))
    check_vae(weights, SD1)
    monkeypatch.setattr(vae_fit, "short_hash", lambda path: SDXL.vaes[0])
    check_vae(weights, SDXL)
    for family in (SD1, SD2):
        with pytest.raises(MalformedFileError, match="Stable Diffusion XL"):
            check_vae(weights, family)


def test_the_vae_beside_a_model_is_used_and_recorded(tmp_path):
    path = tmp_path / "dream.safetensors"
    path.symlink_to(model_file("goldsd1"))
    request = Request("a", width=64, height=64)
    assert Pipeline.load(path, device="cpu").resolve(request).vae == "none"
    beside = vae_file(tmp_path / "dream.vae.safetensors")
    resolved = Pipeline.load(path, device="cpu").resolve(request)
    assert (resolved.vae, len(resolved.vae_hash)) == (str(beside), 10)
    assert Pipeline.load(path, vae=None, device="cpu").resolve(request).vae == "none"
    assert Pipeline.load(path, vae="none", device="cpu").model.vae_path is None


def test_a_vae_of_a_wrong_kind_is_told_when_a_model_is_loaded(tmp_path):
    with pytest.raises(MalformedFileError, match="16 channels"):
        Model.load(model_file("goldsd1"), vae_file(tmp_path / "flux.safetensors", latent=16), "cpu", "fp32")
