"""Merge checkpoints: a sum of any models, or a method with its weight per block and part; tensor by tensor."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pochade import families, files, kinds
from pochade.errors import UnknownNameError, UsageError
from pochade.events import Event
from pochade.files import LazyArray, TensorInfo, Weights
from pochade.files.saving import saving
from pochade.files.weights import BLOCK, Array
from pochade.kinds import checkpoint
from pochade.kinds.components import components
from pochade.operations.blocks import block_weights, blocks_of
from pochade.operations.casting import FLOATS, as_array, as_tensor, cast, gathered, torch_dtype
from pochade.operations.convert import DTYPES
from pochade.operations.lineage import lineage, refuse_inputs
from pochade.operations.methods import METHODS, Method


@dataclass(frozen=True, kw_only=True)
class Merge:
    """What to do with models in order: a factor for each, or a method with `alpha`.

    `block_weights` (a text as block_weights() reads it) and `parts` (unet, vae, text-encoder) replace alpha there.
    """

    factors: tuple[float, ...] = ()
    method: str = ""
    alpha: float = 0.5
    block_weights: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    dtype: str | None = None


_PLAIN = Merge()


def merging(paths: Sequence[Path], merge: Merge, target: Path) -> Iterator[Event]:
    """Merge model files; yields Steps in megabytes and Saved at the end.

    Raises UsageError when the models do not fit together or the result would be one of them.
    """
    if len({path.resolve() for path in paths}) == 1 or _leaves_all(merge):
        raise UsageError(f"This merge would only give {paths[0].name} itself; nothing was written.")
    refuse_inputs(target, *paths)
    models = [files.open(path) for path in paths]
    changed = merged(models, merge)
    options = {name: value for name, value in asdict(merge).items() if value != getattr(_PLAIN, name)}
    named = {f"model-{number}": weights for number, weights in enumerate(models, 1)}
    metadata = {"format": "pt"} | models[0].metadata | lineage("merge", named, options)
    yield from saving(target, changed, metadata)


def _leaves_all(merge: Merge) -> bool:
    """Tell whether a merge gives the first model whatever the others are."""
    if merge.factors:
        return merge.factors[0] == 1 and not any(merge.factors[1:])
    return not merge.alpha and not merge.block_weights and not any(merge.parts.values())


def merged(models: Sequence[Weights], merge: Merge) -> Weights:
    """Return the merged weights; nothing is computed before it is asked for."""
    _check_alike(models)
    first, *others = models
    method = None if merge.factors else _method(merge, len(models))
    alphas = _alphas(first, merge)
    tensors: dict[str, LazyArray] = {}
    for name in first:
        own = first.lazy(name)
        if not _is_merged(name, own.info) or any(name not in other for other in others):
            tensors[name] = own
            continue
        same = [own, *(other.lazy(name) for other in others)]
        combine = partial(_sum, merge.factors) if method is None else partial(_by_method, method, alphas[name])
        tensors[name] = _merged(name, same, combine)
    if merge.dtype:
        tensors = {name: cast(each, DTYPES[merge.dtype]) for name, each in tensors.items()}
    return Weights(tensors, first.metadata, first.path, first.format, first.extra)


def _is_merged(name: str, info: TensorInfo) -> bool:
    """Tell whether a tensor is merged; as in A1111, the noise schedule and position numbers are the first model's."""
    return info.dtype in FLOATS and not checkpoint.is_schedule(name) and not name.endswith(checkpoint.POSITIONS)


def _method(merge: Merge, count: int) -> Method:
    if merge.method not in METHODS:
        raise UnknownNameError("merge method", merge.method, METHODS)
    method = METHODS[merge.method]
    if count != method.models:
        raise UsageError(f"{method.name} ({method.title}) merges {method.models} models, not {count}.")
    return method


def _alphas(first: Weights, merge: Merge) -> dict[str, float]:
    """Return the weight of every tensor: of its block, else of its part, else the general one."""
    found = components(first)
    for part in merge.parts:
        if part not in found:
            raise UsageError(f"There is no part named '{part}' in these models; they have {', '.join(found)}.")
    part_of = {name: part for part, names in found.items() for name in names}
    blocks = blocks_of(first)
    by_block = block_weights(merge.block_weights, blocks.values()) if merge.block_weights else {}
    return {name: by_block.get(blocks[name], merge.parts.get(part_of.get(name, ""), merge.alpha)) for name in first}


def _check_alike(models: Sequence[Weights]) -> None:
    """Refuse models of different kinds or families, before anything is read."""
    first = models[0]
    kind, family = kinds.recognise(first.shapes()), families.recognise(first.shapes())
    for other in models[1:]:
        its_kind, its_family = kinds.recognise(other.shapes()), families.recognise(other.shapes())
        if (its_kind, its_family) != (kind, family):
            one, two = _described(first, kind, family), _described(other, its_kind, its_family)
            raise UsageError(f"{one} and {two} do not mix: their tensors mean different things.")


def _described(weights: Weights, kind: str, family: families.Family | None) -> str:
    name = weights.path.name if weights.path else "one model"
    return f"{name} ({family.title if family else 'no known family'}, {kind})"


def _merged(name: str, same: list[LazyArray], combine: Any) -> LazyArray:
    """One merged tensor. A first model with more input channels than the others keeps what is beyond theirs."""
    shapes = {each.info.shape for each in same}
    if len(shapes) == 1:
        stream = partial(combine, same)
        return LazyArray(same[0].info, partial(gathered, same[0].info, stream), stream)
    shape = same[0].info.shape
    shared = {other.info.shape for other in same[1:]}
    less = min(shared)
    if len(shared) > 1 or len(less) != len(shape) or less[0] != shape[0] or less[2:] != shape[2:]:
        listed = " and ".join(str(list(each)) for each in sorted(shapes))
        raise UsageError(f"'{name}' has the shapes {listed}; such models do not mix.")
    if less[1] > shape[1]:
        raise UsageError(
            f"'{name}' takes {less[1]} channels in a later model and {shape[1]} in the first: an inpainting or "
            "instruct-pix2pix model must be the first one."
        )
    return LazyArray(same[0].info, partial(_wider, same, less, combine))


def _wider(same: list[LazyArray], less: tuple[int, ...], combine: Any) -> Array:
    whole: Array = same[0].load().copy()
    inner = LazyArray.of(whole[:, : less[1]].copy())
    info = TensorInfo(same[0].info.dtype, less)
    whole[:, : less[1]] = gathered(info, partial(combine, [inner, *same[1:]]))
    return whole


def _sum(factors: tuple[float, ...], same: list[LazyArray]) -> Iterator[Array]:
    for blocks, give in _together(same):
        total = blocks[0].mul_(factors[0])
        for block, factor in zip(blocks[1:], factors[1:], strict=True):
            total.add_(block, alpha=factor)
        yield give(total)


def _by_method(method: Method, alpha: float, same: list[LazyArray]) -> Iterator[Array]:
    measured = method.measure(blocks for blocks, _ in _together(same)) if method.measure else None
    for blocks, give in _together(same):
        yield give(method.combine(blocks, alpha, measured))


def _together(same: list[LazyArray]) -> Iterator[tuple[list[Any], Any]]:
    """Yield the same numbers of all models as float32 tensors, and how to turn a result into the first one's format.

    Buffers are used again and again: fresh ones would cost more than the arithmetic.
    """
    import torch

    scratch = [torch.empty(BLOCK) for _ in same]
    dtype = same[0].info.dtype
    room = torch.empty(BLOCK, dtype=torch_dtype(dtype))
    result = as_array(room, dtype)

    def give(total: Any) -> Array:
        room[: len(total)].copy_(total)
        return result[: len(total)]

    for parts in zip(*(each.blocks() for each in same), strict=True):
        yield (
            [
                buffer[: len(part)].copy_(as_tensor(part, each.info.dtype))
                for buffer, part, each in zip(scratch, parts, same, strict=True)
            ],
            give,
        )
