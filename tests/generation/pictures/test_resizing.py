import numpy as np
import pytest
from PIL import Image

from pochade.generation.pictures.resizing import resized
from pochade.generation.request import RESIZE_MODES

RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(width, height):
    """Red on the left and blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


@pytest.mark.parametrize("mode", RESIZE_MODES[:3])
@pytest.mark.parametrize("size", [(64, 64), (96, 32), (32, 96)])
def test_every_mode_gives_the_size(mode, size):
    assert resized(halves(50, 40), mode, *size).size == size


def test_stretching_keeps_the_halves():
    image = np.asarray(resized(halves(100, 52), "Just resize", 64, 96))
    assert tuple(image[48, 4]) == RED and tuple(image[48, 60]) == BLUE


def test_cropping_keeps_the_proportion_and_the_middle():
    image = np.asarray(resized(halves(200, 50), "Crop and resize", 64, 64))
    assert tuple(image[32, 4]) == RED and tuple(image[32, 60]) == BLUE
    assert (image[:, 20] == image[0, 20]).all()


@pytest.mark.parametrize("size", [(40, 100), (100, 30)])
def test_filling_draws_the_edges_out(size):
    image = np.asarray(resized(halves(50, 50), "Resize and fill", *size))
    assert tuple(image[1, 1]) == RED and tuple(image[-2, -2]) == BLUE


def test_a_latent_is_resized_later():
    assert resized(halves(50, 40), "Latent upscale", 64, 64).size == (50, 40)


def test_masks_stay_masks():
    assert resized(Image.new("L", (10, 20), 255), "Resize and fill", 64, 64).mode == "L"
