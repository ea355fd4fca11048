from pathlib import Path

import pytest
from PIL import Image, ImageFont

from pochade.generation.pictures import fonts
from pochade.generation.pictures.grids import Label, Layout, card, grid

RICH = Path("rich.ttf")


class Face:
    """A font with some letters; all others look the same."""

    def __init__(self, letters):
        self.letters = letters

    def getmask(self, letter):
        return Image.new("L", (8, 8), ord(letter) % 200 + 1 if letter in self.letters else 0).im


@pytest.fixture
def system(monkeypatch):
    """A system whose fonts have the letters that are told by their names."""
    known = {}

    def choose(**letters):
        known.update(letters)
        monkeypatch.setattr(fonts, "_files", lambda folder: (Path(f"{name}.ttf") for name in known))
        monkeypatch.setattr(fonts, "_folders", lambda: (Path(str(known)),))  # nothing is remembered from before

    monkeypatch.setattr(fonts, "font", lambda size, face=None: Face(known.get(face.stem, "") if face else ""))
    return choose


def test_plain_letters_need_no_font_of_the_system(system):
    system(rich="abc")
    assert fonts.face_for("Steps: 4, CFG Scale (a+b)") is None
    assert fonts.missing_letters("Steps: 4") == ""


def test_the_first_font_with_all_letters_is_taken(system):
    system(other="猫犬", simhei="猫", NotoSansCJK="猫犬鳥")
    assert fonts.face_for("a 猫").stem == "NotoSansCJK"
    assert fonts.face_for("猫 犬").stem == "NotoSansCJK"
    assert fonts.missing_letters("猫") == ""


def test_else_the_one_with_most_of_them(system):
    system(simhei="猫", other="猫犬")
    assert fonts.face_for("猫犬鳥").stem == "other"
    assert fonts.missing_letters("猫犬鳥") == "鳥"


def test_without_any_font_the_letters_are_missing(system):
    system()
    assert fonts.face_for("猫") is None
    assert fonts.missing_letters("a 猫猫") == "猫"


def test_a_file_that_is_no_font_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_folders", lambda: (tmp_path, tmp_path / "absent"))
    assert fonts.face_for("猫") is None


def test_pillow_s_own_font_is_that_of_plain_letters():
    assert isinstance(fonts.font(20), ImageFont.FreeTypeFont | ImageFont.ImageFont)


def test_a_word_without_blanks_is_broken_where_it_must_be():
    label = Label("a_very_long_name_of_a_checkpoint_without_a_single_blank_in_it.safetensors")
    sheet = grid([Image.new("RGB", (120, 120), "white")] * 2, Layout(1, [[label]] * 2, margin=6)).convert("L")
    assert sheet.crop((120, 0, 126, sheet.height)).getextrema()[0] == 255
    assert sheet.crop((0, 0, 120, sheet.height)).getextrema()[0] < 60


def test_a_card_says_why_there_is_no_picture():
    drawn = card((200, 100), "The model gave NaN instead of a picture.").convert("L")
    assert drawn.size == (200, 100)
    assert drawn.getextrema()[0] < 60
    assert drawn.getpixel((0, 0)) > 200
