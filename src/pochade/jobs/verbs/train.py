"""Jobs that train. Begun a second time, a run goes on from what its folder holds."""

from collections.abc import Generator, Mapping
from typing import Any

from pochade.errors import UnknownNameError
from pochade.events import Event
from pochade.jobs.context import Context
from pochade.jobs.verbs.reading import path_of, taken

METHODS = ("native",)


def train(record: Mapping[str, Any], context: Context) -> Generator[Event, None, None]:
    """A `method`, the recipe `config`, and the folder `output` of the run."""
    from pochade.training import Recipe, train_recipe  # deferred: torch begins here

    given = taken(record, "train", ("method", "config", "output"), ())
    if given["method"] not in METHODS:
        raise UnknownNameError("training method", str(given["method"]), METHODS)
    context.bench.clear()  # a training takes all the memory that there is
    yield from train_recipe(Recipe.read(path_of(given["config"], "config")), path_of(given["output"], "output"))
