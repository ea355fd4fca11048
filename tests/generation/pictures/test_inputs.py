import pytest
from PIL import Image

from pochade.errors import MissingFileError
from pochade.generation.pictures.inputs import Inputs, pixel_hash
from pochade.generation.request import Request

RED, BLUE, GREEN = (Image.new("RGB", (8, 6), colour) for colour in ("red", "blue", "green"))


def test_the_pictures_that_a_request_names_are_opened(tmp_path):
    RED.save(tmp_path / "red.png")
    BLUE.save(tmp_path / "blue.png")
    inputs = Inputs.of(Request(image=str(tmp_path / "red.png"), mask=str(tmp_path / "blue.png")))
    assert (inputs.images[0].getpixel((0, 0)), inputs.mask.getpixel((0, 0))) == ((255, 0, 0), (0, 0, 255))
    assert inputs.depth is None and inputs.notes == ()


def test_a_missing_picture_is_told(tmp_path):
    with pytest.raises(MissingFileError, match="no such image"):
        Inputs.of(Request(image=str(tmp_path / "none.png")))


def test_what_is_left_of_an_animation_is_told(tmp_path):
    RED.save(tmp_path / "many.gif", save_all=True, append_images=[BLUE])
    (note,) = Inputs.of(Request(image=str(tmp_path / "many.gif"))).notes
    assert "2 frames" in note


def test_pictures_are_told_apart_by_their_pixels():
    assert pixel_hash(RED) != pixel_hash(BLUE)
    assert pixel_hash(RED) == pixel_hash(RED.copy())
    assert pixel_hash(RED, BLUE) != pixel_hash(BLUE, RED)
    assert Inputs().hashes() == {"image": "", "mask": "", "depth": ""}


def test_named_pictures_come_back():
    inputs = Inputs((RED, BLUE), GREEN, BLUE, (None, RED), (GREEN, None))
    again = Inputs.of_named(inputs.named())
    assert again == inputs


def test_a_later_picture_begins_with_its_own_image():
    inputs = Inputs((RED, BLUE, GREEN))
    assert inputs.beginning_with(4).images == (BLUE, GREEN, RED)
    assert Inputs().beginning_with(4) == Inputs()
