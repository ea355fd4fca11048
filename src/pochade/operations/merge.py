"""Merge checkpoints: a sum of any models, or a method with its weight per block and part; tensor by tensor."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pochade import kinds
from pochade.errors import UnknownNameError, UsageError, shown
from pochade.events import Event, Warned
from pochade.files import LazyArray, TensorInfo, Weights
from pochade.files.weights import Array
from pochade.kinds import checkpoint
from pochade.kinds.components import components
from pochade.operations.blocks import block_weights, blocks_of
from pochade.operations.casting import FLOATS, cast, computed, gathered, in_blocks
from pochade.operations.convert import DTYPES
from pochade.operations.findings import dtypes, listed
from pochade.operations.lineage import Hashing, lineage
from pochade.operations.matching import check_alike
from pochade.operations.merge_lora import merging_loras
from pochade.operations.methods import METHODS, Method, Stack
from pochade.operations.webui import merge_told
from pochade.operations.writing import check_target, keeps_metadata, writing

_SETTINGS = ("density", "epsilon", "seed")
_FIRST_CONVOLUTION = "input_blocks00weight"
_Combine = Callable[[Sequence[LazyArray]], Iterator[Array]]


@dataclass(frozen=True, kw_only=True)
class Merge:
    """What to do with models in order: a factor for each, or a method with `alpha`.

    `block_weights` (a text as block_weights() reads it) and `parts` (unet, vae, text-encoder) replace alpha there. What
    is None is the method's own; `density`, `epsilon` and `seed` are for methods that take them, `rank`, `conv_rank`
    and `base` (the model that some LoRAs need) for sums of LoRAs.
    """

    factors: tuple[float, ...] = ()
    method: str = ""
    alpha: float | None = None
    density: float | None = None
    epsilon: float | None = None
    seed: int | None = None
    block_weights: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    dtype: str | None = None
    rank: int | None = None
    conv_rank: int | None = None
    base: Path | None = None

    def __post_init__(self) -> None:
        numbers = (*self.factors, *self.parts.values(), *(getattr(self, name) or 0 for name in ("alpha", "epsilon")))
        if not all(map(math.isfinite, numbers)):
            raise UsageError("A weight of the merge is no finite number.")
        if self.dtype and self.dtype not in DTYPES:
            raise UnknownNameError("precision", self.dtype, DTYPES)
        if self.density is not None and not 0 < self.density <= 1:
            raise UsageError(f"density is {self.density}; it must be above 0 and at most 1.")
        if self.density is not None and self.epsilon is not None:
            least, most = self.density - self.epsilon / 2, self.density + self.epsilon / 2
            if not 0 < least <= most <= 1:
                raise UsageError(
                    f"density {self.density} with epsilon {self.epsilon} gives chances from {least:g} to {most:g}; "
                    "they must rise, above 0 and up to 1 at most."
                )
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"seed is {self.seed}; it must be 0 or more.")

    @property
    def given(self) -> dict[str, Any]:
        """All that is not as in a Merge that says nothing."""
        plain = Merge()
        return {name: value for name, value in asdict(self).items() if value != getattr(plain, name)}


def merging(paths: Sequence[Path], merge: Merge, target: Path) -> Iterator[Event]:
    """Merge model files; yields Steps in megabytes and Saved at the end.

    Raises UsageError when the models do not fit together or the result would be one of them.
    """
    models = [kinds.open_model(path) for path in paths]
    if any(kinds.recognise(each.shapes()) == "lora" for each in models):
        yield from _merging_loras(paths, merge, target)
        return
    merge = completed(merge, len(paths))
    alone = len({path.resolve() for path in paths}) == 1
    if alone and merge.factors and not math.isclose(total := sum(merge.factors), 1):
        raise UsageError(
            f"This sum is only {paths[0].name} times {total:g}; weights should add up to 1, with those of other models."
        )
    if alone or _leaves_all(merge):
        raise UsageError(f"This merge would only give {paths[0].name} itself; nothing was written.")
    named = {f"model-{number}": weights for number, weights in enumerate(models, 1)}
    hashing = Hashing(named)
    if keeps_metadata(check_target(target, *paths)):
        hashing.begin()
    changed = merged(models, merge)
    metadata = {"format": "pt"} | models[0].metadata | lineage("merge", named, merge.given, hashing)
    metadata |= merge_told(named, merge.given, hashing)
    stems = [shown(path.stem) for path in paths]  # not the target's: under another name it is the same file
    metadata |= {"modelspec.title": " + ".join(stems), "modelspec.merged_from": ", ".join(stems)}
    yield from _warnings(models, merge)
    yield from writing(target, changed, metadata)


def _warnings(models: Sequence[Weights], merge: Merge) -> Iterator[Warned]:
    """Tell what a merge leaves out, and where it rounds the others to the first model's few bits."""
    tables = [
        {name for name in each if _is_merged(name, each.info(name))} - set(checkpoint.junk(each)) for each in models
    ]
    if alone := sorted(set[str]().union(*tables) - tables[0].intersection(*tables)):
        told = f"{len(alone)} tensors are not in every model ({listed(alone)}): those of the first stay as they are"
        yield Warned(f"{told}, the others are left out.")
    first, *others = (set(dtypes(each, names)) for each, names in zip(models, tables, strict=True))
    if not merge.dtype and any(map(_is_small, first)) and not all(map(_is_small, set().union(*others))):
        formats = " and ".join(sorted(first))
        yield Warned(f"The result is rounded to {formats}, as the first model is; --dtype fp16 keeps more.")


def _is_small(dtype: str) -> bool:
    """Tell whether numbers have 8 bits."""
    return dtype.startswith("F8")


def _merging_loras(paths: Sequence[Path], merge: Merge, target: Path) -> Iterator[Event]:
    beside = merge.given.keys() - {"factors", "dtype", "rank", "conv_rank", "base"}
    if not merge.factors or beside:
        what = min(beside or {"method"})
        raise UsageError(
            f'LoRAs are merged by a sum, without {what}: pochade merge "0.7*a.safetensors + b.safetensors".'
        )
    yield from merging_loras(paths, merge.factors, target, merge.rank, merge.conv_rank, merge.dtype, merge.base)


def completed(merge: Merge, count: int) -> Merge:
    """Return the merge of `count` models with its method's own values where it gives none.

    Raises UsageError where it gives a value that its method does not take, or where the method takes other counts.
    """
    if merge.rank or merge.conv_rank or merge.base:
        raise UsageError("Only LoRAs are merged to a rank, or with a base; these are none.")
    if merge.factors:
        beside = merge.given.keys() - {"factors", "dtype"}
        if beside:
            raise UsageError(f"A sum of models takes no {min(beside)}; write the weights into the sum.")
        return merge
    method = _method(merge.method, count)
    own: dict[str, Any] = {"alpha": method.alpha, **method.settings}
    for name in _SETTINGS:
        if getattr(merge, name) is not None and name not in own:
            raise UsageError(f"{method.name} takes no {name}; it takes {', '.join(own)}.")
    return replace(merge, **{name: value for name, value in own.items() if getattr(merge, name) is None})


def _method(name: str, count: int) -> Method:
    if name not in METHODS:
        raise UnknownNameError("merge method", name, METHODS)
    method = METHODS[name]
    if count < method.least or (method.most and count > method.most):
        least = str(method.least) if method.least == method.most else f"at least {method.least}"
        raise UsageError(f"{method.name} ({method.title}) merges {least} models, not {count}.")
    return method


def _leaves_all(merge: Merge) -> bool:
    """Tell whether a merge gives the first model whatever the others are."""
    if merge.factors:
        return merge.factors[0] == 1 and not any(merge.factors[1:])
    return not merge.block_weights and {merge.alpha, *merge.parts.values()} == {METHODS[merge.method].neutral}


def merged(models: Sequence[Weights], merge: Merge) -> Weights:
    """Return the merged weights; nothing is computed before it is asked for."""
    check_alike(models, merge.factors)
    merge = completed(merge, len(models))
    first, *others = models
    if not any(all(name in other for other in others) for name in first):
        raise UsageError("These models have no weights in common: nothing would be merged.")
    alphas = _alphas(first, merge)
    tensors: dict[str, LazyArray] = {}
    for name in first:
        own = first.lazy(name)
        if not _is_merged(name, own.info) or any(name not in other for other in others):
            tensors[name] = own
            continue
        same = [own, *(other.lazy(name) for other in others)]
        tensors[name] = _merged(name, same, partial(_combined, merge, name, alphas[name]))
    if merge.dtype:
        tensors = {name: cast(each, DTYPES[merge.dtype]) for name, each in tensors.items()}
    return Weights(tensors, first.metadata, first.path, first.format, first.extra)


def _is_merged(name: str, info: TensorInfo) -> bool:
    """Tell whether a tensor is merged; as in A1111, the noise schedule and position numbers are the first model's."""
    if info.dtype not in FLOATS or not info.size:
        return False
    return not checkpoint.is_schedule(name) and not name.endswith(checkpoint.POSITIONS)


def _alphas(first: Weights, merge: Merge) -> dict[str, float]:
    """Return the weight of every tensor: of its block, else of its part, else the general one."""
    found = components(first)
    for part in merge.parts:
        if part not in found:
            raise UsageError(f"There is no part named '{part}' in these models; they have {', '.join(found)}.")
    part_of = {name: part for part, names in found.items() for name in names}
    blocks = blocks_of(first)
    by_block = block_weights(merge.block_weights, blocks.values()) if merge.block_weights else {}
    general = 1.0 if merge.alpha is None else merge.alpha  # a sum has none
    return {name: by_block.get(blocks[name], merge.parts.get(part_of.get(name, ""), general)) for name in first}


def _merged(name: str, same: list[LazyArray], combine: _Combine) -> LazyArray:
    """One merged tensor. A first model with more input channels than some others keeps what is beyond theirs."""
    shapes = {each.info.shape for each in same}
    if len(shapes) == 1:
        return computed(same[0].info, partial(combine, same))
    shape = same[0].info.shape
    less = min(shapes)
    is_input = len(shape) == 4 and name.replace(".", "").endswith(_FIRST_CONVOLUTION)
    if not is_input or shapes != {shape, less} or (less[0], *less[2:]) != (shape[0], *shape[2:]):
        told = " and ".join(str(list(each)) for each in sorted(shapes))
        raise UsageError(f"'{name}' has the shapes {told}; such models do not mix.")
    return LazyArray(same[0].info, partial(_wider, same, less, combine))


def _wider(same: list[LazyArray], less: tuple[int, ...], combine: _Combine) -> Array:
    whole: Array = same[0].load().copy()
    inner = [LazyArray.of(each.load()[:, : less[1]].copy()) for each in same]
    whole[:, : less[1]] = gathered(TensorInfo(same[0].info.dtype, less), partial(combine, inner))
    return whole


def _combined(merge: Merge, name: str, alpha: float, same: Sequence[LazyArray]) -> Iterator[Array]:
    """Merge one tensor; yields it in the first model's format."""
    stack = Stack(name, same, alpha, {each: getattr(merge, each) for each in _SETTINGS})
    pieces = stack.sum(*merge.factors) if merge.factors else METHODS[merge.method].merge(stack)
    yield from in_blocks(pieces, same[0].info.dtype)
