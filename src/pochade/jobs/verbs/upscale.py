"""Jobs that make pictures larger."""

from collections.abc import Generator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pochade.errors import FileError
from pochade.events import Event, Made, Warned
from pochade.jobs.context import Context
from pochade.jobs.job import SkippedError
from pochade.jobs.verbs.reading import absolute, optional_path, paths_of, taken, value_of


def upscale(record: Mapping[str, Any], context: Context) -> Generator[Event, None, None]:
    """The files `images`, `output`, folders of `models`, and the fields of an Upscaling. Each picture is a part."""
    from pochade.generation.locating import upscaler_path  # deferred: torch begins here
    from pochade.generation.naming import namer_of_larger
    from pochade.generation.picture import format_of
    from pochade.generation.upscaling import Upscalers, Upscaling, upscaling

    known = [each.name for each in fields(Upscaling)]
    given = taken(record, "upscale", ("images",), (*known, "output", "models"))
    folders, images = paths_of(given.get("models", []), "models"), paths_of(given["images"], "images")
    options = value_of(Upscaling, {name: given[name] for name in known if name in given}, "upscale").validate()
    first, second = (upscaler_path(each, folders) for each in (options.upscaler, options.upscaler2))
    options = replace(options, upscaler=first, upscaler2=second)
    name = namer_of_larger(optional_path(given.get("output"), "output"), images)
    upscalers = Upscalers.load(options)
    made = {str(each["source"]) for each in context.results}
    missing = [each for each in images if absolute(each) not in made]
    context.parts(len(images), len(images) - len(missing))
    failures: list[FileError] = []
    for number, source in enumerate(missing):
        if number:
            context.next_part()
        try:
            target = name(source)
            for event in upscaling(source, options, upscalers, format_of(target)):
                if isinstance(event, Made):
                    _keep(event.result, source, target, context)
                yield event
        except FileError as error:
            failures.append(error)
            yield Warned(f"{error} It is left out.")
        except SkippedError:
            continue
    for failure in failures[:1]:
        raise failure


def _keep(picture: Any, source: Path, target: Path, context: Context) -> None:
    picture.save(target)
    width, height = picture.image.size
    context.keep({"path": absolute(target), "source": absolute(source), "width": width, "height": height})
