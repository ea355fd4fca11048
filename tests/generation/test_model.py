"""A loaded model: what it predicts, in which size it draws, and its way from pictures to latents."""

import shutil

import numpy as np
import pytest
import torch

from pochade import Pipeline, Request, files
from pochade.errors import MalformedFileError, NumericalError
from pochade.families import SD1, SD2, SDXL
from pochade.generation.model import Model, measured_prediction
from pochade.networks import UNet, fresh, unet_shapes
from pochade.sampling import ALIGNED_SD1, ALIGNED_SDXL
from tests.golden.replay import model_file, pipeline


def load(path, vae=None, dtype="fp32"):
    return Model.load(path, vae, "cpu", dtype)


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    """The SD 2 model without a word on what it predicts; A1111's question gets the answer epsilon from it."""
    weights = files.open(model_file("goldsd2v"))
    path = tmp_path_factory.mktemp("silent") / "silent.safetensors"
    return files.save(path, {name: weights[name] for name in weights})


def test_what_a_silent_file_predicts_is_measured(silent):
    model = load(silent)
    assert (model.prediction, model.resolution) == ("epsilon", (512, 512))


def test_the_size_follows_what_a_request_says_that_it_predicts(silent):
    drawing = Pipeline(load(silent))
    sizes = [drawing.resolve(Request(prediction=each)).width for each in ("auto", "v", "epsilon")]
    assert sizes == [512, 768, 512]


@pytest.mark.parametrize(
    "written", ["      parameterization: v\n", '{\n  "parameterization": "v"\n}'], ids=["yaml", "json"]
)
def test_a_yaml_file_beside_it_speaks_for_it(silent, tmp_path, written):
    path = shutil.copy(silent, tmp_path / "model.safetensors")
    path.with_suffix(".yaml").write_text(written)
    model = load(path)
    assert (model.prediction, model.resolution) == ("v", (768, 768))


@pytest.mark.parametrize(("bias", "prediction"), [(0.0, "epsilon"), (-1.0, "v")])
def test_what_a_unet_predicts_shows_where_all_is_noise(bias, prediction):
    """A new UNet gives nothing but its last bias."""
    unet = fresh(UNet, unet_shapes(32, (1, 2), 64, (0, 1), 1), 1).eval()
    unet.get_parameter("out.2.bias").data.fill_(bias)
    assert measured_prediction(unet) == prediction


@pytest.mark.parametrize(
    ("name", "family", "prediction", "scale", "aligned"),
    [
        ("goldsd1", SD1, "epsilon", 0.18215, ALIGNED_SD1),
        ("goldsd2v", SD2, "v", 0.18215, ALIGNED_SD1),
        ("goldxl", SDXL, "epsilon", 0.13025, ALIGNED_SDXL),
    ],
)
def test_facts_follow_the_family(name, family, prediction, scale, aligned):
    model = pipeline(name).model
    assert (model.family, model.variant.name, model.prediction) == (family, "base", prediction)
    assert (model.latent_scale, model.cell) == (scale, 8)
    assert (model.table.prediction, model.table.aligned) == (prediction, aligned)


@pytest.mark.parametrize(("name", "variant"), [("goldinpaint", "inpainting"), ("goldip2p", "instruct-pix2pix")])
def test_branches_load_and_say_what_they_are(name, variant):
    assert load(model_file(name)).variant.name == variant


def test_a_model_of_unknown_channels_is_no_branch(tmp_path):
    weights = files.open(model_file("goldsd1"))
    first = "model.diffusion_model.input_blocks.0.0.weight"
    odd = {name: weights[name] for name in weights} | {first: np.zeros((32, 6, 3, 3), np.float16)}
    with pytest.raises(MalformedFileError, match=r"branch of Stable Diffusion 1\.x that is not known"):
        load(files.save(tmp_path / "odd.safetensors", odd))


def test_without_a_vae_another_one_must_be_given(tmp_path):
    weights = files.open(model_file("goldsd1"))
    path = tmp_path / "bare.safetensors"
    files.save(path, {name: weights[name] for name in weights if not name.startswith("first_stage_model.")})
    with pytest.raises(MalformedFileError, match=r"holds no VAE.*--vae FILE"):
        load(path)
    assert load(path, vae=model_file("goldsd1")).vae_path == model_file("goldsd1")


@torch.no_grad()
def test_pictures_become_scaled_latents():
    model, pictures = pipeline("goldsd1").model, torch.rand(2, 3, 64, 48) * 2 - 1
    mean, log_variance = model.networks.vae.encode(pictures)
    assert torch.equal(model.encode(pictures), mean * 0.18215)
    noise = torch.randn_like(mean) * 1e6  # the golden models' own spread is next to nothing
    expected = (mean + noise * torch.exp(log_variance / 2)) * 0.18215
    torch.testing.assert_close(model.encode(pictures, noise), expected)
    assert not torch.equal(expected, mean * 0.18215)


@pytest.fixture
def bf16():
    return load(model_file("goldsd1"), dtype="bf16")


def test_half_precision_that_overflows_is_encoded_in_full(bf16, monkeypatch):
    vae = bf16.networks.vae
    whole = vae.encode

    def overflowing(pictures):
        mean, log_variance = whole(pictures)
        return (mean if pictures.dtype == torch.float32 else mean * torch.inf), log_variance

    monkeypatch.setattr(vae, "encode", overflowing)
    latents = bf16.encode(torch.zeros(1, 3, 64, 64))
    assert latents.isfinite().all()
    assert latents.dtype == torch.float32
    assert {each.dtype for each in vae.parameters()} == {torch.bfloat16}


def test_what_cannot_be_encoded_at_all_is_told(bf16):
    with pytest.raises(NumericalError, match="--vae FILE"):
        bf16.encode(torch.full((1, 3, 64, 64), torch.nan))
