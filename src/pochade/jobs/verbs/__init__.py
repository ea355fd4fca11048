"""What jobs can do: each verb's name, the function that does it, and the lane in which its jobs wait."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, cast

from pochade.errors import UnknownNameError
from pochade.events import Event

if TYPE_CHECKING:
    from pochade.jobs.context import Context

Work = Callable[[Mapping[str, Any], "Context"], Generator[Event, None, None]]
"""Does what a record says. Begun a second time, it goes on from the results that its context tells of."""


@dataclass(frozen=True)
class Verb:
    """A verb. Jobs of one lane are done in turn, those of different lanes at the same time.

    `home` is where its function is, "module:name". What is `in_parts` can be finished with the part that is worked on,
    and parts of it can be skipped.
    """

    home: str
    lane: str
    in_parts: bool = False

    def work(self) -> Work:
        """The function, loaded when it is needed."""
        return cast(Work, resolve_name(self.home))


DRAWING, FILES, DOWNLOADS = "drawing", "files", "downloads"
LANES = (DRAWING, FILES, DOWNLOADS)
"""The lanes: what needs the card, what needs the disk, what waits for other machines."""

Verbs = Mapping[str, Verb]

VERBS: Verbs = {
    "pictures": Verb("pochade.jobs.verbs.drawing:draw", DRAWING, in_parts=True),
    "grid": Verb("pochade.jobs.verbs.grid:draw", DRAWING, in_parts=True),
    "upscale": Verb("pochade.jobs.verbs.upscale:upscale", DRAWING, in_parts=True),
    "preprocess": Verb("pochade.jobs.verbs.preprocess:preprocess", DRAWING),
    "train": Verb("pochade.jobs.verbs.train:train", DRAWING),
    "convert": Verb("pochade.jobs.verbs.files:convert", FILES),
    "merge": Verb("pochade.jobs.verbs.files:merge", FILES),
    "bake": Verb("pochade.jobs.verbs.files:bake", FILES),
    "extract": Verb("pochade.jobs.verbs.files:extract", FILES),
    "resize": Verb("pochade.jobs.verbs.files:resize", FILES),
    "index": Verb("pochade.jobs.verbs.library:index", FILES),
    "download": Verb("pochade.jobs.verbs.library:download", DOWNLOADS),
}


def verb_named(name: str, verbs: Verbs) -> Verb:
    """The verb of a name. Raises UnknownNameError for one that nobody knows."""
    if name not in verbs:
        raise UnknownNameError("verb", name, verbs)
    return verbs[name]
