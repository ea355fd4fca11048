"""LoRA and its relatives: recognised by what their modules' tensors are called."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from typing import TypeAlias

from pochade.families import FAMILIES, SDXL, Family
from pochade.files import Array
from pochade.files.metadata import table_in

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

SETTINGS = "lora_adapter_metadata"
"""Where diffusers keeps PEFT's settings, alphas among them, in a file's metadata."""
_OF_THE_NUMBERS = (SETTINGS, "sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256")
_ARGUMENTS = "ss_network_args"
_DIFFERENT = "Dynamic"  # kohya's word for sizes that are not the same everywhere

_SUFFIXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("dora", (".dora_scale", ".lora_magnitude_vector")),
    ("lokr", (".lokr_w1", ".lokr_w1_a", ".lokr_w2", ".lokr_w2_a")),
    ("loha", (".hada_w1_a",)),
    ("glora", (".a1.weight",)),
    ("ia3", (".on_input",)),
    ("oft", (".oft_blocks", ".oft_diag")),
    (
        "lora",
        (".lora_down.weight", ".lora_up.weight", ".lora_A.weight", ".lora_B.weight", ".lora.down.weight",
         "_lora.down.weight", ".lora_linear_layer.down.weight"),
    ),
    ("full", (".diff", ".diff_b")),
    ("norm", (".w_norm", ".b_norm")),
)  # fmt: skip
_DOWN = (
    ".lora_down.weight", ".lora_A.weight", ".lora.down.weight", "_lora.down.weight", ".lora_linear_layer.down.weight",
)  # fmt: skip
_LONGEST = max(len(each) for _, suffixes in _SUFFIXES for each in suffixes)
_RANKS = (*_DOWN, ".hada_w1_b", ".a2.weight", ".lokr_w1_b", ".lokr_w2_b")
_BOFT_DIMENSIONS = 4
_BLOCK = re.compile(r"transformer_blocks[._](\d{1,4})[._]")
_LAYER = re.compile(r"encoder[._]layers[._](\d{1,4})[._]")
_SECOND_ENCODER = ("lora_te1_", "lora_te2_", "text_encoder_2.")


def algorithm(shapes: Shapes, metadata: Mapping[str, str] | None = None) -> str | None:
    """Return the algorithm of a LoRA file, or None when it is none."""
    ends = {key[-_LONGEST:] for key in shapes}  # a hundred times fewer than the names
    name = next((each for each, suffixes in _SUFFIXES if any(end.endswith(suffixes) for end in ends)), None)
    if name == "oft" and any(len(shape) == _BOFT_DIMENSIONS for key, shape in shapes.items() if "oft_" in key):
        return "boft"
    if name != "lora":
        return name
    if "dylora" in " ".join((metadata or {}).get(f"ss_network_{each}", "") for each in ("module", "args")):
        return "dylora"
    wide = any(shape[2:] and key.endswith(_DOWN) and max(shape[2:]) > 1 for key, shape in shapes.items())
    return "locon" if wide or any(end.endswith(".lora_mid.weight") for end in ends) else "lora"


def rank(shapes: Shapes) -> int | None:
    """Return the rank that most modules have, where the algorithm has one."""
    ranks = Counter(min(shape[:2]) for name, shape in shapes.items() if name.endswith(_RANKS) and shape)
    return ranks.most_common(1)[0][0] if ranks else None


def family_of(shapes: Shapes) -> Family | None:
    """Return the family whose networks a LoRA fits, if its modules tell."""
    if any(name.startswith(_SECOND_ENCODER) or "_input_blocks_" in name for name in shapes):
        return SDXL
    if any(int(block) > 0 for name in shapes for block in _BLOCK.findall(name)):
        return SDXL
    return next((family for family in FAMILIES if not family.deep and _fits(family, shapes)), None)


def _fits(family: Family, shapes: Shapes) -> bool:
    """Ask the projections first, then the width of the text, then how deep the text encoder is."""
    down = {name: shape for name, shape in shapes.items() if name.endswith(_DOWN) and len(shape) > 1}
    if ranks := {len(shape) for name, shape in down.items() if "proj_in" in name}:
        return ranks == {family.projection_rank}
    if widths := {shape[1] for name, shape in down.items() if "attn2" in name and "to_k" in name}:
        return widths == {family.context_width}
    layers = {int(layer) + 1 for name in shapes for layer in _LAYER.findall(name)}
    return max(layers, default=0) == family.encoders[0].layers


def lasting(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata that still holds when the numbers of a LoRA change."""
    return {name: value for name, value in metadata.items() if name not in _OF_THE_NUMBERS}


def told_sizes(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> dict[str, str]:
    """Return what trainers write about ranks and alphas, for a LoRA's tensors in kohya's naming.

    `metadata` is what they wrote about it before.
    """
    sizes: dict[bool, set[tuple[str, str]]] = {False: set(), True: set()}
    for name, array in tensors.items():
        if name.endswith(_DOWN[0]):
            alpha = float(tensors[f"{name.removesuffix(_DOWN[0])}.alpha"])
            sizes[prod(array.shape[2:]) > 1].add((str(array.shape[0]), str(alpha)))
    plain, wide = sizes[False] or sizes[True], sizes[True]
    if not plain:
        return {}
    told = {"ss_network_dim": _only(rank for rank, _ in plain), "ss_network_alpha": _only(alpha for _, alpha in plain)}
    arguments = table_in(metadata, _ARGUMENTS)  # some trainers note None
    if "algo" in arguments:
        arguments["algo"] = "lora"
    if wide:
        arguments["conv_dim"] = _only(rank for rank, _ in wide)
        arguments["conv_alpha"] = _only(alpha for _, alpha in wide)
    return told | ({_ARGUMENTS: json.dumps(arguments)} if arguments else {})


def _only(values: Iterable[str]) -> str:
    different = set(values)
    return different.pop() if len(different) == 1 else _DIFFERENT
