"""Jobs that show the hint which a ControlNet gets to see."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pochade.errors import UsageError
from pochade.events import Event, Made
from pochade.generation.controlnet.control_unit import ControlUnit
from pochade.jobs.context import Context
from pochade.jobs.verbs.reading import absolute, optional_path, path_of, paths_of, taken, value_of


@dataclass(frozen=True)
class _Wanted:
    """How a hint is to be."""

    size: tuple[int, int] | None = None
    seed: int = 0


def preprocess(record: Mapping[str, Any], context: Context) -> Generator[Event, None, None]:
    """A control `unit`, `image` and `output`; `mask`, `size` as width and height, `seed`, folders of `models`."""
    from pochade.generation.controlnet.detecting import detected  # deferred: only this verb needs it
    from pochade.generation.locating import annotator_path
    from pochade.generation.naming import check_apart
    from pochade.generation.picture import format_of

    given = taken(record, "preprocess", ("unit", "image", "output"), ("mask", "size", "seed", "models"))
    if not isinstance(given["unit"], Mapping):
        raise UsageError("'unit' must be an object of a control's fields.")
    unit = ControlUnit.of_dict({"model": "none", **given["unit"]}).validate()
    image, mask = path_of(given["image"], "image"), optional_path(given.get("mask"), "mask")
    output = path_of(given["output"], "output")
    format_of(output)
    check_apart(output, filter(None, (image, mask)))
    unit = replace(unit, annotator=annotator_path(unit, paths_of(given.get("models", []), "models")))
    wanted = value_of(_Wanted, {name: given[name] for name in ("size", "seed") if name in given}, "preprocess")
    hint = detected(unit, image, mask, wanted.size, wanted.seed)
    hint.save(output)
    width, height = hint.image.size
    context.keep({"path": absolute(output), "width": width, "height": height})
    yield Made(hint)
