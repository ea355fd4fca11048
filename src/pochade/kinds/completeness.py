"""What is missing inside a network, told by its names: numbers with holes, halves and pieces that are not there.

Widths and depths are free, so everything is compared with its own siblings; of the shapes, only those that must agree.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from pochade.families import Family, Shapes
from pochade.kinds.components import TEXT, UNET, VAE, components

_COUNTED = re.compile(
    r"(.*?(?:^|\.)(?:input_blocks|output_blocks|middle_block|transformer_blocks|down|up|block|layers|resblocks))"
    r"\.(\d{1,4})\."
)
_ALIKE = re.compile(r"(.*\.(?:transformer_blocks|layers|resblocks|block))\.\d{1,4}\.(.+)")
_RESNET = re.compile(r"(.*)\.(\d{1,4}\.0)\.((?:in_layers|emb_layers|out_layers)\..+)")
_OPTIONAL = "nin_shortcut."  # where a resnet changes the width
_PIECES = {
    UNET: (
        *("time_embed.0.", "time_embed.2.", "input_blocks.0.0.", "output_blocks.0.0.", "out.0.", "out.2."),
        *("middle_block.0.", "middle_block.1.", "middle_block.2."),
    ),
    VAE: tuple(
        f"{half}.{piece}."
        for half in ("encoder", "decoder")
        for piece in ("conv_in", "mid.block_1", "mid.attn_1", "mid.block_2", "norm_out", "conv_out")
    ),
}
_PIECES_OF_TEXT = {
    "clip": ("embeddings.token_embedding.", "embeddings.position_embedding.", "encoder.layers.0.", "final_layer_norm."),
    "openclip": ("token_embedding.", "positional_embedding", "transformer.resblocks.0.", "ln_final."),
}
_HALVES = {UNET: ("input_blocks.", "output_blocks."), VAE: ("encoder.down.", "decoder.up.")}
_FEEDS = {"in_layers.0": "in_layers.2", "out_layers.0": "out_layers.3", "out.0": "out.2", "norm_out": "conv_out"}
"""Norms, with the convolutions that they feed."""


def gaps(shapes: Shapes, family: Family) -> dict[str, list[str]]:
    """Return for every part of a checkpoint, or part alone, what it lacks or what is of a wrong shape.

    Parts that are whole, or not there at all, are left out; so are moving averages, ControlNets and other designs.
    """
    found: dict[str, list[str]] = {}
    parts = components(shapes)
    for part, prefix in ((UNET, family.unet_prefix), (VAE, family.vae_prefix)):
        inner = _inside(shapes, parts.get(part, ()), prefix)
        if inner and any(name.startswith(_HALVES[part]) for name in inner):
            found[part] = [*_absent(inner, _PIECES[part]), *_uneven(inner, _HALVES[part]), *_damage(inner)]
    for encoder in family.encoders:
        part = next(iter(components([encoder.prefix])), TEXT)
        inner = {
            name.removeprefix("text_model."): shape
            for name, shape in _inside(shapes, parts.get(part, ()), encoder.prefix).items()
        }
        if inner:
            layout = "openclip" if any(name.startswith(_PIECES_OF_TEXT["openclip"]) for name in inner) else "clip"
            found[part] = [*_absent(inner, _PIECES_OF_TEXT[layout]), *_damage(inner)]
    return {part: missing for part, missing in found.items() if missing}


def _inside(shapes: Shapes, names: Iterable[str], prefix: str) -> dict[str, tuple[int, ...]]:
    """Return a part's shapes by the names that it has within a checkpoint, also for a part alone."""
    names = list(names)
    within = [name for name in names if name.startswith(prefix)]
    alone = [] if within or any(name.startswith("model_ema.") for name in names) else names
    return {name.removeprefix(prefix): shapes[name] for name in within or alone}


def _absent(names: Iterable[str], pieces: Iterable[str]) -> Iterator[str]:
    """Yield what every network of its design has; nothing of a half is told as the half."""
    names = list(names)
    told: set[str] = set()
    for piece in pieces:
        half, dot, _ = piece.partition(".")
        half += dot
        lost = piece if any(name.startswith(half) for name in names) else half
        if lost not in told and not any(name.startswith(lost) for name in names):
            told.add(lost)
            yield lost.removesuffix(".")


def _uneven(names: Iterable[str], halves: tuple[str, str]) -> Iterator[str]:
    """Yield the last blocks of the half that has fewer than the other; a half without any is told before."""
    counted = _numbers(names)
    first, last = (max(counted[half.removesuffix(".")], default=-1) + 1 for half in halves)
    if first and last and first != last:
        half = halves[first > last]
        yield from (f"{half}{number}" for number in range(min(first, last), max(first, last)))


def _damage(shapes: Shapes) -> Iterator[str]:
    for counted, numbers in _numbers(shapes).items():
        yield from (f"{counted}.{number}" for number in range(max(numbers)) if number not in numbers)
    yield from _unlike_siblings(shapes)
    yield from _unfitting(shapes)


def _numbers(names: Iterable[str]) -> dict[str, set[int]]:
    """Return the numbers of what is counted from 0 on, by the name before them."""
    found: dict[str, set[int]] = defaultdict(set)
    for name in names:
        place = 0
        while match := _COUNTED.match(name, place):
            found[name[: match.end(1)]].add(int(match[2]))
            place = match.end() - 1
    return found


def _unlike_siblings(names: Iterable[str]) -> Iterator[str]:
    """Yield what blocks of one kind lack that others of it have."""
    units: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in names:
        if resnet := _RESNET.fullmatch(name):
            units["resnets"][f"{resnet[1]}.{resnet[2]}"].add(resnet[3])
        elif (alike := _ALIKE.fullmatch(name)) and not alike[2].startswith(_OPTIONAL):
            kind = alike[1].rpartition(".")[2]
            units[kind][name.removesuffix(f".{alike[2]}")].add(alike[2])
    for siblings in units.values():
        every = set().union(*siblings.values())
        for unit, inner in siblings.items():
            yield from (f"{unit}.{name}" for name in sorted(every - inner))


def _unfitting(shapes: Shapes) -> Iterator[str]:
    for norm, conv in _FEEDS.items():
        for name, shape in shapes.items():
            if name.endswith(f"{norm}.weight") and len(shape) == 1:
                fed = f"{name.removesuffix(f'{norm}.weight')}{conv}.weight"
                wide = shapes.get(fed, ())
                if len(wide) == 4 and wide[1] != shape[0]:
                    yield f"{fed} of the shape {list(wide)}"
