import signal
import time
from pathlib import Path

import pytest

from pochade.errors import UsageError
from pochade.jobs.queue import Queue
from pochade.jobs.worker import Worker
from tests.jobs.conftest import until
from tests.jobs.pretend import VERBS

LATENCY = 0.5  # seconds between two looks, and time of a busy machine


def test_jobs_are_done_in_turn_and_tell_what_became_of_them(queue, working):
    jobs = [queue.add("count", {"steps": 2}), queue.add("parts", {"parts": 2}), queue.add("count", {})]
    with working():
        ended = [queue.wait(job.id, 20) for job in jobs]
    assert [(job.state, job.exit_code, job.worker) for job in ended] == [("done", 0, "")] * 3
    assert [Path(each["path"]).name for each in ended[1].results] == ["part-0.txt", "part-1.txt"]
    assert (ended[0].progress.done, ended[0].progress.fraction, ended[1].progress.fraction) == (2, 1, 1)
    assert ended[0].started <= ended[0].finished <= ended[1].started


@pytest.mark.parametrize(
    ("how", "code", "sentence"),
    [
        ("file", 3, "a.ckpt: is broken."),
        ("memory", 5, "Memory ran out; "),
        ("mistake", 1, "This is a mistake in Pochade: KeyError: 'x'"),
    ],
)
def test_a_failure_is_one_sentence_and_a_code_and_the_next_job_is_done(queue, working, how, code, sentence):
    failing, fine = queue.add("fails", {"how": how}), queue.add("count", {})
    with working():
        job = queue.wait(failing.id, 20)
        assert queue.wait(fine.id, 20).state == "done"
    assert (job.state, job.exit_code, job.warnings) == ("failed", code, ("It will not go well.",))
    assert job.error.startswith(sentence)


def test_a_verb_and_a_folder_that_are_gone_are_told(queue, working, tmp_path):
    newer = Queue(queue.places.folder, VERBS | {"scry": VERBS["count"]})
    old = newer.add("scry", {})
    newer.close()
    (tmp_path / "gone").mkdir()
    lost = queue.add("count", {}, folder=tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with working():
        assert "There is no verb named 'scry'" in queue.wait(old.id, 20).error
        assert "gone: No such file or directory" in queue.wait(lost.id, 20).error


def test_stopping_takes_one_step_and_keeps_what_is_saved(queue, working):
    job = queue.add("parts", {"parts": 9, "steps": 5, "pause": 0.05})
    with working():
        until(lambda: queue.get(job.id).results)
        begun = time.monotonic()
        queue.stop(job.id)
        job = queue.wait(job.id, 20)
        assert time.monotonic() - begun < LATENCY
    assert (job.state, job.exit_code, job.wish) == ("stopped", 4, "")
    assert 1 <= len(job.results) <= 3
    assert {Path(each["path"]).read_text() for each in job.results} == {"made\n"}


def test_skipping_goes_on_with_the_next_part(queue, working):
    job = queue.add("parts", {"parts": 3, "steps": 200, "pause": 0.02})
    with working():
        for part in range(3):
            until(lambda part=part: queue.get(job.id).progress.part == part and queue.get(job.id).progress.done)
            begun = time.monotonic()
            queue.skip(job.id)
            until(lambda: not queue.get(job.id).wish)
            assert time.monotonic() - begun < LATENCY
        job = queue.wait(job.id, 20)
    assert (job.state, job.results) == ("done", ())


def test_finishing_ends_behind_the_part_that_is_being_made(queue, working):
    job = queue.add("parts", {"parts": 3, "steps": 10, "pause": 0.02})
    with working():
        until(lambda: queue.get(job.id).progress.done)
        queue.finish(job.id)
        job = queue.wait(job.id, 20)
    assert (job.state, len(job.results)) == ("stopped", 1)


def test_a_stopped_job_goes_on_where_it_was(queue, working):
    job = queue.add("parts", {"parts": 4, "steps": 5, "pause": 0.02})
    with working():
        until(lambda: queue.get(job.id).results)
        queue.stop(job.id)
        queue.wait(job.id, 20)
        queue.retry(job.id)
        job = queue.wait(job.id, 20)
    assert (job.state, job.error, len(job.results)) == ("done", "", 4)
    assert {Path(each["path"]).read_text() for each in job.results} == {"made\n"}


def test_a_killed_worker_loses_nothing(queue, process):
    """Two parts are there when the first worker dies, and are not made again by the second one."""
    job, next_one = queue.add("parts", {"parts": 4, "kills_after": 1}), queue.add("count", {})
    process().wait(20)
    assert queue.get(job.id).state == "running"
    process().wait(20)
    done = queue.get(job.id)
    assert (done.state, len(done.results), queue.get(next_one.id).state) == ("done", 4, "done")
    assert [Path(each["path"]).read_text() for each in done.results] == ["made\n"] * 4


def test_a_job_that_kills_its_worker_twice_has_failed(queue, process):
    deadly, harmless = queue.add("dies", {}), queue.add("count", {})
    for _ in range(3):
        process().wait(20)
    job = queue.get(deadly.id)
    assert (job.state, job.exit_code, job.attempts) == ("failed", 5, 2)
    assert "ended 2 times in the middle" in job.error
    assert queue.get(harmless.id).state == "done"


def test_who_waits_notices_that_the_worker_died(queue, process, monkeypatch):
    monkeypatch.setattr("pochade.jobs.queue._RECOVERING", 0.05)
    job = queue.add("dies", {})
    process().wait(20)
    number = queue.get(job.id).change
    assert queue.changes(number, timeout=20)[1][0].state == "queued"
    process().wait(20)
    assert queue.wait(job.id, timeout=20).state == "failed"


def test_a_job_that_should_stop_when_its_worker_died_does_not_begin_again(queue, process):
    job = queue.add("count", {"steps": 1000, "pause": 5})
    worker = process()
    until(lambda: queue.get(job.id).state == "running")
    queue.stop(job.id)
    worker.kill()
    worker.wait()
    queue.recover()
    assert queue.get(job.id).state == "stopped"


def test_chance_is_settled_for_the_second_attempt(queue, process, tmp_path):
    job = queue.add("settles", {})
    process().wait(20)
    lot = queue.get(job.id).record["lot"]
    process().wait(20)
    assert queue.get(job.id).state == "done"
    assert (tmp_path / "lot.txt").read_text() == str(lot)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_a_worker_puts_its_job_back(queue, process, number):
    job, other = queue.add("parts", {"parts": 100, "pause": 0.02}), queue.add("count", {})
    worker = process(idle=60)
    until(lambda: queue.get(job.id).results)
    worker.send_signal(number)
    assert worker.wait(20) == 0
    job = queue.get(job.id)
    assert (job.state, job.attempts, job.worker) == ("queued", 0, "")
    assert [each.id for each in queue.jobs()] == [job.id, other.id]


@pytest.mark.parametrize("wish", ["stop", "finish"])
def test_a_wish_to_stop_survives_the_end_of_the_worker(queue, working, wish):
    job = queue.add("parts", {"parts": 100, "pause": 0.02})
    with working() as worker:
        until(lambda: queue.get(job.id).progress.done)
        worker.end()
        getattr(queue, wish)(job.id)
    assert queue.get(job.id).state == "stopped"


def test_a_wish_that_came_meanwhile_is_not_lost(queue):
    queue.add("parts", {"parts": 2})
    job = queue.claims.claim("drawing", "drawing")
    queue.skip(job.id)
    queue.stop(job.id)
    queue.claims.grant(job, "skip")
    assert queue.claims.wish(job) == "stop"


def test_there_is_one_worker_of_a_name(queue, working, monkeypatch):
    monkeypatch.setattr("pochade.jobs.worker._STARTING", 0.1)
    with working():
        until(lambda: queue.places.lock("drawing").is_held())
        assert queue.places.lock("drawing").holder() is not None
        assert Worker(queue, "drawing").serve(idle=0) is False
    assert not queue.places.lock("drawing").is_held()
    assert Worker(queue, "drawing").serve(idle=0) is True


def test_two_workers_share_a_lane(queue, working, folder):
    jobs = [queue.add("count", {"steps": 2, "pause": 0.05}) for _ in range(6)]
    second = Worker(Queue(folder, VERBS), "drawing", "drawing-1", tell=lambda text: None)
    with working():
        second.serve(idle=0.3)
        assert {queue.wait(job.id, 20).state for job in jobs} == {"done"}
        assert {queue.get(job.id).attempts for job in jobs} == {1}
    second.queue.close()


def test_a_job_that_was_taken_away_is_let_go(queue, working):
    job = queue.add("count", {"steps": 500, "pause": 0.02})
    with working():
        until(lambda: queue.get(job.id).progress.done)
        queue.claims.reclaim("drawing")  # as if the lock had been lost
        until(lambda: queue.get(job.id).state == "running")
        assert queue.get(job.id).attempts == 2
        queue.stop(job.id)
        assert queue.wait(job.id, 20).state == "stopped"


def test_an_outcome_is_written_down_when_the_disk_has_room_again(queue, working, monkeypatch):
    from pochade.errors import ResourceError
    from pochade.jobs.claims import Claims

    report, tries = Claims.report, []

    def reports(*arguments):
        tries.append(1)
        if len(tries) < 3:
            raise ResourceError("The disk is full.")
        report(*arguments)

    monkeypatch.setattr(Claims, "report", reports)
    monkeypatch.setattr("pochade.jobs.worker._RETRY", 0.05)
    job = queue.add("parts", {"parts": 1})
    with working():
        assert len(queue.wait(job.id, 20).results) == 1


def test_a_wish_for_a_job_that_has_ended_is_refused(queue, working):
    job = queue.add("count", {})
    with working():
        queue.wait(job.id, 20)
    with pytest.raises(UsageError, match="is done"):
        queue.stop(job.id)
    with pytest.raises(UsageError, match="only what failed or was stopped"):
        queue.retry(job.id)
