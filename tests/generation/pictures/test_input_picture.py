"""Whatever form a picture's file has, it comes upright, in 8 bits; what is none ends in one sentence."""

import struct
import warnings
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from pochade.errors import FileError, MalformedFileError, MissingFileError
from pochade.generation.pictures.input_picture import MOST_PIXELS, as_rgb, open_picture


def colours(height=6, width=9):
    return Image.fromarray(np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8))


def saved(image, format, **options):
    file = BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


def transparent():
    image = colours().convert("RGBA")
    image.putalpha(colours().convert("L"))
    return image


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "TGA", "QOI"])
def test_exact_formats_come_as_they_are(tmp_path, format):
    path = tmp_path / "picture.unknown"
    colours().save(path, format)
    picture = open_picture(path)
    assert (picture.mode, picture.size, picture.info) == ("RGB", (9, 6), {})
    assert picture.tobytes() == colours().tobytes()


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF", "JPEG2000", "AVIF"])
def test_other_formats_are_read(format):
    flat = Image.new("RGB", (32, 16), (200, 40, 90))
    picture = open_picture(saved(flat, format))
    assert (picture.mode, picture.size) == ("RGB", (32, 16))
    assert np.abs(np.asarray(picture).astype(int) - (200, 40, 90)).max() < 16


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_pictures_stand_upright(orientation, format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(colours(16, 24), format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    with Image.open(BytesIO(file.getvalue())) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    picture = open_picture(file)
    assert picture.tobytes() == expected.tobytes()
    assert picture.size == ((24, 16) if orientation < 5 else (16, 24))


@pytest.mark.parametrize("damage", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 40])
def test_damaged_exif_counts_as_none(damage):
    with warnings.catch_warnings(action="ignore"):
        file = saved(colours(), "PNG", exif=damage)
    assert open_picture(file).tobytes() == colours().tobytes()


def test_transparency_stays_where_there_is_some():
    assert open_picture(saved(transparent(), "PNG")).tobytes() == transparent().tobytes()
    assert open_picture(saved(colours().convert("RGBA"), "PNG")).mode == "RGB"
    grey = open_picture(saved(transparent().convert("LA"), "PNG"))
    assert (grey.mode, grey.getchannel("A").tobytes()) == ("RGBA", transparent().getchannel("A").tobytes())


def test_a_colour_that_stands_for_transparency():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putdata([0, 1])
    picture = open_picture(saved(palette, "PNG", transparency=1))
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0, 255), (0, 0, 255, 0)]
    assert open_picture(saved(palette, "PNG")).mode == "RGB"


def test_sixteen_bits_become_eight():
    deep = Image.fromarray(np.array([[0, 255, 256, 32768, 65535]], np.uint16))
    for format in ("PNG", "TIFF", "PPM"):
        picture = open_picture(saved(deep, format))
        assert np.asarray(picture)[0].tolist() == [[each] * 3 for each in (0, 0, 1, 128, 255)], format


def test_bits_and_grey():
    assert open_picture(saved(Image.new("1", (3, 2), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)
    assert open_picture(saved(Image.new("L", (3, 2), 77), "PNG")).getpixel((0, 0)) == (77, 77, 77)


def test_cmyk_is_converted_and_loses_its_profile():
    picture = open_picture(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", icc_profile=b"of a press"))
    red, green, blue = picture.getpixel((8, 8))
    assert red > 240 and green < 15 and blue < 15
    assert picture.info == {}


def test_a_profile_of_rgb_stays():
    assert open_picture(saved(colours(), "PNG", icc_profile=b"wide colours")).info == {"icc_profile": b"wide colours"}


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_taken_and_that_is_said(format):
    first, second = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    file, notes = saved(first, format, save_all=True, append_images=[second]), []
    red, _, blue = open_picture(file, notes.append).getpixel((8, 8))
    assert red > 200 and blue < 50
    assert notes == ["the picture holds 2 frames; only the first one is used."]


def test_a_phones_second_picture_is_no_frame():
    notes = []
    open_picture(saved(colours(), "MPO", save_all=True, append_images=[colours()]), notes.append)
    assert notes == []


def png_of(width, height):
    """A PNG whose header tells this size."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    return BytesIO(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (png_of(100_000, 100_000), "far too large; only 160 million pixels can be read."),
        (png_of(16_001, 10_000), "this image is 16001x10000 pixels; only 160 million pixels can be read."),
        (png_of(0, 0), "this is no image that can be read"),
        (png_of(5, 0), "this is no image that can be read"),
        (png_of(64, 64), "this is no image that can be read: image file is truncated"),
        (BytesIO(b""), "this is no image that can be read"),
        (BytesIO(b"no picture"), "this is no image that can be read"),
        (BytesIO(saved(colours(60, 60), "JPEG").getvalue()[:-40]), "image file is truncated"),
        (BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"), "this is no image that can be read"),
        (saved(Image.new("F", (3, 3)), "TIFF"), "this image has floats for pixels; save it with 8 or 16 bits"),
    ],
)
def test_what_cannot_be_used_ends_in_one_sentence(file, sentence):
    with pytest.raises(MalformedFileError) as caught:
        open_picture(file)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "x.png", tmp_path):
        with pytest.raises(MissingFileError, match="no such image file"):
            open_picture(path)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "TGA", "AVIF"])
def test_damage_is_survived_or_told(format):
    exact = saved(colours(16, 16), format).getvalue()
    chance = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(exact)
        for at in chance.integers(0, len(exact), 4):
            damaged[at] = chance.integers(0, 256)
        try:
            assert open_picture(BytesIO(bytes(damaged))).mode in ("RGB", "RGBA")
        except FileError as error:
            assert len(str(error)) < 300


def test_an_image_in_memory_takes_the_same_form():
    assert as_rgb(transparent()).tobytes() == transparent().tobytes()
    assert as_rgb(Image.new("L", (2, 2), 9)).getpixel((0, 0)) == (9, 9, 9)
    with pytest.raises(MalformedFileError, match="is 0x3 pixels; it shows nothing"):
        as_rgb(Image.new("RGB", (0, 3)))
    assert MOST_PIXELS < 179_000_000  # from where Pillow refuses by itself
