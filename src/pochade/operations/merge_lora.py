"""Merge LoRAs: what the new one adds to a model is the weighted sum of what the old ones add."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pochade import files, kinds
from pochade.errors import UsageError
from pochade.events import Event, Step, Warned
from pochade.families import Family
from pochade.files import LazyArray, Weights
from pochade.kinds import lora
from pochade.kinds.adapter import modules_of
from pochade.kinds.lora_naming import kohya_module
from pochade.operations.lineage import lineage
from pochade.operations.lora_effect import Ground
from pochade.operations.lora_sums import Form, Share, check_sums, summed
from pochade.operations.lora_tensors import network_told
from pochade.operations.writing import check_target, writing


def merging_loras(
    paths: Sequence[Path],
    factors: Sequence[float],
    target: Path,
    rank: int | None = None,
    conv_rank: int | None = None,
    dtype: str | None = None,
    base: Path | None = None,
) -> Iterator[Event]:
    """Merge LoRA files into one in kohya's naming; yields a Step per module, with a `rank` a Warned that tells how much
    is lost, and Saved.

    `dtype` is fp32, fp16 or bf16; the `base` model is for algorithms whose effect depends on its weights. Raises
    UsageError when the files do not belong together or do not add up.
    """
    if not factors or len(factors) != len(paths):
        raise UsageError('LoRAs are merged by a sum; write it like "0.7*a.safetensors + 0.5*b.safetensors".')
    form = Form(rank, conv_rank, dtype)
    form.check()
    check_target(target, *paths, *([base] if base else []))
    opened = [files.open(path) for path in paths]
    _check_alike(opened)
    ground = Ground.of(opened, base)
    modules = _modules(opened, factors, ground.family)
    for module, shares in modules.items():
        check_sums(module, shares, form, ground)
    tensors: dict[str, LazyArray] = {}
    errors: list[float] = []
    for done, (module, shares) in enumerate(modules.items(), 1):
        parts, error = summed(module, shares, form, ground)
        errors += [] if error is None else [error]
        tensors |= {f"{module}.{name}": each for name, each in parts.items()}
        yield Step(done, len(modules), "modules")
    if errors:
        mean, worst = 100 * sum(errors) / len(errors), 100 * max(errors)
        yield Warned(f"{mean:.1f} % of the sum is missing on average, {worst:.1f} % at worst.")
    made = Weights(tensors)
    yield from writing(target, made, _metadata(made, opened, factors, form, ground))


def _metadata(
    made: Weights, opened: Sequence[Weights], factors: Sequence[float], form: Form, ground: Ground
) -> dict[str, str]:
    """The first LoRA's metadata as far as it holds for what was made, and how that was done."""
    options = {"factors": list(factors)} | {name: value for name, value in vars(form).items() if value is not None}
    parents = {f"model-{number}": weights for number, weights in enumerate(opened, 1)}
    parents |= {"base": ground.model} if ground.model else {}
    return {"format": "pt"} | network_told(made, opened[0].metadata) | lineage("merge", parents, options)


def _check_alike(opened: Sequence[Weights]) -> None:
    """Refuse what is no LoRA, and LoRAs of two families."""
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


def _modules(opened: Sequence[Weights], factors: Sequence[float], family: Family | None) -> dict[str, list[Share]]:
    """Return every module's shares in all files that count, by the one name that kohya gives it."""
    found: dict[str, list[Share]] = defaultdict(list)
    for weights, factor in zip(opened, factors, strict=True):
        for module, parts in modules_of(weights).items() if factor else ():
            found[kohya_module(module, family) if family else module].append(Share(weights, parts, factor))
    if not found:
        raise UsageError("Nothing would be left of these LoRAs: every factor is 0.")
    return dict(found)
