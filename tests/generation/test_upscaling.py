"""Pictures become larger and keep what they know."""

import json

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pochade.errors import MissingFileError, UsageError
from pochade.events import Made, Step, Warned
from pochade.generation.parameters import infotext
from pochade.generation.picture import Picture, read_metadata
from pochade.generation.pictures.tiles import Tiles
from pochade.generation.pictures.upscalers import ModelUpscaler, Resampler
from pochade.generation.request import Request
from pochade.generation.upscaling import Upscalers, Upscaling, upscale, upscaling, with_parameters
from tests.generation.pictures.test_upscalers import Repeating

REQUEST = Request("a red house, 日本", steps=20, sampler="Euler", schedule="Automatic", seed=5, width=64, height=64)
LINE = "Postprocess upscale by: 2, Postprocess upscaler: Lanczos"


def colours(height=48, width=64):
    return Image.fromarray(np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8))


def made():
    return Picture.made(colours(64), REQUEST, 0)


@pytest.mark.parametrize(
    ("size", "options", "target"),
    [
        ((64, 48), {"scale": 2.0}, (128, 96)),
        ((101, 67), {"scale": 1.5}, (152, 100)),
        ((101, 67), {"scale": 0.5}, (50, 34)),
        ((1, 1), {"scale": 0.01}, (1, 1)),
        ((64, 48), {"size": (128, 96)}, (128, 96)),
        ((64, 48), {"size": (100, 100)}, (133, 100)),
        ((48, 64), {"size": (100, 100)}, (100, 133)),
        ((64, 48), {"size": (0, 96)}, (128, 96)),
        ((64, 48), {"size": (512, 0)}, (512, 384)),
        ((777, 333), {"size": (1000, 0)}, (1000, 429)),
    ],
)
def test_the_size_of_the_result(size, options, target):
    upscaling = Upscaling(**options).validate()
    assert upscaling.target(size) == target
    assert upscale(colours(size[1], size[0]), **options).image.size == target


def test_the_default_is_lanczos_twice_as_large():
    assert upscale(colours()).image == colours().resize((128, 96), Image.Resampling.LANCZOS)


@pytest.mark.parametrize(("size", "cropped"), [((100, 100), (100, 100)), ((0, 96), (128, 96)), ((10, 48), (10, 48))])
def test_the_middle_is_kept_by_a_crop(size, cropped):
    whole = upscale(colours(), size=size).image
    picture = upscale(colours(), size=size, crop=True).image
    left, top = whole.width // 2 - cropped[0] // 2, whole.height // 2 - cropped[1] // 2
    assert picture == whole.crop((left, top, left + cropped[0], top + cropped[1]))


def test_two_upscalers_are_blended():
    plain, nearest = (upscale(colours(), upscaler=name).image for name in ("Lanczos", "Nearest"))
    for visibility in (0.25, 1.0):
        picture = upscale(colours(), upscaler2="nearest", visibility=visibility)
        assert picture.image == Image.blend(plain, nearest, visibility)
        values = infotext.read(picture.infotext)[2]
        assert values["Postprocess upscaler 2"] == "Nearest"
        assert values["Postprocess upscaler 2 visibility"] == f"{visibility:g}"
    assert upscale(colours(), upscaler2="Nearest", visibility=0).image == plain


def test_events_are_steps_and_then_the_picture():
    upscalers = Upscalers(ModelUpscaler("x2", Repeating(2)), Resampler("Nearest"))
    options = Upscaling(tile=32, overlap=4, visibility=0.5)
    events = list(upscaling(colours(), options, upscalers))
    count = Tiles(32, 4).count((64, 48))
    assert [type(each) for each in events] == [Step] * count + [Made]
    assert events[-1].result.image == colours().resize((128, 96), Image.Resampling.NEAREST)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_text_and_record_come_along(tmp_path, suffix):
    source = made().save(tmp_path / f"x.{suffix}")
    path = upscale(source, 2).save(tmp_path / f"large.{suffix}")
    before, after = read_metadata(source), read_metadata(path)
    assert after.size == (128, 128)
    assert after.infotext == f"{before.infotext}, {LINE}"
    assert (after.request, after.index) == (before.request, 0)
    assert infotext.parse(after.infotext)["Postprocess upscaler"] == "Lanczos"
    assert infotext.parse(after.infotext)["Seed"] == "5"


def test_pictures_in_memory_keep_it_too():
    picture = upscale(made(), 2)
    assert picture.infotext == f"{made().infotext}, {LINE}"
    assert (picture.request, picture.index) == (made().request, 0)


def test_text_is_added_and_never_replaced():
    twice = with_parameters("a cat\nSteps: 20, Seed: 1, Size: 64x96", {"Postprocess upscaler": "A, B"})
    assert twice == 'a cat\nSteps: 20, Seed: 1, Size: 64x96, Postprocess upscaler: "A, B"'
    bare = upscale(colours(), 2).infotext
    assert bare.startswith(f"{LINE}, Version: pochade ")
    assert infotext.parse(bare)["Prompt"] == ""
    prompt = with_parameters("only a prompt", infotext.read(bare)[2])
    assert infotext.parse(prompt)["Prompt"] == "only a prompt"
    assert infotext.parse(prompt)["Postprocess upscale by"] == "2"


def test_a_record_that_cannot_be_read_is_left_out(tmp_path):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", made().infotext)
    chunks.add_text("pochade", json.dumps({"request": {"steps": "many"}}))
    colours().save(tmp_path / "x.png", pnginfo=chunks)
    warned, final = upscaling(tmp_path / "x.png", Upscaling())
    assert isinstance(warned, Warned) and "cannot be read" in warned.message
    assert (final.result.request, final.result.infotext) == (None, f"{made().infotext}, {LINE}")


def test_a_profile_of_colours_stays(tmp_path):
    colours().save(tmp_path / "x.png", icc_profile=b"wide colours")
    path = upscale(tmp_path / "x.png").save(tmp_path / "y.png")
    with Image.open(path) as image:
        assert image.info["icc_profile"] == b"wide colours"


def test_exif_rotation_and_frames(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    colours().save(tmp_path / "x.tif", exif=exif, save_all=True, append_images=[colours()])
    warned, final = upscaling(tmp_path / "x.tif", Upscaling(upscaler="Nearest"))
    assert "2 frames" in warned.message
    assert final.result.image == colours().rotate(-90, expand=True).resize((96, 128), Image.Resampling.NEAREST)


def test_a_jpeg_gets_a_white_ground():
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    warned, final = upscaling(image, Upscaling(), format="JPEG")
    assert "no transparency" in warned.message
    assert (final.result.image.mode, final.result.image.getpixel((3, 3))) == ("RGB", (255, 255, 255))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scale": 0.0}, "scale is 0.0; it must be a number from 0.01 to 64"),
        ({"scale": float("nan")}, "scale is nan"),
        ({"size": (0, 0)}, "size is 0x0"),
        ({"size": (-1, 5)}, "size is"),
        ({"size": (200_000, 5)}, "size is"),
        ({"visibility": 1.5}, "visibility is 1.5"),
        ({"tile": -1}, "tile is -1"),
        ({"tile": 16, "overlap": 9}, "overlap is 9; it must be half of tile, which is 16, at most"),
        ({"device": "tpu"}, "no choice of device named 'tpu'"),
        ({"upscaler": "x"}, "no upscaler named 'x'"),
        ({"upscaler2": "y"}, "no upscaler named 'y'"),
    ],
)
def test_what_cannot_be_done_is_told_before_the_work(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        upscale(colours(), **options)


def test_sizes_that_no_file_or_memory_can_hold():
    with pytest.raises(UsageError, match="17000x17000; a side in WEBP has 16383 pixels at most: save it as PNG"):
        list(upscaling(Image.new("RGB", (1000, 1000)), Upscaling(scale=17.0), format="WEBP"))
    with pytest.raises(UsageError, match="64000x64000 would be made, which is too large"):
        upscale(Image.new("RGB", (1000, 1000)), 64)


def test_a_missing_picture(tmp_path):
    with pytest.raises(MissingFileError, match="no such image file"):
        upscale(tmp_path / "x.png")
