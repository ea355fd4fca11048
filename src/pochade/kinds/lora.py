"""LoRA and its relatives: recognised by what their modules' tensors are called."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from pochade.families import FAMILIES, SDXL, Family

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

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
         "_lora.down.weight"),
    ),
    ("full", (".diff", ".diff_b")),
    ("norm", (".w_norm", ".b_norm")),
)  # fmt: skip
_DOWN = (".lora_down.weight", ".lora_A.weight", ".lora.down.weight", "_lora.down.weight")
_RANKS = (*_DOWN, ".hada_w1_b", ".a2.weight", ".lokr_w1_b", ".lokr_w2_b")
_BOFT_DIMENSIONS = 4
_BLOCK = re.compile(r"transformer_blocks[._](\d+)[._]")
_LAYER = re.compile(r"encoder[._]layers[._](\d+)[._]")
_SECOND_ENCODER = ("lora_te1_", "lora_te2_", "text_encoder_2.")


def algorithm(shapes: Shapes, metadata: Mapping[str, str] | None = None) -> str | None:
    """Return the algorithm of a LoRA file, or None when it is none."""
    name = next((each for each, suffixes in _SUFFIXES if any(key.endswith(suffixes) for key in shapes)), None)
    if name == "oft" and any(len(shape) == _BOFT_DIMENSIONS for key, shape in shapes.items() if "oft_" in key):
        return "boft"
    if name != "lora":
        return name
    if "dylora" in " ".join((metadata or {}).get(f"ss_network_{each}", "") for each in ("module", "args")):
        return "dylora"
    wide = any(key.endswith(_DOWN) and max(shape[2:], default=1) > 1 for key, shape in shapes.items())
    return "locon" if wide or any(key.endswith(".lora_mid.weight") for key in shapes) else "lora"


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
