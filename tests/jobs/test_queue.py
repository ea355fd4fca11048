import json
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from pochade.errors import UnknownNameError, UsageError
from pochade.jobs.job import UnknownJobError
from pochade.jobs.queue import Queue
from tests.jobs.conftest import ROOT


def states(queue):
    return {job.id: job.state for job in queue.jobs()}


def test_a_job_is_kept_as_it_was_wished(queue, folder, tmp_path):
    job = queue.add("count", {"steps": 2, "words": ["ä", None, 0.5]}, "a \x1b[31mred house", priority=3)
    assert (job.verb, job.label, job.state, job.priority) == ("count", "a \\x1b[31mred house", "queued", 3)
    assert (job.record, job.folder) == ({"steps": 2, "words": ["ä", None, 0.5]}, str(tmp_path))
    again = Queue(folder)
    assert again.get(job.id) == job
    assert json.loads(json.dumps(job.to_dict()))["progress"]["fraction"] == 0
    again.close()


def test_numbers_only_grow(queue):
    first, second = queue.add("count", {}), queue.add("count", {})
    queue.cancel(second.id)
    queue.clear()
    assert first.id < second.id < queue.add("count", {}).id


def test_what_cannot_be_done_is_not_taken(queue):
    with pytest.raises(UnknownNameError, match="did you mean count"):
        queue.add("coumt", {})
    with pytest.raises(UsageError, match="plain values"):
        queue.add("count", {"path": Path("a")})
    with pytest.raises(UsageError, match="plain values"):
        queue.add("count", {"cfg": float("nan")})
    assert queue.jobs() == []


def test_a_job_that_waits_can_be_edited_and_one_that_runs_cannot(queue):
    job = queue.add("count", {"steps": 1})
    assert queue.edit(job.id, {"steps": 9}).record == {"steps": 9}
    queue.claims.claim("drawing", "drawing")
    for change in (
        lambda: queue.edit(job.id, {}),
        lambda: queue.move(job.id),
        lambda: queue.prioritise(job.id, 5),
        lambda: queue.cancel(job.id),
        lambda: queue.retry(job.id),
        lambda: queue.clear([job.id]),
    ):
        with pytest.raises(UsageError, match=f"Job {job.id} is running"):
            change()
    assert queue.get(job.id).record == {"steps": 9}


def test_what_waits_is_cancelled_and_what_was_never_there_is_told(queue):
    job = queue.add("count", {})
    assert queue.cancel(job.id).state == "stopped"
    assert queue.stop(queue.add("count", {}).id).state == "stopped"
    with pytest.raises(UnknownJobError, match="There is no job 99"):
        queue.get(99)
    with pytest.raises(UsageError, match="is stopped"):
        queue.skip(job.id)


def test_numbers_and_priorities_have_limits(queue):
    job = queue.add("count", {})
    for number in (-1, 0, 1 << 80):
        with pytest.raises(UnknownJobError):
            queue.get(number)
    with pytest.raises(UsageError, match="from -1000 to 1000"):
        queue.prioritise(job.id, 1 << 80)


def test_only_work_in_parts_can_be_skipped(queue):
    job = queue.add("count", {})
    queue.claims.claim("drawing", "drawing")
    with pytest.raises(UsageError, match="one piece of work"):
        queue.skip(job.id)
    assert queue.stop(job.id).wish == "stop"


def test_jobs_come_running_first_then_in_order_then_the_history(queue):
    done, later, running, sooner = (queue.add("count", {}, priority=each).id for each in (9, 0, 8, 5))
    queue.claims.end(queue.claims.claim("drawing", "drawing"), "done")
    queue.claims.claim("drawing", "drawing")
    assert [job.id for job in queue.jobs()] == [running, sooner, later, done]
    assert [job.id for job in queue.jobs(["queued"])] == [sooner, later]
    assert [job.id for job in queue.jobs(limit=2)] == [running, sooner]


def test_watchers_get_what_changed_and_nothing_else(queue):
    first, second = queue.add("count", {}), queue.add("count", {})
    number, jobs = queue.changes(0)
    assert [job.id for job in jobs] == [first.id, second.id]
    assert queue.changes(number) == (number, [])
    queue.prioritise(first.id, 2)
    number, jobs = queue.changes(number)
    assert [(job.id, job.priority) for job in jobs] == [(first.id, 2)]
    queue.cancel(second.id)
    queue.clear()
    number, jobs = queue.changes(number)
    assert [(job.id, job.state) for job in jobs] == [(second.id, "gone")]
    assert second.id not in states(queue)
    queue.pause()
    assert queue.changes(number) == (number + 1, [])


def test_a_watcher_waits_for_the_next_change(queue):
    number, _ = queue.changes(0)
    threading.Timer(0.1, lambda: queue.add("count", {})).start()
    _, jobs = queue.changes(number, timeout=10)
    assert len(jobs) == 1
    begun = time.monotonic()
    assert queue.changes(jobs[0].change, timeout=0.1)[1] == []
    assert 0.1 <= time.monotonic() - begun < 5


def test_a_paused_queue_begins_nothing(queue):
    queue.add("count", {})
    queue.pause()
    assert queue.is_paused
    assert queue.claims.claim("drawing", "drawing") is None
    queue.resume()
    assert queue.claims.claim("drawing", "drawing") is not None


def test_lanes_wait_for_themselves_alone(queue):
    queue.add("count", {})
    fetch = queue.add("fetch", {})
    assert queue.claims.claim("downloads", "downloads").id == fetch.id
    assert queue.claims.claim("downloads", "downloads") is None


def test_the_history_does_not_grow_without_end(queue, monkeypatch):
    monkeypatch.setattr("pochade.jobs.claims._MOST_HISTORY", 3)
    monkeypatch.setattr("pochade.jobs.claims._MOST_GONE", 2)
    for _ in range(8):
        queue.add("count", {})
        queue.claims.end(queue.claims.claim("drawing", "drawing"), "done")
    assert sorted(states(queue)) == [6, 7, 8]
    with queue.database.looking() as base:
        assert base.execute("SELECT COUNT(*) FROM jobs").fetchone() == (5,)


def test_a_clock_that_is_set_back_takes_no_new_history(queue, monkeypatch):
    monkeypatch.setattr("pochade.jobs.claims._MOST_HISTORY", 2)
    for moment in (3e9, 2e9, 1e9):
        monkeypatch.setattr("time.time", lambda moment=moment: moment)
        queue.add("count", {})
        queue.claims.end(queue.claims.claim("drawing", "drawing"), "done")
    assert [job.id for job in queue.jobs()] == [3, 2]


def test_threads_and_processes_add_and_claim_without_loss_or_doubles(queue, folder):
    code = (
        "import sys; from pochade.jobs.queue import Queue; from tests.jobs.pretend import VERBS\n"
        "queue = Queue(sys.argv[1], VERBS)\n"
        "for number in range(20): queue.add('count', {'by': sys.argv[2]})\n"
        "while job := queue.claims.claim('drawing', 'drawing'):\n"
        "    print(job.id); queue.claims.end(job, 'done')\n"
    )
    words = [sys.executable, "-c", code, str(folder)]
    processes = [
        subprocess.Popen([*words, str(each)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for each in range(4)
    ]
    claimed = []

    def work():
        mine = [queue.add("count", {"by": "thread"}) for _ in range(10)]
        while mine and (job := queue.claims.claim("drawing", "drawing")):
            claimed.append(job.id)
            queue.claims.end(job, "done")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for each in processes:
        claimed += map(int, each.communicate()[0].split())
        assert each.returncode == 0
    assert Counter(claimed) == dict.fromkeys(range(1, 161), 1)
    assert Counter(job.state for job in queue.jobs(limit=1000)) == {"done": 160}
