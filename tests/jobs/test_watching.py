from pathlib import Path

import pytest

from pochade.events import Saved, Step, Warned
from pochade.jobs.job import UnknownJobError
from pochade.jobs.watching import watching


def test_a_job_is_seen_as_if_it_were_done_here(queue, working):
    job = queue.add("parts", {"parts": 2, "steps": 2, "pause": 0.05})
    with working():
        events = list(watching(queue, job.id))
    assert [event.path.name for event in events if isinstance(event, Saved)] == ["part-0.txt", "part-1.txt"]
    last = [event for event in events if isinstance(event, Step)][-1]
    assert (last.done, last.total, last.what) == (2, 2, "2 of 2, steps")


def test_what_happened_before_is_told_at_once(queue, working):
    job = queue.add("fails", {"how": "file"})
    with working():
        queue.wait(job.id, 20)
    assert list(watching(queue, job.id)) == [Warned("It will not go well.")]
    with pytest.raises(UnknownJobError):
        list(watching(queue, 99))
    assert not list(Path().glob("*.png"))
