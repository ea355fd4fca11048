"""Every family draws as diffusers does: the same checkpoint, as a folder there and as a file here, the whole way."""

import numpy as np
import pytest
import torch

from pochade import Pipeline, files
from pochade.generation.text import PromptEncoder, RunText, TextRules
from pochade.operations.convert import convert
from pochade.prompts import Tokenizer
from tests.golden.models import UNET, VAE, Kind, checkpoint
from tests.golden.replay import model_file, pipeline

pytestmark = pytest.mark.filterwarnings("ignore")

PROMPT, NEGATIVE = "a cat sitting on a table", "blurry"
# 10 and 4 uniform steps fall on whole timesteps, where diffusers' way to interpolate sigmas and A1111's agree
STEPS, FEW = 10, 4
RUN = {"sampler": "Euler", "schedule": "Uniform", "cfg": 5.0, "seed": 3, "rng": "cpu"}
SIZE = {"width": 128, "height": 64}
REFINER = Kind(
    "sdxl-refiner",
    "R",
    {UNET: (384, 64), VAE: (128, 32), "conditioner.embedders.0.": (1280, 192)},
    {1280: 192, 2560: 1472},
    0.13025,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Each model as a diffusers folder, made on first use."""
    root = tmp_path_factory.mktemp("folders")

    def folder(name):
        path = root / name
        return path if path.exists() else convert(model_file(name), path)

    return folder


def theirs(kind, folder, negative, steps=STEPS):
    from diffusers import EulerDiscreteScheduler

    drawing = kind.from_pretrained(folder, torch_dtype=torch.float32)
    drawing.set_progress_bar_config(disable=True)
    drawing.scheduler = EulerDiscreteScheduler.from_config(drawing.scheduler.config, timestep_spacing="linspace")
    noise = torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(RUN["seed"]))
    run = {"num_inference_steps": steps, "guidance_scale": RUN["cfg"], "latents": noise, **SIZE}
    drawn = drawing(PROMPT, negative_prompt=negative, **run)
    return np.asarray(drawn.images[0]).astype(int)


def ours(drawing, negative, steps=STEPS, **more):
    drawn = drawing.txt2img(PROMPT, negative_prompt=negative, steps=steps, **RUN, **SIZE, **more)
    return np.asarray(drawn.image).astype(int)


def test_sd2_that_predicts_v_draws_as_diffusers(folders):
    from diffusers import StableDiffusionPipeline

    folder = folders("goldsd2v")
    expected = theirs(StableDiffusionPipeline, folder, NEGATIVE)
    assert np.abs(ours(pipeline("goldsd2v"), NEGATIVE) - expected).max() <= 1
    again = Pipeline.load(folder, device="cpu", dtype="fp32")
    assert again.model.prediction == "v"
    assert np.array_equal(ours(again, NEGATIVE, 2), ours(pipeline("goldsd2v"), NEGATIVE, 2))


def test_sd2_drawn_by_the_wrong_prediction_is_another_picture():
    right, wrong = (ours(pipeline("goldsd2v"), NEGATIVE, 2, prediction=each) for each in ("auto", "epsilon"))
    assert np.array_equal(right, ours(pipeline("goldsd2v"), NEGATIVE, 2, prediction="v"))
    assert np.abs(right - wrong).max() > 20


@pytest.mark.parametrize(("negative", "steps"), [(NEGATIVE, STEPS), ("", FEW)], ids=["negative", "none"])
def test_sdxl_draws_as_diffusers(folders, negative, steps):
    from diffusers import StableDiffusionXLPipeline

    expected = theirs(StableDiffusionXLPipeline, folders("goldxl"), negative or None, steps)
    assert np.abs(ours(pipeline("goldxl"), negative, steps) - expected).max() <= 1


def test_sdxl_from_a_folder_is_sdxl_from_a_file(folders):
    again = Pipeline.load(folders("goldxl"), device="cpu", dtype="fp32")
    assert np.array_equal(ours(again, NEGATIVE, 2), ours(pipeline("goldxl"), NEGATIVE, 2))


@pytest.mark.parametrize("change", [{"crop": (64, 0)}, {"clip_l_skip": True, "clip_skip": 3}], ids=str)
def test_what_sdxl_is_told_shows(change):
    plain, changed = (ours(pipeline("goldxl"), NEGATIVE, 2, **more) for more in ({}, change))
    assert not np.array_equal(plain, changed)


@torch.no_grad()
def test_the_refiner_predicts_as_diffusers(tmp_path):
    from diffusers import StableDiffusionXLImg2ImgPipeline

    source = files.save(tmp_path / "refiner.safetensors", checkpoint(REFINER))
    model = Pipeline.load(source, device="cpu", dtype="fp32").model
    folder = convert(source, tmp_path / "folder")
    drawing = StableDiffusionXLImg2ImgPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    x, times = torch.randn(1, 4, 8, 16), torch.tensor([421.0])
    encoder = PromptEncoder(model.networks.text_encoders, model.family, Tokenizer(), TextRules(size=(128, 64)))
    text = RunText(encoder, PROMPT, NEGATIVE, 1).at(0, 1)
    positive, negative, summary, negative_summary = drawing.encode_prompt(PROMPT, negative_prompt=NEGATIVE)
    told = drawing._get_add_time_ids(
        *((64, 128), (0, 0), (64, 128), 6.0, 2.5, (64, 128), (0, 0), (64, 128)),
        dtype=torch.float32,
        text_encoder_projection_dim=192,
    )
    halves = [(text.parts, positive, summary, told[0]), (text.uncond, negative, negative_summary, told[1])]
    for conditions, context, pooled, numbers in halves:
        added = {"text_embeds": pooled, "time_ids": numbers}
        expected = drawing.unet(x, times, context, added_cond_kwargs=added).sample
        assert float((model.predict(x, times, conditions) - expected).abs().max()) < 1e-4
