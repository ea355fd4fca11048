"""Whatever picture the commands get, the result is right, or one sentence tells what to do and nothing is written."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pochade.cli import app
from tests.generation.oracle import photo

SIZE = (80, 64)
BLACK = Image.new("L", SIZE)  # draws nothing, so that the result is the picture as it was read
QUICK = ("--steps", "1", "--sampler", "Euler", "--seed", "1")


@pytest.fixture
def run(special_models, tmp_path, monkeypatch):
    """Run a command line with a small model in an empty folder; pictures become files."""
    monkeypatch.chdir(tmp_path)
    model = special_models("sd1-inpainting")
    monkeypatch.setattr("pochade.generation.drawer.pipeline_for", lambda request, folders: model)

    def told(command, *words, **pictures):
        for name, picture in pictures.items():
            (tmp_path / f"{name}.in").write_bytes(picture if isinstance(picture, bytes) else stored(picture))
            words += (f"--{name}", f"{name}.in")
        return CliRunner().invoke(app, [command, "a cat", *QUICK, *words, "-o", "out.png"])

    return told


def stored(image, format="PNG", **options):
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def transparent():
    image = photo(SIZE).convert("RGBA")
    image.putalpha(Image.new("L", SIZE, 51))
    return image


def on_white():
    return Image.fromarray(np.rint(255 - (255 - np.asarray(photo(SIZE)).astype(float)) * 0.2).astype(np.uint8))


GREY = photo(SIZE).convert("L")
DEEP = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
FLAT = Image.new("RGB", SIZE, (0, 255, 255))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (stored(photo(SIZE)), photo(SIZE)),
        (stored(photo((64, 80)), exif=turned(6)), photo((64, 80)).transpose(Image.Transpose.ROTATE_270)),
        (stored(transparent()), on_white()),
        (stored(transparent().convert("LA")), on_white().convert("L")),
        (stored(GREY), GREY),
        (stored(DEEP), GREY),
        (stored(DEEP, "TIFF"), GREY),
        (stored(GREY.convert("1")), GREY.convert("1")),
        (stored(photo(SIZE).quantize(9)), photo(SIZE).quantize(9)),
        (stored(Image.new("CMYK", SIZE, (255, 0, 0, 0)), "JPEG"), FLAT),
        (stored(FLAT, "GIF", save_all=True, append_images=[photo(SIZE)]), FLAT),
        (stored(photo(SIZE), "TIFF", save_all=True, append_images=[FLAT]), photo(SIZE)),
    ],
    ids=["rgb", "exif", "alpha", "grey-alpha", "grey", "deep", "deep-tiff", "bits", "palette", "cmyk", "gif", "frames"],
)
def test_pictures_of_any_form_are_taken_for_what_they_show(run, tmp_path, file, expected):
    done = run("inpaint", "--mask-blur", "0", image=file, mask=BLACK)
    assert (done.exit_code, done.stdout) == (0, "out.png\n"), done.output
    with Image.open(tmp_path / "out.png") as image:
        assert np.abs(np.asarray(image).astype(int) - np.asarray(expected.convert("RGB"))).max() <= 1


@pytest.mark.parametrize(
    "mask",
    [
        stored(Image.new("1", SIZE, 1)),
        stored(Image.new("I;16", SIZE, 0xFFFF)),
        stored(Image.new("RGB", SIZE, "white")),
        stored(Image.new("CMYK", SIZE), "JPEG"),
        stored(Image.new("L", (40, 32), 255)),
        stored(Image.new("L", (64, 80), 255), exif=turned(8)),
    ],
    ids=["bits", "deep", "rgb", "cmyk", "smaller", "turned"],
)
def test_masks_of_any_form_are_white_where_they_are_white(run, tmp_path, mask):
    done = run("inpaint", image=photo(SIZE), mask=mask)
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == SIZE
        assert (np.asarray(image) != np.asarray(photo(SIZE))).mean() > 0.9


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (500, 3), (65, 71)])
@pytest.mark.parametrize("more", [(), ("--only-masked",), ("--resize-mode", "resize and fill", "--size", "64x128")])
def test_odd_sizes_are_drawn(run, tmp_path, size, more):
    done = run("inpaint", *more, image=photo(size), mask=Image.new("L", size, 255))
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "out.png") as image:
        image.load()


def png_of(width, height):
    """A PNG whose header tells this size."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


BAD = {
    "nothing": (b"", "this is no image that can be read"),
    "text": (b"a picture of a cat\n", "this is no image that can be read"),
    "other-program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "this is no image that can be read"),
    "empty": (png_of(0, 0), "this is no image that can be read"),
    "huge": (png_of(100_000, 100_000), "far too large; only 160 million pixels can be read"),
    "cut-off": (stored(photo((300, 300)))[:-400], "truncated"),
    "cut-off-jpeg": (stored(photo((300, 300)), "JPEG")[:-400], "truncated"),
    "damaged": (stored(photo(SIZE)).replace(b"IDAT", b"IDAX", 1), "this is no image that can be read"),
    "floats": (stored(Image.new("F", SIZE), "TIFF"), "save it with 8 or 16 bits a channel"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("place", ["image", "mask"])
def test_what_is_no_picture_is_told_and_nothing_is_written(run, tmp_path, name, place):
    file, sentence = BAD[name]
    done = run("inpaint", **{"image": photo(SIZE), "mask": BLACK} | {place: file})
    assert_told(done, tmp_path, 3, f"Error: {place}.in: ")
    assert sentence in done.stderr


def assert_told(done, folder, code, sentence):
    """One sentence, an exit code, and no file but those that were given."""
    assert done.exit_code == code, done.output
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert {path.suffix for path in folder.iterdir()} <= {".in"}


@pytest.mark.parametrize(
    ("command", "words", "pictures", "code", "sentence"),
    [
        ("img2img", (), {}, 2, "Error: Which picture shall be drawn over?"),
        ("img2img", ("--image", "no.png"), {}, 3, "Error: no.png: there is no such image file"),
        ("inpaint", (), {"image": FLAT}, 2, "Error: A picture and its mask are needed"),
        ("inpaint", (), {"mask": BLACK}, 2, "Error: A picture and its mask are needed"),
        ("inpaint", ("--mask", "no.png"), {"image": FLAT}, 3, "Error: no.png: there is no such image file"),
        (
            "inpaint",
            (),
            {"image": FLAT, "mask": GREY.resize((64, 64))},
            3,
            "Error: mask.in: this mask is 64x64 and the picture image.in 80x64",
        ),
        ("inpaint", ("--background", "whyte"), {"image": transparent(), "mask": BLACK}, 2, "Error: background is"),
        ("img2img", (), {"image": FLAT, "depth": GREY}, 2, "Error: sd1-inpainting.safetensors takes no depth map"),
        ("img2img", ("--depth", "no.png"), {"image": FLAT}, 3, "Error: no.png: there is no such image file"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_told(run, tmp_path, command, words, pictures, code, sentence):
    assert_told(run(command, *words, **pictures), tmp_path, code, sentence)
