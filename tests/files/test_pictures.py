"""Embeddings in pictures: both of A1111's forms, as it wrote them, and pictures that carry none."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import pochade
from pochade import files
from pochade.errors import MalformedFileError
from pochade.files.mapped import mapped
from pochade.files.pictures import counted_stream, unmasked

VECTORS = Path(__file__).parent.parent / "vectors" / "webui"


def cases(name):
    return json.loads((VECTORS / f"{name}.json").read_text())["cases"]


@pytest.mark.parametrize("case", cases("ti_images"), ids=lambda case: case["id"])
def test_recorded_pictures_are_read(tmp_path, case):
    path = tmp_path / "embedding.png"
    path.write_bytes(base64.b64decode(case["png_base64"]))
    wanted = case["expected"]
    if wanted is None:
        with pytest.raises(MalformedFileError, match="without an embedding"):
            files.open(path)
        return
    weights = files.open(path)
    assert weights.format == "image"
    assert weights.extra["name"] == wanted["name"]
    for token, vectors in wanted["string_to_param"].items():
        np.testing.assert_allclose(weights[f"string_to_param.{token}"], vectors, atol=1e-6)
    assert pochade.inspect(path)["kind"] == "embedding"


def test_a_lossless_webp_is_read_like_the_png(tmp_path):
    case = next(case for case in cases("ti_images") if case["mode"] == "pixels")
    with Image.open(io.BytesIO(base64.b64decode(case["png_base64"]))) as picture:
        picture.save(tmp_path / "e.webp", lossless=True, exact=True)
    np.testing.assert_allclose(
        files.open(tmp_path / "e.webp")["string_to_param.*"], case["expected"]["string_to_param"]["*"], atol=1e-6
    )


def test_the_mask_is_the_recorded_one():
    stream, block = cases("ti_image_primitives")
    assert counted_stream(64).tolist() == stream["first_64"]
    assert unmasked(np.array(block["input"], np.uint8)).tolist() == block["expected"]


def text_picture(path, text: bytes):
    info = PngInfo()
    info.add_text("sd-ti-embedding", base64.b64encode(text).decode())
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "broken embedding"),
        (b"[" * 5000, "broken embedding"),
        (b'{"string_to_param": {"*": {"TORCHTENSOR": [[1, 2], [3]]}}}', "broken embedding"),
        (b'{"string_to_param": {"*": {"TORCHTENSOR": ["a"]}}}', "broken embedding"),
        (b'{"name": "cat"}', "no vectors"),
    ],
)
def test_broken_embeddings_are_explained(tmp_path, text, said):
    with pytest.raises(MalformedFileError, match=said):
        files.open(text_picture(tmp_path / "x.png", text))


def test_a_photograph_carries_none(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "x.png")
    with pytest.raises(MalformedFileError, match="without an embedding"):
        files.open(tmp_path / "x.png")
    Image.fromarray(noise).save(tmp_path / "x.jpg")
    with pytest.raises(MalformedFileError, match="no form that carries"):
        files.open(tmp_path / "x.jpg")


def test_a_cut_picture_is_explained(tmp_path):
    path = text_picture(tmp_path / "x.png", b"{}")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(MalformedFileError, match="picture"):
        files.open(path)


def test_a_reader_gets_no_more_room_than_the_file_has(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"0123456789")
    with mapped(path) as file:
        stream = file.stream()
        assert stream.read(4) == b"0123"
        assert stream.read(1 << 50) == b"456789"  # would be a MemoryError
        assert stream.read(1 << 50) == b""
