"""What a job that draws pictures has to draw, and where to save it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pochade.errors import UsageError
from pochade.generation.request import Request
from pochade.jobs.verbs.reading import optional_path, paths_of, taken

if TYPE_CHECKING:
    from pochade.generation.naming import Name
    from pochade.generation.pictures.grids import Layout

_OTHERS = ("command", "output", "models", "keep_inputs", "layout", "is_settled", "is_over_folder")


@dataclass(frozen=True)
class Pictures:
    """What to draw, and where to save it: `output` is a file or a folder, else the folder of the day and `command`.

    With a `layout` the pictures of all requests are put on a sheet too. `is_settled` tells that nothing is left to
    chance, and that requests over folders of pictures became one for each of these (`is_over_folder`).
    """

    requests: tuple[Request, ...]
    command: str = "txt2img"
    output: Path | None = None
    models: tuple[Path, ...] = ()
    keep_inputs: bool = False
    layout: "Layout | None" = None
    is_settled: bool = False
    is_over_folder: bool = False

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_record` gave. Raises UsageError for what cannot be drawn."""
        given = taken(record, "pictures", ("requests",), _OTHERS)
        if not isinstance(given["requests"], Sequence) or not given["requests"]:
            raise UsageError("'requests' must be a list of requests, with one at least.")
        flags = {name: bool(given.get(name)) for name in ("keep_inputs", "is_settled", "is_over_folder")}
        return cls(
            requests=tuple(map(Request.from_dict, given["requests"])),
            command=_command(given.get("command", "txt2img")),
            output=optional_path(given.get("output"), "output"),
            models=tuple(paths_of(given.get("models", []), "models")),
            layout=_layout(given["layout"]) if given.get("layout") else None,
            **flags,
        )

    def to_record(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "requests": [each.to_dict() for each in self.requests],
            "command": self.command,
            "output": None if self.output is None else str(self.output),
            "models": list(map(str, self.models)),
            "keep_inputs": self.keep_inputs,
            "layout": asdict(self.layout) if self.layout else None,
            "is_settled": self.is_settled,
            "is_over_folder": self.is_over_folder,
        }

    def settled(self) -> Self:
        """The same with a request for each picture that is drawn over, paths for names, and seeds in place of -1."""
        from pochade.generation.locating import located  # deferred: a record is read without a library
        from pochade.generation.pictures.picture_folders import is_folder, requests_over

        over_folder = any(map(is_folder, self.requests))
        if over_folder and self.layout:
            raise UsageError("A sheet shows what becomes of one picture; for a folder of them, leave the layout out.")
        requests = [each for request in self.requests for each in requests_over(located(request, self.models))]
        seeded = tuple(each.with_seeds() for each in requests)
        return replace(self, requests=seeded, is_settled=True, is_over_folder=over_folder)

    def namer(self) -> "Name":
        """How to name the pictures. Raises UsageError, before anything is drawn, for what cannot be saved there."""
        from pochade.generation.naming import check_holding, namer, namer_after_inputs  # deferred with the rest
        from pochade.generation.pictures.picture_folders import pictures_of

        check_holding(self.output, self.requests, self.keep_inputs)
        if self.is_over_folder:
            return namer_after_inputs(self.output, self.command)
        total = sum(request.count for request in self.requests)
        return namer(self.output, total, self.command, chain.from_iterable(map(pictures_of, self.requests)))


def _command(name: object) -> str:
    if not isinstance(name, str) or not name.isidentifier():
        raise UsageError(f"'command' is {name!r:.60}; it must be a word, such as txt2img.")
    return name


def _layout(values: Any) -> "Layout":
    from pochade.generation.pictures.grids import Label, Layout  # deferred with the rest

    try:
        legends = {
            name: [[Label(str(label["text"]), bool(label["on"])) for label in labels] for labels in values[name]]
            for name in ("across", "down")
        }
        return Layout(int(values["rows"]), margin=int(values["margin"]), letters=values.get("letters"), **legends)
    except (TypeError, KeyError, ValueError) as error:
        raise UsageError(f"'layout' cannot be read: {error}.") from error
