"""Grids drawn into folders; and the one that A1111 1.10.1 drew."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pochade import Request
from pochade.errors import MalformedFileError, NumericalError, StoppedError, UsageError
from pochade.events import Made, Saved, Step, Warned
from pochade.generation.picture import Picture
from pochade.generation.xyz.drawing import GridDrawing
from pochade.generation.xyz.grid_folder import GridFolder, GridRecord, Look, check_same
from pochade.generation.xyz.plot import Plot
from tests.golden.replay import pipeline, request_of

FOLDER = Path(__file__).parents[2] / "golden"
(CASE,) = json.loads((FOLDER / "grids.json").read_text(encoding="utf-8"))
BASE = Request("a cat", seed=5, count=1, width=64, height=64)


class Painter:
    """Paints each request in one colour, and fails where it is told to."""

    def __init__(self, fails=None):
        self.drawn, self.fails = [], fails or {}

    def run(self, request):
        self.drawn.append((request.steps, request.cfg))
        if error := self.fails.get((request.steps, request.cfg)):
            raise error
        resolved = replace(request.with_seeds(), steps=request.steps or 20, sampler="Euler", schedule="Karras")
        yield Step(1, 2)
        for index in range(request.count):
            image = Image.new("RGB", (64, 64), ((request.steps or 0) * 10, int(request.cfg) * 10, index))
            yield Made(Picture.made(image, resolved, index))


@pytest.fixture
def folder(tmp_path):
    return GridFolder(tmp_path / "grid")


def draw(folder, plot, painter=None, look=None):
    painter = painter or Painter()
    drawing = GridDrawing(folder, GridRecord(plot, look or Look()), painter.run)
    return drawing, list(drawing.events()), painter.drawn


def files(folder):
    return sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file())


def test_the_grid_and_its_cells_are_the_recorded_ones(folder):
    body = dict(CASE["request"])
    assert body.pop("script_name") == "x/y/z plot"
    x, x_values, _, y, y_values, *_ = body.pop("script_args")
    names = {4: "Steps", 6: "CFG Scale"}  # places in A1111's list
    plot = Plot.of(request_of(body), f"{names[x]}={x_values}", f"{names[y]}={y_values}")
    draw(folder, plot, type("Golden", (), {"run": pipeline("goldsd1").run, "drawn": []})(), Look(legend=False))
    paths = [folder.path / "grid.png", *(folder.pictures(cell)[0] for cell in plot.cells)]
    for number, (path, infotext) in enumerate(zip(paths, CASE["infotexts"], strict=True)):
        drawn = Picture.open(path)
        with np.load(FOLDER / "grids.npz") as recorded:
            wanted = recorded[f"{CASE['id']}-{number}"].astype(int)
        assert np.abs(np.asarray(drawn.image).astype(int) - wanted).max() <= 2
        assert told(drawn.infotext) == told(infotext)


def told(infotext):
    """What is compared: A1111 leaves the noise source out of a grid's text."""
    return re.sub(r", RNG: CPU|, Version: .*|, Model hash: \w+", "", infotext)


def test_cells_are_saved_first_and_then_sheets_and_page(folder):
    _, events, _ = draw(folder, Plot.of(BASE, "Steps=1,2", "cfg=3,4"), look=Look(sub_grids=True))
    saved = [event.path.name for event in events if isinstance(event, Saved)]
    assert saved[4:] == ["grid.png", "grid.html"]
    assert len(files(folder)) == 7
    assert [event.what for event in events if isinstance(event, Step)] == [f"cell {n} of 4" for n in (1, 2, 3, 4)]
    image = np.asarray(Picture.open(folder.path / "grid.png").image)
    assert (image[-1, -1] == (20, 40, 0)).all()


def test_planes_have_sheets_of_their_own_if_wanted(folder):
    plot = Plot.of(BASE, "Steps=1,2", z="clip_skip=1,2")
    _, events, _ = draw(folder, plot, look=Look(sub_grids=True, html=False))
    saved = [event.path.name for event in events if isinstance(event, Saved)]
    assert saved[4:] == ["grid.png", "grid-z1.png", "grid-z2.png"]
    assert "Z Type: Clip skip" in Picture.open(folder.path / "grid.png").infotext
    assert "Z Type" not in Picture.open(folder.path / "grid-z2.png").infotext
    assert "Clip skip: 2" in Picture.open(folder.path / "grid-z2.png").infotext


def test_only_what_is_missing_is_drawn(folder):
    plot = Plot.of(BASE, "Steps=1,2", "cfg=3,4")
    draw(folder, plot)
    before = (folder.path / "grid.png").read_bytes()
    assert draw(folder, plot)[2] == []
    folder.pictures(plot.cells[2])[0].unlink()
    assert draw(folder, plot)[2] == [(1, 4.0)]
    assert (folder.path / "grid.png").read_bytes() == before


def test_a_longer_axis_adds_its_cells(folder):
    draw(folder, Plot.of(BASE, "Steps=1,2", "cfg=3,4"))
    assert draw(folder, Plot.of(BASE, "Steps=1-3", "cfg=4,3"))[2] == [(3, 4.0), (3, 3.0)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: Image.new("RGB", (64, 64)).save(path),
        lambda path: Picture.made(Image.new("RGB", (8, 8)), replace(BASE, steps=1, cfg=9.0), 0).save(path),
    ],
)
def test_a_picture_that_is_not_what_is_wanted_is_drawn_anew(folder, spoil):
    plot = Plot.of(BASE, "Steps=1,2", "cfg=3,4")
    draw(folder, plot)
    spoil(folder.pictures(plot.cells[0])[0])
    assert draw(folder, plot)[2] == [(1, 3.0)]


def test_several_pictures_of_a_cell_lie_side_by_side(folder):
    plot = Plot.of(replace(BASE, count=4, batch=2), "Steps=1,2")
    draw(folder, plot, look=Look(legend=False))
    assert len(files(folder)) == 8 + 3
    assert Picture.open(folder.path / "grid.png").image.size == (4 * 64, 2 * 64)
    assert draw(folder, plot)[2] == []


def test_cells_left_to_chance_stay_once_they_are_drawn(folder):
    plot = Plot.of(replace(BASE, seed=-1, count=2), "Steps=1,2", own_seeds=True).settled()
    draw(folder, plot)
    seeds = {Picture.open(path).seed for cell in plot.cells for path in folder.pictures(cell)}
    assert len(seeds) == 4
    assert draw(folder, plot)[2] == []


def test_equal_cells_are_drawn_once(folder):
    assert draw(folder, Plot.of(BASE, "Steps=7,7,8"))[2] == [(7, 7.0), (8, 7.0)]


def test_a_cell_that_fails_is_left_out_with_its_reason(folder):
    plot = Plot.of(BASE, "Steps=1,2", "cfg=3,4")
    painter = Painter({(2, 3.0): NumericalError("The model gave NaN."), (1, 4.0): MemoryError()})
    drawing, events, _ = draw(folder, plot, painter)
    assert {str(failure) for failure in drawing.failures.values()} == {"The model gave NaN.", "Memory ran out."}
    notes = [event.message for event in events if isinstance(event, Warned)]
    assert notes[0] == "Steps: 2, CFG Scale: 3.0 is left out. The model gave NaN."
    record = json.loads((folder.path / "grid.json").read_text(encoding="utf-8"))
    assert [cell.get("error") for cell in record["cells"]] == [None, "The model gave NaN.", "Memory ran out.", None]
    assert "The model gave NaN." in (folder.path / "grid.html").read_text(encoding="utf-8")
    assert draw(folder, plot)[2] == [(2, 3.0), (1, 4.0)]
    assert "error" not in (folder.path / "grid.json").read_text(encoding="utf-8")


def test_a_grid_of_which_nothing_can_be_drawn_fails_as_its_first_cell(folder):
    broken = Painter({(1, 7.0): NumericalError("First."), (2, 7.0): NumericalError("Second.")})
    with pytest.raises(NumericalError, match=r"First\."):
        draw(folder, Plot.of(BASE, "Steps=1,2"), broken)


@pytest.mark.parametrize(
    "error", [StoppedError("Stopped."), KeyboardInterrupt(), RuntimeError("a mistake"), OSError(28)]
)
def test_what_concerns_all_cells_ends_the_work_and_what_was_drawn_stays(folder, error):
    plot = Plot.of(BASE, "Steps=1,2,3")
    with pytest.raises(type(error)):
        draw(folder, plot, Painter({(2, 7.0): error}))
    assert draw(folder, plot)[2] == [(2, 7.0), (3, 7.0)]


def test_a_cell_whose_files_are_missing_is_told_before_anything_is_drawn(folder):
    def locate(request):
        if request.model == "two":
            raise UsageError("There is no checkpoint named 'two'.")
        return request

    with pytest.raises(UsageError, match=r"^Checkpoint name: two: There is no checkpoint named 'two'\.$"):
        GridDrawing(folder, GridRecord(Plot.of(BASE, "model=one,two")), Painter().run, locate)
    assert not folder.path.exists()


def test_a_note_that_is_true_of_many_cells_is_told_once(folder):
    class Doubtful(Painter):
        def run(self, request):
            yield Warned("The LoRA 'fox' is not in the folders of models; it has no effect.")
            yield from super().run(request)

    _, events, _ = draw(folder, Plot.of(BASE, "Steps=1,2,3"), Doubtful())
    assert len([event for event in events if isinstance(event, Warned)]) == 1


def test_pages_of_a_larger_grid_are_removed(folder, monkeypatch):
    plot = Plot.of(BASE, "Steps=1-4", "cfg=1-4")
    monkeypatch.setattr("pochade.generation.xyz.sheets.MOST_PIXELS", 64 * 64 * 9)
    drawing, _, _ = draw(folder, plot)
    assert [path.name for path in drawing.sheets] == [f"grid-{number}.png" for number in range(1, 5)]
    monkeypatch.undo()
    drawing = GridDrawing(folder, folder.read(), Painter().run)
    assert [event.path.name for event in drawing.events() if isinstance(event, Saved)] == ["grid.png", "grid.html"]
    assert [name for name in files(folder) if "/" not in name] == ["grid.html", "grid.json", "grid.png"]


def test_a_record_gives_the_same_plot_again(folder):
    plot = Plot.of(Request("a", seed=-1), "Seed=-1,3", "Size=64x64,128x64", "Prompt S/R=a,b", varied="y").settled()
    record = GridRecord(plot, Look(margin=3, legend=False), ("grid.png",))
    folder.write(record)
    again = folder.read()
    assert (again.look, again.sheets) == (record.look, record.sheets)
    assert again.plot.cells == plot.cells


def test_a_folder_of_other_things_is_not_touched(folder):
    assert folder.read() is None
    folder.path.mkdir()
    (folder.path / "holiday.png").touch()
    with pytest.raises(UsageError, match="is there already, and is no grid's folder; name another"):
        folder.read()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2}', '{"axes": [1, 2, 3]}', '{"axes": [], "request": {}}', "\x00"]
)
def test_a_broken_record_is_told(folder, text):
    folder.path.mkdir()
    (folder.path / "grid.json").write_text(text)
    with pytest.raises(MalformedFileError, match="this record of a grid cannot be read"):
        folder.read()


def test_a_folder_is_for_one_grid(folder):
    plot = Plot.of(BASE, "Steps=1,2")
    check_same(folder, plot, Plot.of(BASE, "Steps=3,4"))
    with pytest.raises(
        UsageError, match=r"holds another grid, of Steps, Nothing, Nothing; name another folder with -o\."
    ):
        check_same(folder, plot, Plot.of(BASE, "cfg=1,2"))
    with pytest.raises(UsageError, match=r"holds another grid, whose prompt is 'a cat' and not 'a dog'; name another"):
        check_same(folder, plot, Plot.of(replace(BASE, prompt="a dog"), "Steps=1,2"))


def test_letters_that_no_font_has_are_told(folder, monkeypatch):
    monkeypatch.setattr("pochade.generation.pictures.fonts._folders", lambda: ())
    _, events, _ = draw(folder, Plot.of(replace(BASE, prompt="猫"), "Prompt S/R=猫,狗"))
    (note,) = [event.message for event in events if isinstance(event, Warned)]
    assert note == "No font on this machine has 狗猫; the legend of the sheets shows boxes instead."
