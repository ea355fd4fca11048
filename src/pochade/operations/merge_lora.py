"""Merge LoRAs: what the new one adds to a model is the weighted sum of what the old ones add.

The factors of all stand side by side, so that the sum is exact and the ranks add up; or it is brought to a given rank.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pochade import adapters, files, kinds
from pochade.adapters import BIAS
from pochade.adapters.full import FULL
from pochade.adapters.lora import LORA, scale
from pochade.adapters.norm import NORM
from pochade.errors import UsageError
from pochade.events import Event, Step, Warned
from pochade.families import Family
from pochade.files import Array, Weights
from pochade.kinds import lora
from pochade.kinds.adapter import ALPHA, CORE, DOWN, UP, modules_of
from pochade.kinds.lora_naming import kohya_module
from pochade.operations.casting import as_array, torch_dtype
from pochade.operations.convert import DTYPES
from pochade.operations.decompose import spectrum_of_product
from pochade.operations.lineage import lineage
from pochade.operations.lora_tensors import Parts, Shape, dtype_of, explained, is_wide, loaded, matrices, written
from pochade.operations.writing import check_target, writing

_SUMMED = (*FULL.marks, *NORM.marks, *BIAS)
"""Tensors that are whole differences."""
_RANKED = (UP, DOWN, CORE, ALPHA)


@dataclass(frozen=True)
class _Share:
    """One LoRA's tensors of a module, and how much they count."""

    weights: Weights
    parts: Parts
    factor: float


@dataclass(frozen=True)
class _Form:
    """Ranks to bring the sum to, none to keep it whole, and the number format, none to keep the module's own."""

    rank: int | None = None
    conv_rank: int | None = None
    dtype: str | None = None

    def rank_of(self, shape: Shape) -> int | None:
        """The rank for a weight of this shape."""
        return self.conv_rank if self.conv_rank and is_wide(shape) else self.rank

    def dtype_of(self, parts: Sequence[Parts]) -> str:
        """The number format for what these become; full precision where theirs differ."""
        formats = {DTYPES[self.dtype]} if self.dtype else {dtype_of(each) for each in parts}
        return formats.pop() if len(formats) == 1 else "F32"

    def check(self) -> None:
        """Raise UsageError where this cannot work."""
        if any(each is not None and each < 1 for each in (self.rank, self.conv_rank)):
            raise UsageError("A rank must be 1 at least.")
        if self.conv_rank and not self.rank:
            raise UsageError("--conv-rank needs --rank: without it, ranks add up.")


def merging_loras(
    paths: Sequence[Path],
    factors: Sequence[float],
    target: Path,
    rank: int | None = None,
    conv_rank: int | None = None,
    dtype: str | None = None,
) -> Iterator[Event]:
    """Merge LoRA files into one in kohya's naming; yields a Step per module, with a `rank` a Warned that tells how much
    is lost, and Saved.

    `dtype` is fp32, fp16 or bf16. Raises UsageError when the files do not belong together or do not add up.
    """
    if not factors or len(factors) != len(paths):
        raise UsageError('LoRAs are merged by a sum; write it like "0.7*a.safetensors + 0.5*b.safetensors".')
    form = _Form(rank, conv_rank, dtype)
    form.check()
    check_target(target, *paths)
    opened = [files.open(path) for path in paths]
    modules = _modules(opened, factors, _family(opened))
    tensors: dict[str, Array] = {}
    errors: list[float] = []
    for done, (module, shares) in enumerate(modules.items(), 1):
        parts, error = _merged(module, shares, form)
        errors.append(error)
        tensors |= {f"{module}.{name}": each for name, each in parts.items()}
        yield Step(done, len(modules), "modules")
    if rank:
        mean, worst = 100 * sum(errors) / len(errors), 100 * max(errors)
        yield Warned(f"{mean:.1f} % of the sum is missing on average, {worst:.1f} % at worst.")
    yield from writing(target, Weights.from_arrays(tensors), _metadata(opened, factors, form, tensors))


def _metadata(
    opened: Sequence[Weights], factors: Sequence[float], form: _Form, tensors: Mapping[str, Array]
) -> dict[str, str]:
    """The first LoRA's metadata, with ranks and alphas as they are now."""
    first = opened[0].metadata
    options = {"factors": list(factors)} | {name: value for name, value in vars(form).items() if value is not None}
    parents = {f"model-{number}": weights for number, weights in enumerate(opened, 1)}
    told = lora.lasting(first) | lora.told_sizes(tensors, first)
    return {"format": "pt"} | told | lineage("merge", parents, options)


def _family(opened: Sequence[Weights]) -> Family | None:
    """Return the family of all; refuse what is no LoRA, and LoRAs of two families."""
    found: dict[Family, str] = {}
    for weights in opened:
        kind = kinds.recognise(weights.shapes())
        if kind != "lora":
            raise UsageError(
                f"{weights.path} is no LoRA but a {kind}; `pochade bake` puts LoRAs into models, and LoRAs merge among "
                "themselves."
            )
        if family := lora.family_of(weights.shapes()):
            found[family] = f"{weights.path} is for {family.title}"
    if len(found) > 1:
        raise UsageError(f"{' and '.join(found.values())}; such LoRAs do not mix.")
    return next(iter(found), None)


def _modules(opened: Sequence[Weights], factors: Sequence[float], family: Family | None) -> dict[str, list[_Share]]:
    """Return every module's shares in all files that count, by the one name that kohya gives it."""
    found: dict[str, list[_Share]] = defaultdict(list)
    for weights, factor in zip(opened, factors, strict=True):
        for module, parts in modules_of(weights).items() if factor else ():
            _check_sums(weights, module, parts)
            found[kohya_module(module, family) if family else module].append(_Share(weights, parts, factor))
    if not found:
        raise UsageError("Nothing would be left of these LoRAs: every factor is 0.")
    return dict(found)


def _check_sums(weights: Weights, module: str, parts: Parts) -> None:
    """Refuse a module of an algorithm whose effects are not summed by summing its tensors."""
    kernel = [name for name in parts if name not in BIAS]
    algorithm = adapters.algorithm_of(kernel)
    if algorithm in (LORA, FULL, NORM) or not kernel:
        return
    what = algorithm.name if algorithm else " and ".join(sorted(kernel))
    way = "`pochade resize` makes a LoRA of it" if algorithm and algorithm.shape else "`pochade bake` takes several"
    raise UsageError(f"{weights.path}: '{module}' is of {what}, which does not add up with others; {way}.")


def _merged(module: str, shares: Sequence[_Share], form: _Form) -> tuple[dict[str, Array], float]:
    """Return the tensors of one module, and the part of the sum that they miss."""
    ranked = [share for share in shares if LORA.recognises(share.parts)]
    differences = {name for share in shares for name in share.parts if name in _SUMMED}
    if ranked and differences - set(BIAS):
        raise UsageError(f"'{module}' is a LoRA and a whole difference; `pochade resize` makes a LoRA of the latter.")
    with explained(shares[0].weights, module):
        tensors = {name: _sum(name, [share for share in shares if name in share.parts], form) for name in differences}
        beside, error = _beside(ranked, form) if ranked else ({}, 0.0)
    return tensors | beside, error


def _sum(name: str, shares: Sequence[_Share], form: _Form) -> Array:
    """Return the weighted sum of the tensors of this name."""
    import torch

    parts = [{name: share.parts[name]} for share in shares]
    total = torch.stack([loaded(each)[name] * share.factor for each, share in zip(parts, shares, strict=True)]).sum(0)
    dtype = form.dtype_of(parts)
    return as_array(total.to(torch_dtype(dtype)), dtype)


def _beside(shares: Sequence[_Share], form: _Form) -> tuple[dict[str, Array], float]:
    """Return the factors of all shares side by side, or the nearest ones of the rank that is asked for.

    The largest weight goes into alpha, so that no number is rounded where all weights are the same.
    """
    import torch

    parts = [{name: share.parts[name] for name in _RANKED if name in share.parts} for share in shares]
    tensors = [loaded(each) for each in parts]
    weights = [share.factor * scale(each) for share, each in zip(shares, tensors, strict=True)]
    lefts, rights, shapes = zip(*map(matrices, tensors), strict=True)
    most, shape, dtype = max(map(abs, weights)), max(shapes, key=len), form.dtype_of(parts)
    left = torch.cat([each * (weight / most) for each, weight in zip(lefts, weights, strict=True)], dim=1)
    right = torch.cat(rights)
    rank = form.rank_of(shape)
    if rank is None:
        return written(left, right, shape, most * right.shape[0], dtype), 0.0
    nearest = spectrum_of_product(left, right).low_rank(rank)
    return written(nearest.left, nearest.right, shape, most * nearest.right.shape[0], dtype), nearest.error
