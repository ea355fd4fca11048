"""Pictures on their way at a glance."""

import numpy as np
import pytest
import torch
from PIL import Image

from pochade import Pipeline
from pochade.events import Made, Preview
from pochade.families import SD1, SD2, SDXL
from pochade.families.previews import PICTUREBOOK, Projection
from pochade.generation import Request
from pochade.generation.preview import preview


def test_a_latent_becomes_a_pixel():
    only_red = Projection(((1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), zero=(0.0, 0.0, -1.0))
    latents = torch.zeros(1, 4, 2, 3)
    latents[0, 0, 1, 2] = 1
    image = preview(latents, only_red)
    assert image.size == (3, 2)
    assert (image.getpixel((0, 0)), image.getpixel((2, 1))) == ((127, 127, 0), (255, 127, 0))


def test_whatever_latents_hold_there_is_a_picture():
    assert preview(torch.full((1, 4, 8, 8), 1e6), SD1.preview).size == (8, 8)


@pytest.mark.parametrize("family", [SD1, SD2, SDXL])
def test_every_family_has_a_projection(family):
    assert np.abs(family.preview.channels).sum() > 1


def test_the_shipped_models_previews_resemble_its_pictures():
    pipeline = Pipeline.load(device="cpu")
    assert pipeline.model.preview is PICTUREBOOK
    small = []
    for event in pipeline.run(Request("a red house left of a yellow sun, night sky", seed=8, steps=8)):
        if isinstance(event, Preview):
            small.append(preview(event.latents, pipeline.model.preview))
        elif isinstance(event, Made):
            made = event.result.image
    final = np.asarray(made.resize(small[0].size, Image.Resampling.BOX), float).ravel()
    near = [float(np.corrcoef(np.asarray(each, float).ravel(), final)[0, 1]) for each in small]
    assert near[-1] > 0.8
    assert near[0] < near[-1]
