import pytest
from PIL import Image, PngImagePlugin, features

from pochade.generation.foreign.texts import decoded, mended, texts_in, texts_of

TEXT = "a cat, 日本\nSteps: 20, Sampler: Euler, Seed: 1"
COMMENTS = {code: b"UNICODE\0" + TEXT.encode(code) for code in ("utf-16-be", "utf-16-le", "utf-16")} | {
    "ascii": b"ASCII\0\0\0" + TEXT.encode(),
    "undefined": b"\0" * 8 + TEXT.encode(),
    "no mark": TEXT.encode(),
}


def read(path):
    with Image.open(path) as image:
        image.load()
        return texts_of(image)


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "iTXt packed"])
def test_png_texts_of_every_kind(tmp_path, kind):
    chunks = PngImagePlugin.PngInfo()
    if kind.startswith("iTXt"):
        chunks.add_itxt("parameters", TEXT, zip=kind.endswith("packed"))
    else:
        chunks.add_text("parameters", "a café", zip=kind == "zTXt")
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=chunks)
    assert read(tmp_path / "x.png")["parameters"] == (TEXT if kind.startswith("iTXt") else "a café")


def test_utf8_in_a_latin_chunk_is_mended(tmp_path):
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"tEXt", b"parameters\0" + TEXT.encode())
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=chunks)
    assert read(tmp_path / "x.png")["parameters"] == TEXT
    assert mended("naïve £5") == "naïve £5"


SUFFIXES = ["jpg", "webp", *(["avif"] if features.check("avif") else [])]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("code", COMMENTS)
def test_comments_in_every_code(tmp_path, suffix, code):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = COMMENTS[code]
    Image.new("RGB", (64, 64)).save(tmp_path / f"x.{suffix}", exif=exif.tobytes())
    assert read(tmp_path / f"x.{suffix}")["UserComment"] == TEXT


def test_a_comment_at_the_wrong_place_and_other_texts_of_exif(tmp_path):
    exif = Image.Exif()
    exif[0x9286], exif[0x0131], exif[0x0110] = "here", "Fooocus v2", "prompt:{}"
    Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg", exif=exif)
    found = read(tmp_path / "x.jpg")
    assert (found["UserComment"], found["Software"], found["Model"]) == ("here", "Fooocus v2", "prompt:{}")


def test_utf8_behind_the_mark_of_utf16():
    assert decoded(b"UNICODE\0" + TEXT.encode()) == TEXT
    assert decoded(b"UNICODE\0\xff\xfe") == ""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"1": {"class_type": "KSampler", "inputs": {}}}', {"prompt"}),
        ('{"nodes": [], "links": []}', {"workflow"}),
        ('{"a": 1}', {"parameters", "invokeai_metadata", "sd-metadata", "Comment"}),
        ("a cat", {"parameters"}),
    ],
)
def test_texts_by_themselves(text, names):
    assert texts_in(text).keys() == names
