import gzip
import json
import random

import numpy as np
import pytest
from PIL import Image

from pochade.generation.foreign.stealth import revealed
from pochade.generation.picture import Picture, read_metadata

TEXT = "a cat 日本\nSteps: 20, Seed: 1, Size: 64x96, Version: v1.10.1"


def hide(text, mark, mode="RGBA", size=(40, 64), length=None):
    """A picture that hides a text, as the programs do it: bit by bit down the columns."""
    data = text.encode() if mark.endswith("info") else gzip.compress(text.encode())
    bits = []
    for byte in mark.encode() + (length or len(data) * 8).to_bytes(4) + data:
        bits += [byte >> place & 1 for place in range(7, -1, -1)]
    pixels = np.array(Image.effect_noise(size, 90).convert(mode))
    bands = (3,) if "png" in mark else (0, 1, 2)
    if mode == "RGBA":
        pixels[:, :, 3] = 255
    places = [(row, column, band) for column in range(size[0]) for row in range(size[1]) for band in bands]
    for place, bit in zip(places, bits, strict=False):
        pixels[place] = pixels[place] & 254 | bit
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("mark", "mode"),
    [("stealth_pnginfo", "RGBA"), ("stealth_pngcomp", "RGBA"), ("stealth_rgbinfo", "RGB"), ("stealth_rgbcomp", "RGBA")],
)
def test_every_form_is_read(tmp_path, mark, mode):
    hide(TEXT, mark, mode).save(tmp_path / "x.png")
    assert Picture.open(tmp_path / "x.png").infotext == TEXT


def test_novelai_hides_its_texts_by_name(tmp_path):
    comment = json.dumps({"prompt": "a cat", "uc": "dog", "steps": 28, "scale": 5, "sampler": "k_euler", "seed": 9})
    picture = hide(json.dumps({"Software": "NovelAI", "Comment": comment}), "stealth_pngcomp")
    picture.save(tmp_path / "x.webp", lossless=True, exact=True)
    metadata = read_metadata(tmp_path / "x.webp")
    assert (metadata.settings.program, metadata.settings.parameters["Seed"]) == ("NovelAI", "9")


def test_other_pictures_hide_nothing():
    for mode in ("RGB", "RGBA", "L", "P"):
        assert revealed(Image.effect_noise((32, 32), 50).convert(mode)) == ""
    assert revealed(Image.new("RGBA", (1, 1))) == ""


def test_broken_ones_are_empty_or_short():
    assert revealed(hide(TEXT, "stealth_pnginfo", length=2**32 - 1)).startswith(TEXT)
    broken = np.array(hide(TEXT, "stealth_pngcomp"))
    broken[:, 3:, 3] = random.Random(0).choices((254, 255), k=1)
    assert isinstance(revealed(Image.fromarray(broken)), str)
