"""Many requests from one: the lines of a file of prompts, or a matrix of prompts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.pictures.grids import Layout
from pochade.generation.record import read_field
from pochade.generation.request import NOTES, Request, kind_of, rules
from pochade.generation.styling import styled
from pochade.prompts import batch_file
from pochade.prompts.batch_file import Line
from pochade.prompts.matrix import JOINTS, Matrix, has_bars
from pochade.prompts.styles import Style

# A1111's names for our fields
_NAMES = {
    "sd_model": "model",
    "cfg_scale": "cfg",
    "sampler_name": "sampler",
    "scheduler": "schedule",
    "subseed": "variation_seed",
    "subseed_strength": "variation_strength",
}
# Those of A1111's that are more than one field, or less than one.
_OTHERS = ("styles", "batch_size", "n_iter", "seed_resize_from_w", "seed_resize_from_h")
_IGNORED = (
    *("outpath_samples", "outpath_grids", "prompt_for_display", "sampler_index", "restore_faces"),
    *("do_not_save_samples", "do_not_save_grid"),
)
_NO_OPTION = {"image", "mask", "depth", *NOTES} | {name for name in rules() if name.endswith(("_hash", "_hashes"))}


@dataclass(frozen=True)
class Batch:
    """Requests to draw one after the other, and how their pictures lie in a grid, if they shall."""

    requests: tuple[Request, ...]
    layout: Layout | None = None
    ignored: tuple[str, ...] = ()
    """Options in a file of prompts that Pochade does not follow."""
    notes: tuple[str, ...] = ()
    """Sentences about what will not be drawn."""


@dataclass(frozen=True)
class Lines:
    """How the lines of a file become requests.

    A line's prompt goes before the request's own, or behind it. `seeds` is "same" for one seed for all lines that do
    not name theirs, "next" to count on; else a request without a seed leaves it to chance for each line.
    """

    behind: bool = False
    seeds: str | None = None
    styles: Mapping[str, Style] | None = None

    def batch(self, text: str, request: Request) -> Batch:
        """A request for each line. Raises UsageError, with the line's number, for what cannot be drawn."""
        lines = batch_file.parse(text)
        if not lines:
            raise UsageError("The file holds no prompt; write one on each line.")
        request = request.with_seeds() if self.seeds else request
        requests: list[Request] = []
        pictures = 0
        for line in lines:
            try:
                requests.append(self._request(line, request, pictures))
            except UsageError as error:
                raise UsageError(f"Line {line.number}: {error}") from error
            pictures += requests[-1].count
        ignored = [name for name in _IGNORED if any(name in line.values for line in lines)]
        return Batch(tuple(requests), ignored=tuple(ignored))

    def _request(self, line: Line, request: Request, before: int) -> Request:
        fields = _fields(line.values) | _counts(line.values, request) | _resize(line.values)
        if self.seeds == "next":
            fields = {"seed": request.seed + before} | fields
        fields |= {
            name: self._joined(line.values.get(name, ""), getattr(request, name)) for name in batch_file.SENTENCES
        }
        names = [name.strip() for name in line.values.get("styles", "").split(",") if name.strip()]
        made = self._styled(replace(request, **fields), names).validate()
        if made.sampler != request.sampler or made.schedule != request.schedule:
            _check_sampler(made)
        return made

    def _joined(self, text: str, own: str) -> str:
        return " ".join(filter(None, (own, text) if self.behind else (text, own)))

    def _styled(self, request: Request, names: list[str]) -> Request:
        if names and self.styles is None:
            raise UsageError("--styles names styles, but no file of styles is given (--styles-file FILE).")
        return styled(request, names, self.styles or {})


def matrix_batch(
    request: Request, joint: str = "comma", options_first: bool = False, seeds: str | None = None
) -> Batch:
    """A request for every choice of the options behind the bars of a prompt.

    It is the negative prompt's, if only that has some. All have the same seed, unless `seeds` is "next".
    """
    request = request.with_seeds()
    name = "negative_prompt" if has_bars(request.negative_prompt) and not has_bars(request.prompt) else "prompt"
    matrix = Matrix.read(getattr(request, name))
    apart = request.count if seeds == "next" else 0
    prompts: list[dict[str, Any]] = [{name: prompt} for prompt in matrix.prompts(JOINTS[joint], options_first)]
    requests = [
        replace(request, seed=request.seed + number * apart, **prompt).validate()
        for number, prompt in enumerate(prompts)
    ]
    return Batch(tuple(requests), Layout.of(matrix))


def _fields(values: Mapping[str, str]) -> dict[str, Any]:
    named = {_NAMES.get(name, name): text for name, text in values.items() if name not in (*_OTHERS, *_IGNORED)}
    known = [name for name in rules() if name not in _NO_OPTION and kind_of(name).type is not tuple]
    for name in named:
        if name not in known:
            raise UnknownNameError("option", f"--{name}", [f"--{each}" for each in (*_NAMES, *_OTHERS, *known)])
    return {name: read_field(Request, name, text) for name, text in named.items()}


def _counts(values: Mapping[str, str], request: Request) -> dict[str, int]:
    """A1111 says how many batches there are, and how large each is."""
    if "batch_size" not in values and "n_iter" not in values:
        return {}
    batch = _whole("batch_size", values, request.batch)
    return {"batch": batch, "count": batch * _whole("n_iter", values, -(-request.count // request.batch))}


def _resize(values: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    width, height = _whole("seed_resize_from_w", values), _whole("seed_resize_from_h", values)
    return {"seed_resize_from": (width, height)} if min(width, height) > 0 else {}


def _whole(name: str, values: Mapping[str, str], default: int = 0) -> int:
    try:
        return int(values.get(name, default))
    except ValueError as error:
        raise UsageError(f"{name} is {values[name]!r}; it must be a whole number.") from error


def _check_sampler(request: Request) -> None:
    """See before anything is drawn that there is such a sampler, and such a schedule."""
    from pochade.sampling import choose  # deferred: torch begins here

    choose(request.sampler, request.schedule)
