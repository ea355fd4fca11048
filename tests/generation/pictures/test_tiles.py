"""Tiles cover a picture, and what is put together from them shows no seam."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from pochade.events import Step
from pochade.generation.pictures.tiles import Tiles, enlarged


def pixels(height, width, channels=3):
    return np.random.default_rng(5).integers(0, 256, (height, width, channels), dtype=np.uint8)


def repeated(factor):
    return lambda tile: tile.repeat(factor, 0).repeat(factor, 1)


def run(picture, factor, tiles, enlarge):
    """The result, and the steps that came."""
    total = tiles.count((picture.shape[1], picture.shape[0]))
    work = enlarged(picture, factor, tiles, enlarge, (Step(done, total) for done in range(1, total + 1)))
    steps = []
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            return end.value, steps


@pytest.mark.parametrize("length", [1, 191, 192, 193, 200, 376, 377, 512, 1000, 4096])
@pytest.mark.parametrize("tiles", [Tiles(), Tiles(64, 0), Tiles(64, 32), Tiles(0), Tiles(16, 3)])
def test_tiles_cover_a_side_and_share_enough(length, tiles):
    spans = tiles.spans(length)
    assert (spans[0].start, spans[-1].stop) == (0, length)
    assert {span.stop - span.start for span in spans} == {min(length, tiles.side or length)}
    assert all(after.start <= before.stop - tiles.overlap for before, after in pairwise(spans))
    assert all(before.start < after.start for before, after in pairwise(spans))


def test_tiles_lie_as_in_a1111():
    assert [span.start for span in Tiles().spans(512)] == [0, 160, 320]
    assert [span.start for span in Tiles().spans(193)] == [0, 1]
    assert Tiles().count((512, 768)) == 3 * 5


@pytest.mark.parametrize("tiles", [Tiles(16, 4), Tiles(16, 0), Tiles(16, 8), Tiles(0), Tiles(100)])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_what_does_not_look_beyond_a_pixel_comes_out_the_same(tiles, factor):
    picture = pixels(45, 37)
    result, steps = run(picture, factor, tiles, repeated(factor))
    assert np.array_equal(result, repeated(factor)(picture))
    assert [step.done for step in steps] == list(range(1, steps[0].total + 1))


def blurred(tile):
    """The mean of five pixels in a row and a column; black beyond the edge, as convolutions see it."""
    wide = np.pad(tile.astype(np.float32), ((2, 2), (2, 2), (0, 0)))
    rows = sum(wide[at : at + tile.shape[0], 2:-2] for at in range(5))
    columns = sum(wide[2:-2, at : at + tile.shape[1]] for at in range(5))
    return ((rows + columns) / 10).round().astype(np.uint8)


def test_away_from_seams_tiles_make_no_difference():
    picture, tiles = pixels(70, 90), Tiles(32, 8)
    whole, _ = run(picture, 1, Tiles(0), blurred)
    result, _ = run(picture, 1, tiles, blurred)
    seam = np.zeros(picture.shape[:2], bool)
    for span in tiles.spans(70)[1:]:
        seam[span.start : span.start + 8] = True
    for span in tiles.spans(90)[1:]:
        seam[:, span.start : span.start + 8] = True
    assert np.array_equal(result[~seam], whole[~seam])
    assert not np.array_equal(result, whole)


def test_seams_are_crossed_gradually():
    """Two tiles that disagree: black on the left, white on the right."""
    tones = iter([0, 255])
    result, _ = run(pixels(8, 28), 2, Tiles(16, 4), lambda tile: np.full((16, 32, 3), next(tones), np.uint8))
    row = result[0, :, 0].astype(int)
    assert (row[:24] == 0).all() and (row[32:] == 255).all()
    assert list(row[24:32]) == [0, 32, 64, 96, 128, 159, 191, 223]


def test_memory_stays_with_the_result():
    picture = pixels(1200, 800)
    tracemalloc.start()
    result, _ = run(picture, 2, Tiles(64, 8), repeated(2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - result.nbytes < 1_000_000
