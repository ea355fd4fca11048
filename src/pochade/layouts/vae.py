"""Names of the VAE: original (`down.i.block.j`) and diffusers (`down_blocks.i.resnets.j`).

diffusers counts the decoder's levels from the small end, the original from the large one.
"""

import re
from collections.abc import Iterable, Mapping

from pochade.files import LazyArray, Weights
from pochade.layouts.renaming import renamed, reverse

_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
_OLD_ATTENTION = {"q": "query", "k": "key", "v": "value", "proj_out": "proj_attn"}
_PLACES = re.compile(r"(?:encoder\.down|decoder\.up)(?:_blocks)?\.(\d{1,4})\.(?:block|resnets)\.(\d{1,4})\.")
_PROJECTION = re.compile(
    r"(?:en|de)coder\.(?:mid\.attn_1\.(?:q|k|v|proj_out)"
    r"|mid_block\.attentions\.0\.(?:to_q|to_k|to_v|to_out\.0|query|key|value|proj_attn))\.weight"
)


def to_diffusers(names: Iterable[str]) -> dict[str, str]:
    """Return the diffusers name of every original name (both without a prefix)."""
    names = list(names)
    return renamed(names, _modules(names, _ATTENTION))


def to_original(names: Iterable[str]) -> dict[str, str]:
    """Return the original name of every diffusers name, old ones included (both without a prefix)."""
    names = list(names)
    return renamed(names, reverse(_modules(names, _ATTENTION)) | reverse(_modules(names, _OLD_ATTENTION)))


def in_original_names(weights: Weights) -> Weights:
    """Return a VAE in diffusers' names as the original has it, tensor by tensor and still lazy."""
    arrays = {new: _as_convolution(weights.lazy(old), old) for old, new in to_original(weights).items()}
    return Weights(arrays, weights.metadata, weights.path, weights.format, weights.extra)


def in_diffusers_names(weights: Weights) -> Weights:
    """Return a VAE in the original's names as diffusers has it, tensor by tensor and still lazy."""
    arrays = {new: _as_linear(weights.lazy(old), old) for old, new in to_diffusers(weights).items()}
    return Weights(arrays, weights.metadata, weights.path, weights.format, weights.extra)


def _as_convolution(tensor: LazyArray, name: str) -> LazyArray:
    shape = tensor.info.shape
    return tensor.reshaped(*shape, 1, 1) if is_projection(name) and len(shape) == 2 else tensor


def _as_linear(tensor: LazyArray, name: str) -> LazyArray:
    shape = tensor.info.shape
    return tensor.reshaped(*shape[:2]) if is_projection(name) and len(shape) == 4 else tensor


def is_projection(name: str) -> bool:
    """Tell whether a tensor is an attention projection: a convolution [C, C, 1, 1] in the original, linear [C, C] in
    diffusers.
    """
    return _PROJECTION.fullmatch(name) is not None


def _modules(names: Iterable[str], attention: Mapping[str, str]) -> dict[str, str]:
    """Return the table from original to diffusers modules, for those levels and blocks that the names have."""
    places = {(int(found[1]), int(found[2])) for found in map(_PLACES.match, names) if found}
    last = max((level for level, _ in places), default=0)
    table: dict[str, str] = {}
    for half in ("encoder", "decoder"):
        table[f"{half}.norm_out"] = f"{half}.conv_norm_out"
        table |= {f"{half}.mid.attn_1.{old}": f"{half}.mid_block.attentions.0.{new}" for old, new in attention.items()}
        for number in (0, 1):
            table |= _resnet(f"{half}.mid.block_{number + 1}", f"{half}.mid_block.resnets.{number}")
    for level, block in places | {(last - level, block) for level, block in places}:  # decoders count either way
        down, up = f"encoder.down_blocks.{level}", f"decoder.up_blocks.{last - level}"
        table[f"encoder.down.{level}.downsample.conv"] = f"{down}.downsamplers.0.conv"
        table[f"decoder.up.{level}.upsample.conv"] = f"{up}.upsamplers.0.conv"
        table |= _resnet(f"encoder.down.{level}.block.{block}", f"{down}.resnets.{block}")
        table |= _resnet(f"decoder.up.{level}.block.{block}", f"{up}.resnets.{block}")
    return table


def _resnet(old: str, new: str) -> dict[str, str]:
    return {old: new, f"{old}.nin_shortcut": f"{new}.conv_shortcut"}
