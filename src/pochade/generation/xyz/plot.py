"""A plot: a request with up to three axes. It knows its cells, and in what order they are drawn at the least cost."""

import hashlib
import json
import random
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import prod

from pochade.errors import UsageError
from pochade.generation.request import SEEDS, Request, defaults
from pochade.generation.xyz.axes import NOTHING, Axis
from pochade.generation.xyz.axis_kinds import Styles
from pochade.generation.xyz.prompt_changes import loras_of
from pochade.prompts.extra_networks import Tag

MOST_CELLS = 10_000
NAMES = "xyz"
_SEED_FIELDS = ("seed", "variation_seed")
_UNFIT = re.compile(r"[^\w.+-]+")
_LONGEST_NAME = 60

Place = tuple[int, int, int]


@dataclass(frozen=True)
class Cell:
    """One place of a plot: column, row and plane; what a legend and what a sentence say of it; what is drawn there.

    `name` is a file name for its pictures, without an ending. Cells that show the same, and only these, share one.
    """

    place: Place
    labels: tuple[str, ...]
    title: str
    request: Request
    name: str


@dataclass(frozen=True)
class Plot:
    """A request, what changes from column to column (x), from row to row (y) and from plane to plane (z).

    A seed of -1 is drawn once for all cells, unless `own_seeds` leaves it to each. `varied` names the axes, e.g. "xy",
    along which the seed counts on.
    """

    request: Request
    axes: tuple[Axis, Axis, Axis] = (NOTHING, NOTHING, NOTHING)
    own_seeds: bool = False
    varied: str = ""

    @classmethod
    def of(
        cls,
        request: Request,
        x: str = "",
        y: str = "",
        z: str = "",
        *,
        styles: Styles | None = None,
        own_seeds: bool = False,
        varied: str = "",
    ) -> "Plot":
        """A plot of axes such as "Steps=10,20,30", of which each may be left out."""
        first, second, third = (Axis.read(text, styles) if text else NOTHING for text in (x, y, z))
        return cls(request, (first, second, third), own_seeds, varied)

    def settled(self, earlier: "Plot | None" = None) -> "Plot":
        """The same plot with seeds in place of -1: those of an earlier one, if there is one."""
        if self.own_seeds:
            return self
        earlier = None if earlier and earlier.own_seeds else earlier
        seeds = {field: vars(self.request)[field] for field in _SEED_FIELDS}
        for field, seed in seeds.items():
            seeds[field] = seed if seed >= 0 else vars(earlier.request)[field] if earlier else _any_seed()
        x, y, z = (_settled(axis, earlier.axes[number] if earlier else None) for number, axis in enumerate(self.axes))
        return replace(self, request=replace(self.request, **seeds), axes=(x, y, z))

    @property
    def counts(self) -> Place:
        """How many columns, rows and planes there are."""
        x, y, z = (len(axis.values) for axis in self.axes)
        return x, y, z

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell, row by row and plane by plane.

        Raises UsageError for a cell that cannot be drawn, an axis that changes nothing, or too many cells.
        """
        if prod(self.counts) > MOST_CELLS:
            raise UsageError(f"The grid would have {prod(self.counts)} cells; at most {MOST_CELLS} are possible.")
        places = [(x, y, z) for z, y, x in product(*map(range, reversed(self.counts)))]
        names: dict[str, str] = {}
        cells = tuple(self._cell(place, names) for place in places)
        for number, axis in enumerate(self.axes):
            if len(set(axis.values)) > 1 and not _changes(cells, number):
                raise UsageError(f"The axis {axis.kind.label} changes nothing; look at the prompt and the other axes.")
        return cells

    def _cell(self, place: Place, names: dict[str, str]) -> Cell:
        """What is at a place; `names` are those of earlier cells by what these show."""
        chosen = [(axis.kind.label, axis.labels[index]) for axis, index in zip(self.axes, place, strict=True)]
        title = ", ".join(label if label.startswith(kind) else f"{kind}: {label}" for kind, label in chosen if label)
        try:
            request = self._request(place).validate()
        except UsageError as error:
            raise UsageError(f"{title}: {error}") from error
        labels = tuple(label for _, label in chosen)
        mark = _mark(request, place)
        return Cell(place, labels, title, request, names.setdefault(mark, _name(labels, mark)))

    def _request(self, place: Place) -> Request:
        request = self.request
        for axis, index in sorted(zip(self.axes, place, strict=True), key=lambda pair: pair[0].kind.turn):
            request = axis.kind.apply(request, axis.values[index], axis.values)
        shift = self._shift(place) if request.seed >= 0 else 0
        return replace(request, seed=request.seed + shift) if shift else request

    def _shift(self, place: Place) -> int:
        """How far the seed of a cell has counted on."""
        shift, stride = 0, 1
        for name, index, count in zip(NAMES, place, self.counts, strict=True):
            if name in self.varied:
                shift, stride = shift + index * stride, stride * count
        return shift


def cheapest_order(cells: Iterable[Cell], located: Callable[[Cell], Request]) -> list[Cell]:
    """Cells in the order in which least is loaded: by model first, then by VAE, refiner and LoRAs.

    `located` gives a cell's request with the paths of its files, so that a file has only one name.
    """
    given = list(cells)
    needs = {cell.place: _needs(located(cell)) for cell in given}
    ranks: list[dict[Hashable, int]] = [{} for _ in needs[given[0].place]] if given else []
    for each in needs.values():
        for rank, need in zip(ranks, each, strict=True):
            rank.setdefault(need, len(rank))
    return sorted(given, key=lambda cell: [rank[need] for rank, need in zip(ranks, needs[cell.place], strict=True)])


def _needs(request: Request) -> tuple[Hashable, ...]:
    """What must be loaded for a request, the dearest first."""
    model = (request.model, request.device, request.dtype, request.memory)
    loras = loras_of(request)
    files = frozenset(each.items[0] if isinstance(each, Tag) else each.name for each in loras)
    return model, request.vae, request.refiner, files, loras, request.hires_upscaler


def _mark(request: Request, place: Place) -> str:
    """What tells apart what cells show; what is left to chance is another at each place."""
    usual = defaults()
    changed = {field: value for field, value in vars(request).items() if value != usual[field]}
    mark = json.dumps([changed, place if _is_open(request) else None], sort_keys=True, default=vars)
    return hashlib.sha256(mark.encode()).hexdigest()[:8]


def _name(labels: Iterable[str], mark: str) -> str:
    """The same in whatever order the axes are."""
    words = "_".join(_UNFIT.sub("-", label).strip("-.") for label in sorted(filter(None, labels)))
    return f"{words[:_LONGEST_NAME]}-{mark}".lstrip("-")


def _settled(axis: Axis, earlier: Axis | None) -> Axis:
    if not axis.is_seed:
        return axis
    if earlier and (earlier.kind.field, earlier.text) == (axis.kind.field, axis.text):
        return replace(axis, values=earlier.values)
    return replace(axis, values=tuple(value if value >= 0 else _any_seed() for value in axis.values))


def _any_seed() -> int:
    return random.randrange(SEEDS)


def _is_open(request: Request) -> bool:
    """Whether chance decides what a request draws."""
    return request.seed < 0 or (request.variation_seed < 0 and request.variation_strength > 0)


def _changes(cells: Iterable[Cell], number: int) -> bool:
    """Whether any two cells differ that lie on one line along an axis."""
    lines: dict[Hashable, Request] = {}
    for cell in cells:
        line = cell.place[:number] + cell.place[number + 1 :]
        if lines.setdefault(line, cell.request) != cell.request:
            return True
    return False
