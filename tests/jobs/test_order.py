from hypothesis import given, settings
from hypothesis import strategies as st

from pochade.jobs.queue import Queue
from tests.jobs.pretend import VERBS

SMALL = st.integers(0, 7)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(-1, 1)),
        st.tuples(st.just("move"), SMALL, st.one_of(st.none(), SMALL)),
        st.tuples(st.just("prioritise"), SMALL, st.integers(-1, 1)),
        st.tuples(st.just("cancel"), SMALL),
    ),
    max_size=25,
)


class Model:
    """What the order is to be: pairs of number and priority."""

    def __init__(self):
        self.jobs = []

    def put(self, number, priority):
        """Behind all that do not have a lower priority."""
        at = sum(other >= priority for _, other in self.jobs)
        self.jobs.insert(at, (number, priority))

    def take(self, number):
        return self.jobs.pop([each for each, _ in self.jobs].index(number))

    def move(self, number, before):
        if number == before:
            return
        _, priority = self.take(number)
        if before is None:
            self.put(number, priority)
        else:
            at = [each for each, _ in self.jobs].index(before)
            self.jobs.insert(at, (number, self.jobs[at][1]))


def apply(queue, model, step):
    name, *rest = step
    if name == "add":
        model.put(queue.add("count", {}, priority=rest[0]).id, rest[0])
        return
    if not model.jobs:
        return
    numbers = [model.jobs[each % len(model.jobs)][0] if isinstance(each, int) else each for each in rest]
    if name == "move":
        queue.move(*numbers)
        model.move(*numbers)
    elif name == "cancel":
        queue.cancel(numbers[0])
        model.take(numbers[0])
    else:
        queue.prioritise(numbers[0], rest[1])
        model.take(numbers[0])
        model.put(numbers[0], rest[1])


@settings(max_examples=30, deadline=None, database=None, derandomize=True)
@given(steps=STEPS)
def test_jobs_go_in_the_order_that_was_asked_for(tmp_path_factory, steps):
    queue, model = Queue(tmp_path_factory.mktemp("queue"), VERBS), Model()
    for step in steps:
        apply(queue, model, step)
    assert [(job.id, job.priority) for job in queue.jobs(["queued"])] == model.jobs
    claimed = [queue.claims.claim("drawing", "drawing").id for _ in model.jobs]
    assert claimed == [number for number, _ in model.jobs]
    queue.close()


def test_any_number_of_jobs_goes_in_between(queue):
    first, *others = (queue.add("count", {}).id for _ in range(4))
    last = others[-1]
    expected = [first, *others]
    for _ in range(40):  # halving a gap so often leaves no number in it
        for number in others[:2]:
            queue.move(number, last)
            expected.remove(number)
            expected.insert(expected.index(last), number)
    for _ in range(60):
        queue.move(last, expected[1])
        expected.remove(last)
        expected.insert(1, last)
        last = expected[-1]
    assert [job.id for job in queue.jobs()] == expected
