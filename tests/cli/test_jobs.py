"""`pochade jobs`: what the queue holds is shown, and steered by numbers."""

import json

import pytest

from pochade.jobs import Queue


@pytest.fixture
def queue(run, tmp_path, monkeypatch):
    """The user's queue, with nobody who works."""
    monkeypatch.setenv("POCHADE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("pochade.jobs.ensure_workers", lambda queue: [])
    monkeypatch.setattr("pochade.jobs.watching.ensure_workers", lambda queue: [])
    found = Queue()
    yield found
    found.close()


@pytest.fixture
def waiting(queue):
    """Three jobs that wait."""
    record = {"source": "none.ckpt", "target": "x.safetensors"}
    return [queue.add("convert", record, f"job {letter}").id for letter in "abc"]


def order(queue):
    return [job.id for job in queue.jobs(["queued"])]


def test_an_empty_queue_is_told(run, queue):
    assert run("jobs").stdout == "There are no jobs.\n"
    assert json.loads(run("jobs", "--json").stdout) == []


def test_jobs_are_listed_in_their_order(run, queue, waiting):
    queue.cancel(waiting[0])
    lines = run("jobs").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATE", "VERB", "PROGRESS", "LABEL"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["2", "queued", "convert"],
        ["3", "queued", "convert"],
        ["1", "stopped", "convert"],
    ]
    told = json.loads(run("jobs", "list", "--json", "--limit", 1).stdout)
    assert (told[0]["id"], told[0]["record"]["source"], told[0]["progress"]["fraction"]) == (2, "none.ckpt", 0)
    assert len(json.loads(run("jobs", "list", "--state", "stopped", "--json").stdout)) == 1


def test_one_job_is_shown(run, queue, waiting):
    job = queue.claims.claim("files", "files")
    queue.claims.report(job, job.progress, ["It is slow."], [{"path": "/x/y.png"}])
    queue.claims.end(job, "failed", "It is broken.", 3)
    told = run("jobs", "show", job.id).stdout
    assert told.startswith("job 1, convert: failed\n")
    for words in ("label    job a", "note     It is slow.", "saved    /x/y.png", "error    It is broken."):
        assert words in told
    assert json.loads(run("jobs", "show", job.id, "--json").stdout)["exit_code"] == 3


def test_the_order_is_changed(run, queue, waiting):
    first, second, third = waiting
    assert run("jobs", "move", third, "--before", first).exit_code == 0
    assert order(queue) == [third, first, second]
    assert run("jobs", "move", third).stdout == f"Job {third} is queued.\n"
    assert run("jobs", "move", second, "--priority", 1).exit_code == 0
    assert order(queue) == [second, first, third]
    assert run("jobs", "move", second, "--priority", 1, "--before", first).exit_code == 2


def test_jobs_are_cancelled_tried_again_and_cleared(run, queue, waiting):
    assert run("jobs", "cancel", waiting[0]).stdout == f"Job {waiting[0]} is stopped.\n"
    assert run("jobs", "retry", waiting[0]).stdout == f"Job {waiting[0]} is queued.\n"
    assert order(queue) == [*waiting[1:], waiting[0]]
    run("jobs", "stop", waiting[1])
    assert run("jobs", "clear").stdout == "1 job was taken out of the history.\n"
    assert run("jobs", "clear", waiting[2]).exit_code == 2


def test_what_runs_is_steered(run, queue, waiting):
    queue.claims.claim("files", "files")
    with _held(queue):
        assert run("jobs", "skip", 1).exit_code == 2
        assert run("jobs", "stop", 1).stdout == "Job 1 is about to stop.\n"
    assert queue.get(1).wish == "stop"


def _held(queue):
    """The lock of a worker that lives."""
    from contextlib import closing

    lock = queue.places.lock("files")
    assert lock.acquire()
    lock.close = lock.release
    return closing(lock)


def test_the_queue_is_paused_and_goes_on(run, queue, waiting):
    assert run("jobs", "pause").exit_code == 0
    assert "The queue is paused" in run("jobs").stdout
    assert run("jobs", "resume").exit_code == 0
    assert not queue.is_paused


def test_watching_ends_with_the_code_of_the_job(run, queue, waiting, monkeypatch):
    def work(queue):
        """Do the next job as soon as somebody waits for it."""
        if job := queue.claims.claim("files", "files"):
            queue.claims.report(job, job.progress, [], [{"path": f"/x/{job.id}.png"}])
            queue.claims.end(job, "failed", "It is broken.", 3)

    monkeypatch.setattr("pochade.jobs.watching.ensure_workers", work)
    done = run("jobs", "watch")
    assert (done.exit_code, done.stdout) == (3, "/x/1.png\n/x/2.png\n/x/3.png\n")
    assert "Job 2 failed: It is broken." in done.stderr


def test_the_queue_is_worked_through_in_the_terminal(run, queue, waiting):
    done = run("jobs", "run", "--lane", "files", "--idle", 0)
    assert done.exit_code == 0
    assert "1 convert: failed none.ckpt: " in done.stderr
    assert {job.exit_code for job in queue.jobs()} == {3}
    assert run("jobs", "run", "--lane", "kitchen").exit_code == 2


def test_a_second_worker_is_refused(run, queue, monkeypatch):
    monkeypatch.setattr("pochade.jobs.worker._STARTING", 0)
    with _held(queue):
        done = run("jobs", "run", "--lane", "files", "--idle", 0)
    assert done.exit_code == 2
    assert "is there already" in done.stderr


def test_drawing_is_put_into_the_queue(run, queue, tmp_path):
    done = run("txt2img", "a red house", "--count", 2, "--seed", 5, "-o", "out", "--queue")
    assert (done.exit_code, done.stdout) == (0, "1\n")
    job = queue.get(1)
    assert (job.verb, job.label, job.folder, job.record["output"]) == ("pictures", "a red house", str(tmp_path), "out")
    assert (job.record["requests"][0]["seed"], job.record["requests"][0]["count"]) == (5, 2)
    assert json.loads(run("txt2img", "a|b", "--matrix", "--queue", "--json").stdout) == {"job": 2}
    assert queue.get(2).record["layout"]["rows"] == 1
    assert run("txt2img", "a", "-o", "x.bmp", "--queue").exit_code == 2
    assert run("img2img", "a", "--image", "none.png", "--queue").exit_code == 0  # it may come before the job begins


def test_a_number_that_no_job_has_is_2(run, queue):
    done = run("jobs", "show", 99)
    assert (done.exit_code, done.stderr) == (
        2,
        "Error: There is no job 99; `pochade jobs` shows those that there are.\n",
    )


def test_a_damaged_queue_is_told_once(run, queue):
    queue.add("convert", {})
    queue.close()
    queue.places.database.write_bytes(b"no database" * 100)
    assert "Note: The queue was damaged" in run("jobs").stderr
    assert run("jobs").stderr == ""
