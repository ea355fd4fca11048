"""Upscaling, hints, grids, trainings, the library: each verb once, and what is special in a queue."""

# ruff: noqa: F401, F811
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pochade import files
from pochade.errors import FileError, UnknownNameError, UsageError
from pochade.events import Made, Step
from pochade.generation.request import Request
from pochade.generation.xyz.grid_folder import GridRecord
from pochade.generation.xyz.plot import Plot
from pochade.jobs.job import SkippedError
from pochade.library.hashes import remembered
from tests.library.downloads.conftest import home, lora, site
from tests.library.downloads.server import File
from tests.training.test_scratch import RECIPE


def put_picture(name, size=(16, 8)):
    Image.new("RGB", size, "red").save(name)


def size_of(result):
    with Image.open(result["path"]) as image:
        return image.size


def test_pictures_are_made_larger_and_bad_ones_left_out(told_of, folder):
    for name in ("a.png", "b.png"):
        put_picture(name)
    Path("bad.png").write_bytes(b"none")
    record = {"images": ["a.png", "bad.png", "b.png"], "scale": 2, "upscaler": "nearest", "output": "out"}
    job, told = told_of("upscale", record)
    assert told.startswith("bad.png: ")
    assert [(Path(each["source"]).name, size_of(each)) for each in job.results] == [
        ("a.png", (32, 16)),
        ("b.png", (32, 16)),
    ]
    assert "bad.png" in job.warnings[0]
    assert job.progress.parts == 3


def test_one_picture_is_skipped_and_those_that_are_done_stay(begun, folder):
    for name in ("a.png", "b.png"):
        put_picture(name)
    events, context, look = begun("upscale", {"images": ["a.png", "b.png"], "output": "out"})
    context.reporter.keep({"path": "out/a.png", "source": str(Path("a.png").absolute())})
    made = [event for event in events if isinstance(event, Made)]
    assert (len(made), [Path(each["path"]).name for each in look().results]) == (1, ["a.png", "b.png"])


def test_a_hint_is_saved(done, folder):
    put_picture("a.png", (64, 64))
    job = done("preprocess", {"unit": {"preprocessor": "canny"}, "image": "a.png", "output": "x.png", "size": [32, 32]})
    assert [size_of(each) for each in job.results] == [(32, 32)]
    with pytest.raises(UsageError, match="begins with"):
        done("preprocess", {"unit": {"preprocessor": "canny"}, "image": "a.png", "output": "a.png"})


@pytest.fixture
def grid():
    request = Request("a red house", steps=1, seed=5, width=64, height=64, device="cpu")
    return GridRecord(Plot.of(request, "Steps=1,2")).to_dict()


def test_a_grid_is_drawn_and_only_what_is_missing_again(done, folder, grid):
    job = done("grid", {"grid": grid, "output": "out"})
    names = {Path(each["path"]).parent.name for each in job.results}
    assert (names, (job.progress.part, job.progress.parts)) == ({"cells", "out"}, (1, 2))
    cells = sorted(Path("out/cells").iterdir())
    assert len(cells) == 2
    cells[0].unlink()
    again = done("grid", {"grid": grid, "output": "out"})
    assert len([each for each in again.results if Path(each["path"]).parent.name == "cells"]) == 1
    assert (again.progress.part, again.progress.parts) == (1, 2)


def test_a_grids_folder_is_settled_and_a_skipped_cell_left_out(begun, folder, grid):
    events, _, look = begun("grid", {"grid": grid})
    told = [events.throw(SkippedError()) for event in events if isinstance(event, Step) and event.total == 1]
    place = Path(look().record["output"])
    assert place.parts[-4:-2] == ("outputs", "grid")
    assert len(list((place / "cells").iterdir())) == 1
    assert [each.message for each in told] == ["Steps: 1 is left out. It was skipped."]


def test_a_cell_that_fails_leaves_the_others_and_is_told(begun, folder):
    request = Request("a", steps=1, width=64, height=64, device="cpu")
    events, _, look = begun("grid", {"grid": GridRecord(Plot.of(request, "Clip skip=1,12")).to_dict(), "output": "out"})
    with pytest.raises(UsageError, match="clip_skip"):
        list(events)
    assert len(list(Path("out/cells").iterdir())) == 1
    assert [Path(each["path"]).name for each in look().results] == ["grid.png"]


def test_a_training_goes_on_with_what_its_folder_holds(begun, folder):
    Path("recipe.toml").write_text(RECIPE)
    record = {"method": "native", "config": "recipe.toml", "output": "run"}
    events, context, _ = begun("train", record)
    for event in events:
        context.reporter.take(event)
        if context.results:
            break
    events.close()
    events, _, _ = begun("train", record)
    first = next(event for event in events if isinstance(event, Step))
    events.close()
    assert Path(context.results[0]["path"]).parent.name != first.what  # that stage is complete


def test_a_method_that_nobody_knows_is_told(done, folder):
    with pytest.raises(UnknownNameError, match="training method"):
        done("train", {"method": "magic", "config": "recipe.toml", "output": "run"})


def test_the_library_is_indexed(done, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("pochade.library.database.location", lambda: tmp_path / "library.sqlite")
    Path("models").mkdir()
    model = files.save("models/a.safetensors", {"a": np.ones(4, np.float32)})
    done("index", {"models": ["models"], "hash": True})
    assert remembered(model)


def test_a_model_is_downloaded(done, folder, site, lora):
    site.routes["/a.safetensors"] = File(lora)
    job = done("download", {"source": f"{site.address}/a.safetensors", "to": "here"})
    assert Path(job.results[0]["path"]).parts[-2:] == ("here", "a.safetensors")
    with pytest.raises(FileError, match="404"):
        done("download", {"source": f"{site.address}/gone.safetensors"})


def test_secrets_are_not_written_down(done, folder):
    with pytest.raises(UnknownNameError, match="token"):
        done("download", {"source": "https://localhost/a", "token": "hf_secret"})
