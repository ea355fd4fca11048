import json
import random
import subprocess
import sys
from contextlib import suppress

import pytest
from PIL import Image, PngImagePlugin

from pochade.errors import MalformedFileError, MissingFileError, UsageError
from pochade.generation.picture import Picture, read_metadata
from pochade.generation.request import Request

REQUEST = Request(
    "a red house, 日本", model="/secret/folder/a.safetensors", vae="/secret/b.pt", steps=20, sampler="Euler",
    schedule="Automatic", seed=5, width=64, height=64, count=5, batch=2,
)  # fmt: skip


def picture(index=3, request=REQUEST):
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    return Picture.made(image, request, index)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "PNG"])
def test_a_file_carries_all_that_its_picture_knows(tmp_path, suffix):
    made = picture()
    path = made.save(tmp_path / f"new/x.{suffix}")
    again = Picture.open(path)
    assert again.infotext == made.infotext
    assert again.request == made.request
    assert (again.index, again.seed) == (1, 8)
    assert again.image.size == (64, 64)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_record_is_of_the_picture_own_batch():
    made = picture(4)
    assert (made.request.seed, made.request.count, made.request.batch, made.index) == (9, 1, 1, 0)
    assert "Seed: 9," in made.infotext


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_no_folder_travels(tmp_path, suffix):
    path = picture().save(tmp_path / f"x.{suffix}")
    assert b"secret" not in path.read_bytes()
    assert read_metadata(path).request.model == "a.safetensors"


def test_pixels_are_exact_where_the_format_allows(tmp_path):
    made = picture()
    for path, quality in ((tmp_path / "x.png", 95), (tmp_path / "x.webp", 100)):
        made.save(path, quality=quality)
        assert Picture.open(path).image.convert("RGB").tobytes() == made.image.tobytes()


def test_png_text_is_where_other_programs_look(tmp_path):
    path = picture(0, Request("plain", steps=1, seed=1)).save(tmp_path / "x.png")
    with Image.open(path) as image:
        assert image.text["parameters"].startswith("plain\nSteps: 1")
        assert json.loads(image.text["pochade"])["request"]["prompt"] == "plain"
    assert b"tEXtparameters" in path.read_bytes()
    assert b"iTXtparameters" in picture().save(path).read_bytes()


def test_jpeg_comment_is_as_a1111_writes_it(tmp_path):
    made = picture()
    with Image.open(made.save(tmp_path / "x.jpg")) as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert comment == b"UNICODE\0" + made.infotext.encode("utf-16-be")


def exif_file(path, comment):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + "héllo".encode("utf-16-be"),
        b"UNICODE\0" + "héllo".encode("utf-16-le"),
        b"ASCII\0\0\0" + "héllo".encode(),
        "héllo".encode(),
    ],
)
def test_comments_of_other_programs_are_read(tmp_path, comment):
    assert Picture.open(exif_file(tmp_path / "x.jpg", comment)).infotext == "héllo"


def test_a_picture_of_a1111_has_text_but_no_request(tmp_path):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", "a cat\nSteps: 20, Seed: 1, Size: 64x64")
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=chunks)
    found = Picture.open(tmp_path / "x.png")
    assert found.infotext.startswith("a cat")
    assert (found.request, found.index, found.seed) == (None, 0, None)


def test_a_picture_without_text_is_read_and_written(tmp_path):
    Image.new("RGBA", (8, 8)).save(tmp_path / "x.png")
    found = Picture.open(tmp_path / "x.png")
    assert (found.infotext, found.request) == ("", None)
    for name in ("y.png", "y.jpg", "y.webp"):
        assert read_metadata(found.save(tmp_path / name)).record == ""


def test_gif_comments_are_read(tmp_path):
    Image.new("P", (8, 8)).save(tmp_path / "x.gif", comment=b"a cat")
    assert read_metadata(tmp_path / "x.gif").infotext == "a cat"


@pytest.mark.parametrize("name", ["x", "x.bmp", "x.png.txt"])
def test_an_unknown_suffix_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"names no image format; use one of \.png"):
        picture().save(tmp_path / name)


def test_a_failed_save_leaves_nothing_and_harms_nothing(tmp_path, monkeypatch):
    path = picture().save(tmp_path / "x.png")
    before = path.read_bytes()

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        picture().save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_prompt_too_long_for_jpeg_is_said(tmp_path):
    made = picture(0, Request("long " * 20_000, steps=1, seed=1))
    with pytest.raises(UsageError, match="PNG or WEBP"):
        made.save(tmp_path / "x.jpg")
    assert read_metadata(made.save(tmp_path / "x.webp")).request == made.request


@pytest.mark.parametrize("quality", [-5, 101])
@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_a_quality_that_cannot_be_is_said(tmp_path, suffix, quality):
    with pytest.raises(UsageError, match=f"The quality is {quality}; it must be a whole number from 0 to 100"):
        picture().save(tmp_path / f"x.{suffix}", quality=quality)


def test_missing_and_bad_files_are_one_sentence(tmp_path):
    with pytest.raises(MissingFileError):
        Picture.open(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(MalformedFileError, match="no image that can be read"):
        Picture.open(tmp_path / "text.png")


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[]",
        "{}",
        '{"request": 5}',
        '{"request": {"steps": 0}}',
        '{"index": "x"}',
        '{"index": 1, "request": {}}',
        '{"index": -1, "request": {}}',
    ],
)
def test_a_bad_record_is_an_error_only_when_it_is_needed(tmp_path, record):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", "a cat")
    chunks.add_text("pochade", record)
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=chunks)
    metadata = read_metadata(tmp_path / "x.png")
    assert metadata.infotext == "a cat"
    with pytest.raises(MalformedFileError, match="record"):
        metadata.request  # noqa: B018


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_damaged_files_give_our_errors_only(tmp_path, suffix):
    path = picture().save(tmp_path / f"x.{suffix}")
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(60):
        damaged = bytearray(whole[: draw.randrange(20, len(whole))])
        for _ in range(8):
            damaged[draw.randrange(min(len(damaged), 700))] = draw.randrange(256)
        path.write_bytes(damaged)
        with suppress(MalformedFileError):
            Picture.open(path)


def test_what_a_killed_save_left_is_gone_after_the_next(tmp_path):
    path = picture().save(tmp_path / "x.png")
    script = "import os, signal; from PIL import Image; from pochade import Picture; "
    script += "os.fsync = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
    script += f"Picture(Image.new('RGB', (8, 8))).save({str(path)!r})"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode < 0
    assert len(list(tmp_path.iterdir())) == 2
    picture().save(path)
    assert list(tmp_path.iterdir()) == [path]
