import numpy as np
import pytest
from PIL import Image

from pochade import Request
from pochade.generation.xyz import sheets
from pochade.generation.xyz.grid_folder import Look
from pochade.generation.xyz.plot import Plot
from pochade.generation.xyz.sheets import parts_of, sheet, with_script

BARE = Look(legend=False)
TEXT = "a cat\nNegative prompt: mush, Version: 3\nSteps: 4, Seed: 5, Version: pochade 1"


def image_of(place):
    return Image.new("RGB", (64, 32), tuple(10 * index for index in place))


def whole(plot):
    (part,) = parts_of(plot.counts, (64, 32), 0)
    return part


def test_planes_lie_side_by_side():
    plot = Plot.of(Request("a"), "Steps=1-3", "cfg=1,2", "clip_skip=1,2")
    drawn = sheet(plot, whole(plot), image_of, BARE, titled=True)
    assert drawn.size == (2 * 3 * 64, 2 * 32)
    assert [drawn.getpixel((x, 40)) for x in (0, 64, 191, 192, 383)] == [
        *((0, 10, 0), (10, 10, 0), (20, 10, 0), (0, 10, 10), (20, 10, 10))
    ]


def test_a_legend_is_above_and_beside_and_each_plane_has_its_name():
    plot = Plot.of(Request("a"), "Steps=1-3", "cfg=1,2", "clip_skip=1,2")
    with_all, without = (sheet(plot, whole(plot), image_of, Look(), titled) for titled in (True, False))
    assert with_all.width == 2 * (3 * 64 + 48)
    assert with_all.height > without.height > 64
    bare = Plot.of(Request("a"), "Steps=1-3")
    assert sheet(bare, whole(bare), image_of, Look(), titled=True).width == 3 * 64


def test_a_title_is_no_larger_than_twice_the_legend_s_letters():
    plot = Plot.of(Request("a"), "Seed=1-60", z="clip_skip=1,2")
    drawn = np.asarray(sheet(plot, whole(plot), image_of, Look(), titled=True).convert("L"))
    assert drawn.shape[0] - 32 < 100


def test_a_large_grid_takes_several_pages_none_of_which_is_too_large(monkeypatch):
    monkeypatch.setattr(sheets, "MOST_PIXELS", 64 * 32 * 40)
    plot = Plot.of(Request("a"), "Seed=1-9", "cfg=1-8", "clip_skip=1,2")
    parts = parts_of(plot.counts, (64, 32), 2)
    places = [place for part in parts for plane in part.planes for place in part.places(plane)]
    assert sorted(places) == sorted(cell.place for cell in plot.cells)
    for part in parts:
        assert len(part.planes) == 1
        drawn = sheet(plot, part, image_of, Look(margin=2), titled=True)
        assert drawn.width * drawn.height <= 64 * 32 * 40


@pytest.mark.parametrize(
    ("counts", "most"), [((10_000, 1, 1), 250), ((1, 10_000, 1), 250), ((100, 100, 1), 64), ((7, 11, 13), 13)]
)
def test_pages_are_few_and_no_side_is_too_long(counts, most):
    parts = parts_of(counts, (512, 512), 0)
    assert len(parts) <= most
    assert all(max(len(part.columns), len(part.rows)) * 512 < sheets.LONGEST_SIDE for part in parts)


def test_one_cell_is_a_page_however_large_it_is():
    assert len(parts_of((1, 1, 2), (8192, 8192), 0)) == 2


def test_a_sheet_s_text_tells_of_its_axes_as_a1111_does():
    plot = Plot.of(Request("a", seed=1), "Steps=4-8 [3]", "Seed=-1,7", "Prompt S/R=a,b").settled()
    fixed = ", ".join(map(str, plot.axes[1].values))
    script = (
        "Script: X/Y/Z plot, X Type: Steps, X Values: 4-8 [3], Y Type: Seed, "
        f'Y Values: "-1,7", Fixed Y Values: "{fixed}"'
    )
    assert with_script(TEXT, plot, with_planes=False).endswith(f"Seed: 5, {script}, Version: pochade 1")
    assert with_script(TEXT, plot).endswith(f'{script}, Z Type: Prompt S/R, Z Values: "a,b", Version: pochade 1')
    assert with_script("a\nSteps: 4", Plot.of(Request("a"), "cfg=1")).endswith(
        "Steps: 4, Script: X/Y/Z plot, X Type: CFG Scale, X Values: 1"
    )
