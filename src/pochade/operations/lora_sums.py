"""The weighted sum of what several LoRAs add to one weight, in the tensors of one module.

Without a rank the sum is exact: the factors of plain LoRAs stand side by side, so that their ranks add up, and what is
added to a whole difference is part of it. Any other sum, and these too, can be brought to a given rank.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pochade import adapters
from pochade.adapters import BIAS, Algorithm
from pochade.adapters.algorithm import Shape
from pochade.adapters.full import FULL
from pochade.adapters.lora import LORA, scale
from pochade.adapters.norm import NORM
from pochade.errors import UsageError
from pochade.files import Array, LazyArray, TensorInfo, Weights
from pochade.kinds.lora_naming import Parts
from pochade.operations.casting import as_array, torch_dtype
from pochade.operations.convert import DTYPES
from pochade.operations.decompose import low_rank, spectrum_of_product
from pochade.operations.lora_effect import Ground
from pochade.operations.lora_tensors import dtype_of, explained, is_wide, loaded, matrices, written

_AXES = 2  # those of a matrix


@dataclass(frozen=True)
class Share:
    """One LoRA's tensors of a module, and how much they count."""

    weights: Weights
    parts: Parts
    factor: float

    @property
    def algorithm(self) -> Algorithm | None:
        """The algorithm of the tensors, biases left aside."""
        return adapters.algorithm_of(self.parts)

    @property
    def whole(self) -> LazyArray | None:
        """The whole difference, where the LoRA keeps it as that."""
        return next((self.parts[each.marks[0]] for each in (FULL, NORM) if self.algorithm is each), None)


@dataclass(frozen=True)
class Form:
    """Ranks to bring the sum to, none to keep it exact, and the number format, none to keep the module's own."""

    rank: int | None = None
    conv_rank: int | None = None
    dtype: str | None = None

    def rank_of(self, shape: Shape) -> int | None:
        """The rank for a weight of this shape."""
        return self.conv_rank if self.conv_rank and is_wide(shape) else self.rank

    def dtype_of(self, shares: Sequence[Share]) -> str:
        """The number format for what these become; full precision where theirs differ."""
        formats = {DTYPES[self.dtype]} if self.dtype else {dtype_of(share.parts) for share in shares}
        return formats.pop() if len(formats) == 1 else "F32"

    def check(self) -> None:
        """Raise UsageError where this cannot work."""
        if any(each is not None and each < 1 for each in (self.rank, self.conv_rank)):
            raise UsageError("A rank must be 1 at least.")
        if self.conv_rank and not self.rank:
            raise UsageError("--conv-rank needs --rank: without it, ranks add up.")


def check_sums(module: str, shares: Sequence[Share], form: Form, ground: Ground) -> None:
    """Refuse shares of a module that cannot be added up in this form."""
    kernels = _kernels(shares)
    for share in kernels:
        if share.algorithm is None:
            names = " and ".join(sorted(share.parts))
            raise UsageError(f"{share.weights.path}: '{module}' is of {names}, which no algorithm knows.")
        ground.check(share.weights, module, share.parts)
    other = next((share for share in kernels if share.algorithm not in (LORA, FULL, NORM)), None)
    if other and other.algorithm and not form.rank and not any(share.whole for share in kernels):
        raise UsageError(
            f"{other.weights.path}: '{module}' is of {other.algorithm.name}, whose sums have no small exact form; give "
            "--rank N for the nearest LoRA of that rank."
        )


def summed(
    module: str, shares: Sequence[Share], form: Form, ground: Ground
) -> tuple[dict[str, LazyArray], float | None]:
    """Return the tensors of one module, and the part of the sum that a rank misses."""
    biases = {name: _having(shares, [name]) for name in BIAS}
    tensors = {name: _bias(name, module, having, form) for name, having in biases.items() if having}
    kernels = _kernels(shares)
    if not kernels:
        return tensors, None
    whole = next((share.whole for share in kernels if share.whole), None)
    if whole and (form.rank is None or len(whole.info.shape) < _AXES):
        name = (NORM if all(share.algorithm is NORM for share in kernels) else FULL).marks[0]
        info = TensorInfo(form.dtype_of(kernels), whole.info.shape)
        return tensors | {name: LazyArray(info, partial(_difference, module, kernels, ground, info))}, None
    is_plain = all(share.algorithm is LORA for share in kernels)
    ranked, error = _beside(module, kernels, form) if is_plain else _nearest(module, kernels, form, ground)
    return tensors | {name: LazyArray.of(each) for name, each in ranked.items()}, error


def _bias(name: str, module: str, shares: Sequence[Share], form: Form) -> LazyArray:
    """Return the weighted sum of the tensors of this name."""
    import torch

    with explained(shares[0].weights, module):
        total = torch.stack([loaded(share.parts)[name] * share.factor for share in shares]).sum(0)
    dtype = form.dtype_of(shares)
    return LazyArray.of(as_array(total.to(torch_dtype(dtype)), dtype))


def _total(module: str, shares: Sequence[Share], ground: Ground) -> tuple[Any, Shape]:
    """Return the sum of what the shares add to their weight as a matrix, and the weight's shape."""
    total: Any = None
    shape: Shape = ()
    for share in shares:
        with explained(share.weights, module):
            change = ground.change(module, loaded(share.parts), share.factor)
            matrix = change.reshape(change.shape[0], -1)
            if total is not None and matrix.shape != total.shape:
                raise ValueError(f"they change a weight of {list(change.shape)}, another LoRA's one of {list(shape)}")
        total = matrix if total is None else total.add_(matrix)
        shape = max(shape, tuple(change.shape), key=len)
    return total, shape


def _difference(module: str, shares: Sequence[Share], ground: Ground, info: TensorInfo) -> Array:
    """Return the sum whole, when it is written."""
    total, _ = _total(module, shares, ground)
    return as_array(total.reshape(info.shape).to(torch_dtype(info.dtype)), info.dtype)


def _nearest(module: str, shares: Sequence[Share], form: Form, ground: Ground) -> tuple[dict[str, Array], float]:
    """Return the factors of the given rank that are nearest to the sum."""
    total, shape = _total(module, shares, ground)
    with explained(shares[0].weights, module):
        nearest = low_rank(total, form.rank_of(shape) or min(total.shape))
    rank = nearest.right.shape[0]
    return written(nearest.left, nearest.right, shape, rank, form.dtype_of(shares)), nearest.error


def _beside(module: str, shares: Sequence[Share], form: Form) -> tuple[dict[str, Array], float | None]:
    """Return the factors of plain LoRAs side by side, or the nearest ones of the rank that is asked for.

    The largest weight goes into alpha, so that no number is rounded where all weights are the same.
    """
    import torch

    lefts, rights, shapes, weights = zip(*(_factors(module, share) for share in shares), strict=True)
    most, shape, dtype = max(map(abs, weights)), max(shapes, key=len), form.dtype_of(shares)
    rank = form.rank_of(shape)
    with explained(shares[0].weights, module):
        left = torch.cat([each * (weight / most) for each, weight in zip(lefts, weights, strict=True)], dim=1)
        right = torch.cat(rights)
        if rank is None:
            return written(left, right, shape, most * right.shape[0], dtype), None
        nearest = spectrum_of_product(left, right).low_rank(rank)
    return written(nearest.left, nearest.right, shape, most * nearest.right.shape[0], dtype), nearest.error


def _factors(module: str, share: Share) -> tuple[Any, Any, Shape, float]:
    """Return a plain LoRA's two matrices, the shape of the weight that they change, and how much they count."""
    with explained(share.weights, module):
        tensors = loaded(share.parts)
        return (*matrices(tensors), share.factor * scale(tensors))


def _kernels(shares: Sequence[Share]) -> list[Share]:
    """Return the shares in the weight, without those in the bias."""
    return _having(shares, {name for share in shares for name in share.parts if name not in BIAS})


def _having(shares: Sequence[Share], names: Collection[str]) -> list[Share]:
    """Return the shares with these of their tensors alone, where they have any."""
    alone = [
        replace(share, parts={name: share.parts[name] for name in share.parts if name in names}) for share in shares
    ]
    return [share for share in alone if share.parts]
