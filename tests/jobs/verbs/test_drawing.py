import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pochade.errors import MissingFileError, StoppedError, UsageError
from pochade.events import Made, Step
from pochade.generation.picture import Picture
from pochade.generation.pictures.grids import Layout
from pochade.generation.request import Request
from pochade.jobs.context import Bench
from pochade.jobs.job import SkippedError
from pochade.jobs.queue import Queue
from pochade.jobs.verbs.pictures import Pictures
from pochade.prompts.matrix import Matrix

RED = Request("a red house", steps=2, seed=5, variation_seed=7, width=64, height=64, device="cpu")

LAYOUT = Layout.of(Matrix.read("a|b"))


def record_of(*requests, **settings):
    return Pictures(requests, output=Path("out"), **settings).to_record()


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


@pytest.fixture(scope="module")
def drawn():
    """Three pictures as the pipeline draws them."""
    drawer = Bench().drawer([])
    events = drawer.run(replace(RED, count=3, batch=2))
    return [event.result for event in events if isinstance(event, Made)]


def test_a_record_says_all_and_is_read_back():
    wanted = Pictures((RED, replace(RED, prompt="b")), "img2img", Path("out"), (Path("models"),), True, LAYOUT)
    read = Pictures.of_record(json.loads(json.dumps(wanted.to_record())))
    assert json.dumps(read.to_record()) == json.dumps(wanted.to_record())
    assert (read.requests, read.layout.across) == (wanted.requests, wanted.layout.across)
    assert Pictures.of_record({"requests": [{"prompt": "a"}]}).requests == (Request("a"),)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({}, "lacks 'requests'"),
        ({"requests": []}, "with one at least"),
        ({"requests": [{"promt": "a"}]}, "did you mean prompt"),
        ({"requests": [{}], "command": "../up"}, "must be a word"),
        ({"requests": [{}], "folder": "x"}, "no field of a job|There is no field"),
        ({"requests": [{}], "output": 3}, "must be a path"),
        ({"requests": [{}], "layout": {"rows": 1}}, "'layout' cannot be read"),
    ],
)
def test_what_cannot_be_drawn_is_told(record, told):
    with pytest.raises(UsageError, match=told):
        Pictures.of_record(record)


def test_pictures_are_those_that_the_pipeline_draws(done, drawn):
    job = done("pictures", record_of(replace(RED, count=3, batch=2)))
    assert [(each["number"], each["seed"], each["width"]) for each in job.results] == [
        (0, 5, 64),
        (1, 6, 64),
        (2, 7, 64),
    ]
    for result, picture in zip(job.results, drawn, strict=True):
        saved = Picture.open(result["path"])
        assert np.asarray(saved.image).tolist() == np.asarray(picture.image).tolist()
        assert (saved.request, saved.index, saved.infotext) == (picture.request, picture.index, picture.infotext)
    assert (job.progress.part, job.progress.parts, job.progress.fraction) == (1, 2, 1)


def test_a_second_attempt_draws_only_what_is_missing(begun, done, drawn, folder):
    """It begins with the seed that chance gave the first attempt."""
    record = record_of(replace(RED, seed=-1, count=3), RED)
    events, context, look = begun("pictures", record)
    for event in events:
        context.reporter.take(event)
        if len(context.results) == 2:
            break
    events.close()
    kept = look()
    seed = kept.results[0]["seed"]
    assert kept.record["requests"][0]["seed"] == seed
    assert kept.record["requests"][0]["model"] == ""
    before = [Path(each["path"]).stat().st_mtime_ns for each in kept.results]
    queue = Queue(folder)
    queue.claims.reclaim("test")
    queue.close()
    events, context, look = begun_again(context, kept, folder)
    made = [event for event in events if isinstance(event, Made)]
    context.reporter.tell()
    assert len(made) == 2
    job = look()
    assert [each["seed"] for each in job.results] == [seed, seed + 1, seed + 2, 5]
    assert [Path(each["path"]).stat().st_mtime_ns for each in job.results[:2]] == before
    alike = abs(pixels(job.results[3]["path"]) - np.asarray(drawn[0].image))  # which was drawn in a batch
    assert alike.max() <= 2


def begun_again(context, job, folder):
    """The same job as another worker begins it."""
    from pochade.jobs.frames import Frames
    from pochade.jobs.reporter import Reporter

    queue = Queue(folder)
    claimed = queue.claims.claim("drawing", "test")
    assert claimed.id == job.id
    reporter = Reporter(queue.claims, Frames(queue.places.frames), claimed)
    again = replace(context, job=claimed, reporter=reporter)
    return queue.verbs["pictures"].work()(claimed.record, again), again, lambda: queue.get(job.id)


def test_skipping_goes_on_with_the_next_batch(begun):
    events, context, look = begun("pictures", record_of(replace(RED, count=5, batch=2)))
    steps = 0
    event = next(events)
    while event is not None:
        context.reporter.take(event)
        steps += isinstance(event, Step)
        try:
            event = events.throw(SkippedError()) if steps == 3 and isinstance(event, Step) else next(events, None)
        except StopIteration:
            break
    assert [each["number"] for each in look().results] == [0, 1, 4]
    assert [each["seed"] for each in look().results] == [5, 6, 9]


def test_a_skip_between_two_pictures_costs_none(begun):
    events, _, look = begun("pictures", record_of(replace(RED, count=2)))
    for event in events:
        if isinstance(event, Made):
            break
    event = events.throw(SkippedError())
    for _ in events:
        pass
    assert [each["number"] for each in look().results] == [0, 1]


def test_finishing_keeps_the_batch_together(begun, folder):
    events, _, look = begun("pictures", record_of(replace(RED, count=4, batch=2), RED))
    queue = Queue(folder)
    next(events)
    queue.finish(look().id)
    with pytest.raises(StoppedError):
        list(events)
    queue.close()
    assert [each["number"] for each in look().results] == [0, 1]


def test_steps_count_within_the_part_that_is_drawn(begun):
    events, context, _ = begun("pictures", record_of(replace(RED, count=2), RED))
    seen = []
    for event in events:
        context.reporter.take(event)
        if isinstance(event, Step):
            seen.append((context.reporter.progress.part, event.done, event.total))
    assert seen == [(part, done, 2) for part in range(3) for done in (1, 2)]


def test_previews_are_made_while_somebody_looks(begun, folder):
    events, context, look = begun("pictures", record_of(RED))
    queue = Queue(folder)
    job = look()
    assert queue.preview(job.id) is None
    for event in events:
        context.reporter.take(event)
        if (frame := queue.preview(job.id)) is not None:
            break
    assert Image.open(BytesIO(frame)).size == (8, 8)
    events.close()
    queue.close()


def test_a_matrix_is_put_on_a_sheet(done):
    requests = [replace(RED, prompt=prompt) for prompt in Matrix.read("house|night").prompts()]
    job = done("pictures", record_of(*requests, layout=Layout.of(Matrix.read("house|night"))))
    *pictures, sheet = job.results
    assert (len(pictures), sheet["is_sheet"]) == (2, True)
    assert pixels(sheet["path"]).shape[1] >= 128


def test_a_folder_is_drawn_over_and_what_is_no_picture_left_out(told_of, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b", "a"):
        Image.new("RGB", (64, 64), "red").save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "c.png").write_bytes(b"none")
    job, told = told_of("pictures", record_of(replace(RED, image="in", strength=0.5), command="img2img"))
    assert "c.png: " in told
    assert [Path(each["path"]).name for each in job.results] == ["a.png", "b.png"]
    assert job.warnings[0].endswith("It is left out.")


def test_what_is_not_there_is_told_before_anything_is_loaded(done):
    with pytest.raises(MissingFileError):
        done("pictures", record_of(replace(RED, image="none.png")))
    with pytest.raises(UsageError, match=r"\.bmp"):
        done("pictures", record_of(RED) | {"output": "a.bmp"})


def test_a_worker_draws_a_job_that_outlives_whoever_added_it(folder, tmp_path, working):
    from pochade.jobs.verbs import VERBS

    queue = Queue(folder)
    job = queue.add("pictures", record_of(RED), "a red house")
    with working(VERBS):
        job = queue.wait(job.id, 60)
    queue.close()
    assert (job.state, job.error) == ("done", "")
    assert Picture.open(tmp_path / "out" / "00001-5.png").request.prompt == "a red house"
    assert not list((folder / "frames").glob("*.jpg"))
