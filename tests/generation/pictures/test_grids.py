import numpy as np
import pytest
from PIL import Image

from pochade.errors import UsageError
from pochade.generation.pictures.grids import Label, Layout, grid


def flat(colour, size=(40, 30)):
    return Image.new("RGB", size, colour)


def test_pictures_lie_row_by_row_with_a_margin():
    images = [flat((10 * number, 0, 0)) for number in range(5)]
    sheet = grid(images, Layout(rows=2, margin=4))
    assert sheet.size == (3 * 40 + 2 * 4, 2 * 30 + 4)
    assert [sheet.getpixel((x, y))[0] for y in (0, 63) for x in (0, 44, 127)] == [0, 10, 20, 30, 40, 255]
    assert sheet.getpixel((41, 0)) == (255, 255, 255)


def test_a_smaller_picture_lies_in_the_middle_of_its_place():
    sheet = grid([flat("black"), flat("black", (20, 10))], Layout(rows=1))
    place = np.asarray(sheet)[:, 40:, 0]
    assert (place[10:20, 10:30] == 0).all()
    assert place.sum() == 255 * (40 * 30 - 20 * 10)


def test_legends_are_written_outside_of_the_pictures():
    across, down = [[Label("night"), Label("snow", on=False)]] * 2, [[Label("cat")]]
    sheet = grid([flat("red"), flat("blue")], Layout(1, across, down))
    left, top = sheet.width - 80, sheet.height - 30
    assert (left, top > 20) == (30, True)
    pixels = np.asarray(sheet.convert("L"))
    assert pixels[:top, left:].min() < 60  # ink
    assert pixels[top:, :left].min() < 60
    assert (np.asarray(sheet)[top:, left : left + 40] == (255, 0, 0)).all()


def test_what_is_off_is_grey_and_struck_out():
    on, off = (np.asarray(grid([flat("white")], Layout(1, [[Label("snow", on)]])).convert("L")) for on in (True, False))
    assert on.min() < 60 < 140 < off.min()
    assert (off < 255).any(axis=0).sum() > (on < 255).any(axis=0).sum()  # a line has no gaps between letters


def test_long_labels_are_broken_and_made_smaller():
    label = Label("a very long label of very many words, none of which is longer than the others")
    sheet = grid([flat("white", (120, 120))] * 2, Layout(1, [[label]] * 2))
    assert sheet.width == 240
    ink = (np.asarray(sheet.convert("L")) < 128).any(axis=0)
    assert not ink[118:122].any()


def test_a_grid_that_is_too_large_is_refused_before_it_is_made():
    with pytest.raises(UsageError, match="would be 16000x16000, more than 200 million pixels"):
        grid([flat("red", (8000, 8000))] * 4, Layout(rows=2))
