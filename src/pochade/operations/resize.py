"""Give a LoRA another rank: every module becomes the nearest one that its new rank allows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pochade import adapters, files, kinds
from pochade.adapters import BIAS
from pochade.adapters.algorithm import Shape
from pochade.adapters.full import FULL
from pochade.adapters.lora import LORA, scale
from pochade.adapters.norm import NORM
from pochade.errors import UnknownNameError, UsageError
from pochade.events import Event, Saved, Step, Warned
from pochade.files import Array, LazyArray, Weights
from pochade.kinds.adapter import LENGTHS, modules_of
from pochade.kinds.lora_naming import Parts, in_naming, naming_of
from pochade.operations.decompose import Spectrum, spectrum, spectrum_of_product
from pochade.operations.lineage import lineage
from pochade.operations.lora_effect import Ground
from pochade.operations.lora_tensors import dtype_of, explained, is_wide, loaded, matrices, network_told, written
from pochade.operations.writing import check_target, writing

_NEEDS_ALL = "sv_cumulative"
_AXES = 2  # those of a matrix


def _of_ratio(found: Spectrum, target: float) -> int:
    """Count the values above the largest one divided by the target."""
    return int((found.values > found.values[0] / target).sum())


def _of_sum(found: Spectrum, target: float) -> int:
    """Count the first values that make up the target's share of their sum."""
    return 1 + int((found.values.cumsum(0) < target * found.values.sum()).sum())


def _of_length(found: Spectrum, target: float) -> int:
    """Count the first values that make up the target's share of the matrix's length."""
    return 1 + int((found.values.square().cumsum(0) < target**2 * found.whole).sum())


METHODS: dict[str, Callable[[Spectrum, float], int]] = {
    "sv_ratio": _of_ratio,
    _NEEDS_ALL: _of_sum,
    "sv_fro": _of_length,
}
"""How many singular values each way of choosing a rank per module keeps; named as kohya's."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """The rank of every module, and that of convolutions with a kernel where it is another one.

    With `dynamic`, one of METHODS, these are upper limits: a module gets the rank that reaches `target`.
    """

    rank: int
    conv_rank: int | None = None
    dynamic: str | None = None
    target: float | None = None

    def check(self) -> None:
        """Raise UsageError where this cannot work."""
        if self.rank < 1 or (self.conv_rank is not None and self.conv_rank < 1):
            raise UsageError("A rank must be 1 at least.")
        if (self.dynamic is None) != (self.target is None):
            raise UsageError("--dynamic and --target belong together: give both or neither.")
        if self.dynamic is None or self.target is None:
            return
        if self.dynamic not in METHODS:
            raise UnknownNameError("way of choosing ranks", self.dynamic, METHODS)
        if self.dynamic == "sv_ratio" and not self.target >= 1:
            raise UsageError(f"--target is {self.target}; for sv_ratio it must be 1 or more, e.g. 20.")
        if self.dynamic != "sv_ratio" and not 0 < self.target <= 1:
            raise UsageError(f"--target is {self.target}; for {self.dynamic} it must be above 0 and up to 1, e.g. 0.9.")

    def limit(self, shape: Shape) -> int:
        """The highest rank for a weight of this shape."""
        return self.conv_rank if self.conv_rank and is_wide(shape) else self.rank

    def rank_of(self, found: Spectrum, shape: Shape) -> int:
        """The rank for a weight of this shape with these singular values."""
        most = min(self.limit(shape), len(found.values))
        if self.dynamic is None or self.target is None:
            return most
        return max(1, min(METHODS[self.dynamic](found, self.target), most))


@dataclass(frozen=True)
class _Resized:
    """A module's new tensors, its rank and the share of its effect that is missing; no rank where nothing was done."""

    tensors: Mapping[str, Array]
    rank: int = 0
    error: float = 0.0


def resize(
    source: Path | str,
    destination: Path | str,
    rank: int,
    conv_rank: int | None = None,
    dynamic: str | None = None,
    target: float | None = None,
    base: Path | str | None = None,
) -> Path:
    """Give a LoRA file another rank, or with `dynamic` each module the rank that reaches `target`; return the new file.

    With a `base` model, what depends on its weights becomes LoRA too. Raises FileError and UsageError as resizing()
    does.
    """
    size = Size(rank=rank, conv_rank=conv_rank, dynamic=dynamic, target=target)
    events = resizing(Path(source), Path(destination), size, Path(base) if base else None)
    return [event.path for event in events if isinstance(event, Saved)][-1]


def resizing(source: Path, destination: Path, size: Size, base: Path | None = None) -> Iterator[Event]:
    """Give a LoRA file another rank; yields a Step per module, a Warned that tells how much is lost, and Saved.

    LoHa, LoKr and whole differences become LoRA; with a `base` model, so do DoRA and all else whose effect depends on
    the model's own weights. Alpha over rank stays, and so do what has no rank and the naming.
    Raises UsageError for a file that is no LoRA, or that needs a base which is not given.
    """
    size.check()
    check_target(destination, source, *([base] if base else []))
    weights = files.open(source)
    if kinds.recognise(weights.shapes()) != "lora":
        raise UsageError(f"{source} is no LoRA; `pochade extract` makes one of two models.")
    ground = Ground.of([weights], base)
    modules = modules_of(weights)
    for module, parts in modules.items():
        ground.check(weights, module, _kernel(parts, ground))
    tensors: dict[str, Array] = {}
    done: list[_Resized] = []
    for module, parts in modules.items():
        done.append(_resized(weights, module, parts, size, ground))
        tensors |= {f"{module}.{name}" if name else module: each for name, each in done[-1].tensors.items()}
        yield Step(len(done), len(modules), "modules")
    changed = [each for each in done if each.rank]
    if not changed:
        raise UsageError(f"{source} has no module with a rank.")
    yield Warned(_told(changed))
    result = Weights.from_arrays(tensors)
    told = network_told(result, weights.metadata)
    naming = naming_of(weights)
    if naming != "kohya" and ground.family:
        result = in_naming(result, naming, ground.family)
    options = {name: value for name, value in asdict(size).items() if value is not None}
    parents = {"lora": weights} | ({"base": ground.model} if ground.model else {})
    yield from writing(destination, result, {"format": "pt"} | told | lineage("resize", parents, options))


def _told(changed: list[_Resized]) -> str:
    ranks = sorted(each.rank for each in changed)
    errors = [100 * each.error for each in changed]
    span = f"rank {ranks[0]}" if ranks[0] == ranks[-1] else f"ranks from {ranks[0]} to {ranks[-1]}"
    mean = sum(errors) / len(errors)
    return (
        f"{len(changed)} modules of {span}; {mean:.1f} % of the effect is missing on average, {max(errors):.1f} % at "
        "worst."
    )


def _kernel(parts: Parts, ground: Ground) -> dict[str, LazyArray]:
    """Return what gets a new rank: all but biases and, where no model tells what they add, DoRA's lengths."""
    staying = BIAS if ground.model else (LENGTHS, *BIAS)
    return {name: each for name, each in parts.items() if name not in staying}


def _resized(weights: Weights, module: str, parts: Parts, size: Size, ground: Ground) -> _Resized:
    """Return a module with its new rank; what has none stays as it is."""
    kernel = _kernel(parts, ground)
    algorithm = adapters.algorithm_of(kernel)
    is_vector = algorithm is FULL and len(kernel["diff"].info.shape) < _AXES
    if algorithm is None or algorithm is NORM or is_vector:
        return _Resized({name: each.load() for name, each in parts.items()})
    with explained(weights, module):
        found, shape, factor = _taken_apart(module, loaded(kernel), size, ground)
        nearest = found.low_rank(size.rank_of(found, shape))
    rank = nearest.right.shape[0]
    tensors = written(nearest.left, nearest.right, shape, factor * rank, dtype_of(kernel))
    kept = {name: each.load() for name, each in parts.items() if name not in kernel}
    return _Resized(kept | tensors, rank, nearest.error)


def _taken_apart(module: str, tensors: Mapping[str, Any], size: Size, ground: Ground) -> tuple[Spectrum, Shape, float]:
    """Return the singular values of what a module adds, its shape, and the factor that alpha holds."""
    if adapters.algorithm_of(tensors) is LORA:
        left, right, shape = matrices(tensors)
        return spectrum_of_product(left, right), shape, scale(tensors)
    change = ground.change(module, tensors)
    matrix = change.reshape(change.shape[0], -1)
    count = min(matrix.shape) if size.dynamic == _NEEDS_ALL else size.limit(change.shape)
    return spectrum(matrix, count), tuple(change.shape), 1.0
