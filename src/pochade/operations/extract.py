"""Take something out of model files: a part as a file of its own, or the difference of two models as a LoRA."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pochade import families, kinds
from pochade.errors import MalformedFileError, UsageError
from pochade.events import Event, Step, Warned
from pochade.families import Family
from pochade.files import LazyArray, Weights
from pochade.files.weights import Array
from pochade.kinds.adapter import UNET, Target, modules, targets
from pochade.kinds.components import components
from pochade.operations.casting import as_tensor, gathered
from pochade.operations.convert import DTYPES
from pochade.operations.decompose import low_rank
from pochade.operations.lineage import lineage
from pochade.operations.lora_tensors import is_wide, written
from pochade.operations.writing import check_target, writing

_LINEAR = re.compile(
    r".*attentions_\d+_(?:proj_in|proj_out|.*(?:to_q|to_k|to_v|to_out_0|ff_net_0_proj|ff_net_2))"
    r"|.*_1_(?:proj_in|proj_out|transformer_blocks_.*(?:to_q|to_k|to_v|to_out_0|ff_net_0_proj|ff_net_2))"
    r"|lora_te\d?_.*encoder_layers_\d+_(?:self_attn_(?:q|k|v|out)_proj|mlp_fc[12])"
)
_OUTER = re.compile(r"lora_unet_(?:conv_in|conv_out|time_embed|input_blocks_0_0|out_|label_emb|add_emb|class_emb)")


def extracting_part(source: Path, part: str, target: Path) -> Iterator[Event]:
    """Write one part (vae, unet, text-encoder…) as a file of its own, its names without the checkpoint's prefix."""
    check_target(target, source)
    weights = kinds.open_model(source)
    found = components(weights)
    if part not in found:
        raise UsageError(f"There is no part named '{part}' in {source}; it has {', '.join(found) or 'none'}.")
    family = families.recognise(weights.shapes())
    names = [name for name in found[part] if not name.startswith("model_ema.")]
    if not names:
        raise UsageError(f"{source} has its {part} as moving average only; convert it with --ema use before.")
    prefix = _prefix(names, family)
    tensors = {name.removeprefix(prefix): weights.lazy(name) for name in names}
    metadata = {"format": "pt"} | weights.metadata | lineage("extract", {"model": weights}, {"part": part})
    yield from writing(target, Weights(tensors, path=source), metadata)


def _prefix(names: list[str], family: Family | None) -> str:
    known = (family.unet_prefix, family.vae_prefix, *(each.prefix for each in family.encoders)) if family else ()
    return next((prefix for prefix in known if all(name.startswith(prefix) for name in names)), "")


def extracting_lora(
    base: Path, tuned: Path, target: Path, rank: int = 32, conv_rank: int = 0, dtype: str = "fp16"
) -> Iterator[Event]:
    """Write what a tuned model has beyond its base as a LoRA in kohya's naming, or a LoCon with a `conv_rank`.

    Yields a Step per module, a Warned that tells how much of the difference is missing, and Saved.
    Raises UsageError when the models do not belong together or do not differ.
    """
    if rank < 1 or conv_rank < 0:
        raise UsageError(f"The rank is {rank} and the convolutions' {conv_rank}; they must be 1 and 0 at least.")
    check_target(target, base, tuned)
    before, after = kinds.open_model(base), kinds.open_model(tuned)
    family = families.recognise(before.shapes())
    if family is None or families.recognise(after.shapes()) is not family:
        raise UsageError(f"{base} and {tuned} are not of one known family, so that their difference means nothing.")
    places = _places(before, family, conv_rank > 0)
    tensors: dict[str, Array] = {}
    errors: list[float] = []
    for done, (module, place) in enumerate(places.items(), 1):
        found = _module(before, after, place, rank, conv_rank, dtype)
        if found is not None:
            parts, error = found
            errors.append(error)
            tensors |= {f"{module}.{name}": each for name, each in parts.items()}
        yield Step(done, len(places), "modules")
    if not tensors:
        raise UsageError(f"{tuned} does not differ from {base} where a LoRA could tell.")
    mean, worst = 100 * sum(errors) / len(errors), 100 * max(errors)
    yield Warned(
        f"{len(errors)} modules; {mean:.1f} % of the difference is missing on average, {worst:.1f} % at worst."
    )
    yield from writing(target, Weights.from_arrays(tensors), _metadata(family, before, after, rank, conv_rank))


def _metadata(family: Family, before: Weights, after: Weights, rank: int, conv_rank: int) -> dict[str, str]:
    """What trainers write into their LoRAs, as far as it holds here."""
    told = {
        "format": "pt",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(float(rank)),
        "ss_base_model_version": family.kohya_name,
        "ss_v2": str(family.kohya_name.startswith("sd_v2")),
    }
    if conv_rank:
        told["ss_network_args"] = f'{{"conv_dim": "{conv_rank}", "conv_alpha": "{float(conv_rank)}"}}'
    options = {"rank": rank, "conv_rank": conv_rank}
    return told | lineage("extract", {"base": before, "tuned": after}, options)


def _places(weights: Weights, family: Family, with_convolutions: bool) -> dict[str, Target]:
    """Return the modules of a LoRA for this family, or those of a LoCon."""
    known = targets(weights, family)
    chosen = {module: known[module] for module in modules(weights, family)}
    found: dict[str, Target] = {}
    for module, place in chosen.items():
        rank = len(weights.info(place.name).shape)
        is_more = with_convolutions and rank > 1 and module.startswith(UNET) and not _OUTER.match(module)
        if _LINEAR.fullmatch(module) or is_more:
            found[module] = place
    return found


def _module(
    before: Weights, after: Weights, place: Target, rank: int, conv_rank: int, dtype: str
) -> tuple[Mapping[str, Array], float] | None:
    """Return the tensors of one module, and the share of its difference that they miss; None where there is none."""
    if place.name not in after or after.info(place.name).shape != before.info(place.name).shape:
        return None
    one, other = (_matrix(weights.lazy(place.name), place) for weights in (before, after))
    change = other - one
    if not bool(change.isfinite().all()):
        broken = after if bool(one.isfinite().all()) else before
        raise MalformedFileError(broken.path or "the weights", f"'{place.name}' holds NaN or infinity")
    if not bool(change.any()):
        return None
    shape = change.shape
    found = low_rank(change.reshape(shape[0], -1), conv_rank if is_wide(shape) else rank)
    return written(found.left, found.right, shape, found.right.shape[0], DTYPES[dtype]), found.error


def _matrix(tensor: LazyArray, place: Target) -> Any:
    whole = as_tensor(gathered(tensor.info, tensor.blocks), tensor.info.dtype).float()
    return whole if place.third is None else whole.chunk(3)[place.third]
