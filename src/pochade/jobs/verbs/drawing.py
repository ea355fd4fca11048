"""Jobs that draw pictures. Each is saved when it is finished, and is not drawn again in a second attempt."""

import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import accumulate, dropwhile, takewhile
from typing import TYPE_CHECKING, Any

from pochade.errors import FileError
from pochade.events import Event, Made, Step, Warned
from pochade.generation.request import Request
from pochade.jobs.context import Context
from pochade.jobs.job import SkippedError
from pochade.jobs.timings import timing_of
from pochade.jobs.verbs.pictures import Pictures
from pochade.jobs.verbs.reading import absolute

if TYPE_CHECKING:
    from pochade.generation.picture import Picture
    from pochade.generation.pictures.inputs import Inputs


def draw(record: Mapping[str, Any], context: Context) -> Generator[Event, None, None]:
    """A record of Pictures. The pictures that are drawn at a time are a part."""
    wanted = Pictures.of_record(record)
    if not wanted.is_settled:
        wanted = wanted.settled()
        context.settle(wanted.to_record())
    sitting = _Sitting(wanted, context)
    yield from sitting.events()
    yield from sitting.sheets()
    for failure in sitting.failures[:1]:
        raise failure


class _Sitting:
    """One attempt at drawing. Pictures are numbered over all requests; those that are saved stay as they are."""

    def __init__(self, wanted: Pictures, context: Context) -> None:
        self._wanted = wanted
        self._context = context
        self._name = wanted.namer()
        self._drawer = context.bench.drawer(wanted.models)
        self._saved = {each["number"] for each in context.results if "number" in each}
        self._is_first = True
        self.failures: list[FileError] = []
        """Why pictures to draw over were left out."""

    def events(self) -> Iterator[Event]:
        """Draw what is not there yet."""
        requests = self._wanted.requests
        places = list(zip(requests, accumulate((each.count for each in requests), initial=0), strict=False))
        done = [self._is_saved(start, batch) for request, start in places for batch in _batches(request)]
        self._context.parts(len(done), sum(done))
        for request, start in places:
            if self._missing(request, start):
                yield from self._request(request, start)

    def sheets(self) -> Iterator[Event]:
        """Put the pictures on a sheet, or on several where each request asks for several pictures."""
        from pochade.generation.picture import Picture  # deferred with the rest
        from pochade.generation.pictures.grids import grid

        if self._wanted.layout is None:
            return
        paths = {each["number"]: each["path"] for each in self._context.results if "number" in each}
        apart, total = self._wanted.requests[0].count, sum(request.count for request in self._wanted.requests)
        if len(paths) < total:
            yield Warned(f"The sheet is left out, because {total - len(paths)} of its pictures are missing.")
            return
        for number in range(sum("is_sheet" in each for each in self._context.results), apart):
            shown = [Picture.open(paths[place]) for place in range(number, total, apart)]
            sheet = Picture(grid([each.image for each in shown], self._wanted.layout), infotext=shown[0].infotext)
            self._context.keep({"path": absolute(sheet.save(self._name(sheet))), "is_sheet": True})
            yield Made(sheet)

    def _request(self, request: Request, start: int) -> Iterator[Event]:
        from pochade.generation.drawer import opened  # deferred with the rest

        try:
            request, inputs = opened(request)  # a picture that cannot be read is told before the model is loaded
        except FileError as error:
            if not self._wanted.is_over_folder:
                raise
            self.failures.append(error)
            yield Warned(f"{error} It is left out.")
            return
        stretch = self._missing(request, start)
        while stretch:
            reached = yield from self._stretch(request, inputs, start, stretch)
            stretch = self._missing(request, start, reached)

    def _stretch(self, request: Request, inputs: "Inputs", start: int, stretch: range) -> Generator[Event, None, int]:
        """Draw some pictures of a request that follow each other; returns from which one on it is to go on."""
        if not self._is_first:
            self._context.next_part()
        self._is_first = False
        pipeline = self._drawer.pipeline(request)
        self._context.show_with(pipeline.model.preview)
        batches, number = _batches(request, stretch), 0
        index, begun = stretch.start, time.monotonic()
        try:
            for event in pipeline.run(_part(request, stretch), inputs.beginning_with(stretch.start)):
                if isinstance(event, Made):
                    self._save(event.result, start + index)
                    index += 1
                yield _within(event, number, len(batches))
                if index == batches[number].stop < stretch.stop:
                    self._context.next_part()
                    number += 1
        except SkippedError:
            return batches[number].stop
        resolved = pipeline.resolve(_part(request, stretch), inputs.beginning_with(stretch.start))
        self._context.timed(timing_of(resolved, pipeline.model, time.monotonic() - begun))
        return stretch.stop

    def _save(self, picture: "Picture", number: int) -> None:
        if number not in self._saved:
            path = picture.save(self._name(picture), keep_inputs=self._wanted.keep_inputs)
            width, height = picture.image.size
            told = {"path": absolute(path), "number": number, "seed": picture.seed, "width": width, "height": height}
            self._context.keep(told)
            self._saved.add(number)

    def _missing(self, request: Request, start: int, least: int = 0) -> range:
        """The first pictures of a request, from number `least` on, that are not saved and follow each other."""
        is_saved = partial(self._is_saved, start)
        ahead = dropwhile(is_saved, (batch for batch in _batches(request) if batch.start >= least))
        stretch = list(takewhile(lambda batch: not is_saved(batch), ahead))
        return range(stretch[0].start, stretch[-1].stop) if stretch else range(0)

    def _is_saved(self, start: int, batch: range) -> bool:
        return self._saved.issuperset(start + index for index in batch)


def _batches(request: Request, pictures: range | None = None) -> list[range]:
    """The pictures of a request that are drawn at a time: all, or some that begin with a batch."""
    some = range(request.count) if pictures is None else pictures
    return [range(at, min(at + request.batch, some.stop)) for at in range(some.start, some.stop, request.batch)]


def _part(request: Request, pictures: range) -> Request:
    """The request for some of its pictures that follow each other."""
    seed, variation_seed = request.seed_of(pictures.start), request.variation_seed_of(pictures.start)
    return replace(request, count=len(pictures), seed=seed, variation_seed=variation_seed)


def _within(event: Event, number: int, batches: int) -> Event:
    """An event of several batches as one of the batch that is drawn."""
    if not isinstance(event, Step):
        return event
    each = max(1, event.total // batches)
    return replace(event, done=min(max(0, event.done - number * each), each), total=each)
