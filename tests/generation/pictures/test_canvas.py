import numpy as np
import pytest
from PIL import Image

from pochade.errors import UsageError
from pochade.generation.pictures.canvas import canvas_of, flattened
from pochade.generation.request import Request

SIZE = (64, 64)


def noise(size=(96, 64), seed=1):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def box_mask(size, box):
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def canvas(image, mask=None, size=SIZE, **settings):
    return canvas_of(image, mask, Request(**settings), size)


def test_a_picture_alone_comes_at_the_size_of_the_run():
    found = canvas(noise())
    assert found.image.size == SIZE
    assert found.mask is None
    assert found.finished(noise(SIZE, 2)).tobytes() == noise(SIZE, 2).tobytes()


def test_what_is_not_drawn_anew_stays_to_the_bit():
    image, result = noise(SIZE), noise(SIZE, 2)
    found = canvas(image, box_mask(SIZE, (20, 20, 40, 40)), mask_blur=2)
    pixels = np.asarray(found.finished(result))
    outside = np.ones(SIZE, dtype=bool)
    outside[12:48, 12:48] = False
    assert (pixels[outside] == np.asarray(image)[outside]).all()
    assert (pixels[24:36, 24:36] == np.asarray(result)[24:36, 24:36]).all()


def test_the_masked_part_alone_is_drawn_large_and_put_back():
    image = noise((256, 192))
    found = canvas(image, box_mask((256, 192), (100, 80, 130, 110)), only_masked=True, padding=8, mask_blur=0)
    whole = found.finished(Image.new("RGB", SIZE, (255, 0, 0)))
    assert found.image.size == SIZE and whole.size == (256, 192)
    pixels = np.asarray(whole)
    assert (pixels[80:110, 100:130] == (255, 0, 0)).all()
    outside = np.ones((192, 256), dtype=bool)
    outside[80:110, 100:130] = False
    assert (pixels[outside] == np.asarray(image)[outside]).all()


def test_a_mask_that_covers_nothing_is_none_where_only_its_part_is_wanted():
    assert canvas(noise(), Image.new("L", (96, 64)), only_masked=True).mask is None


def test_an_inverted_mask_draws_the_rest():
    plain = canvas(noise(SIZE), box_mask(SIZE, (0, 0, 32, 64)), mask_blur=0)
    inverted = canvas(noise(SIZE), box_mask(SIZE, (32, 0, 64, 64)), mask_blur=0, invert_mask=True)
    assert plain.mask.tobytes() == inverted.mask.tobytes()


def test_a_mask_of_another_size_fits_if_its_proportion_does():
    large = canvas(noise(SIZE), box_mask((256, 256), (80, 80, 160, 160)), mask_blur=0)
    assert large.mask.getbbox() == pytest.approx((20, 20, 40, 40), abs=2)


def test_a_mask_of_another_proportion_is_refused():
    with pytest.raises(UsageError, match="mask is 64x32 and the picture 64x64"):
        canvas(noise(SIZE), Image.new("L", (64, 32), 255))


def test_without_pasting_back_the_result_is_all_there_is():
    found = canvas(noise(SIZE), box_mask(SIZE, (20, 20, 40, 40)), paste_back=False)
    assert found.finished(noise(SIZE, 2)).tobytes() == noise(SIZE, 2).tobytes()


@pytest.mark.parametrize("fill", ["fill", "latent noise", "latent nothing"])
def test_filling_hides_what_was_there(fill):
    image = Image.new("RGB", SIZE, (10, 200, 10))
    image.paste((255, 0, 255), (24, 24, 40, 40))
    found = canvas(image, box_mask(SIZE, (16, 16, 48, 48)), fill=fill, mask_blur=0)
    assert np.abs(np.asarray(found.image, dtype=int)[32, 32] - (10, 200, 10)).max() < 20


def test_transparency_lies_on_the_background():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    assert flattened(image, "#0000ff").tobytes() == bytes([255, 0, 0, 0, 0, 255])
    with pytest.raises(UsageError, match="background is 'bluish'"):
        flattened(image, "bluish")


def test_with_a_mask_the_picture_is_resized_instead_of_its_latents():
    found = canvas(noise((128, 128)), box_mask((128, 128), (0, 0, 32, 32)), resize_mode="Latent upscale", fill="fill")
    assert found.image.size == found.mask.size == found.finished(noise(SIZE, 2)).size == SIZE


def test_a_picture_too_small_for_latents_is_refused():
    with pytest.raises(UsageError, match="1x1 pixels; latent upscale"):
        canvas(Image.new("RGB", (1, 1)), resize_mode="Latent upscale")
