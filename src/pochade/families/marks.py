"""What names and shapes of a UNet tell: live, moving average, half of one in a ControlNet, or named by diffusers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

_PLACE = re.compile(
    r"(?:model\.diffusion_model\.|model_ema\.diffusion_model|control_model\.)?"
    r"((?:input_blocks|middle_block|output_blocks|down_blocks|mid_block|up_blocks"
    r"|conv_in|label_emb|class_embedding|add_embedding)[.\d].*|label_embweight)"
)
_FIRST = {"input_blocks00weight", "conv_inweight"}
_CLASSES = {
    "label_emb00weight", "label_embweight",
    "class_embeddinglinear_1weight", "class_embeddingweight", "add_embeddinglinear_1weight",
}  # fmt: skip
_BLOCK = re.compile(r"transformer_blocks(\d{1,4})(?:attn|ff|norm)")
_FOURTH_LEVEL = ("input_blocks9", "down_blocks3")


@dataclass(frozen=True)
class Marks:
    """Channels that go in, rank and most blocks of its transformers, levels (4 or fewer), widths of class and context.

    What cannot be told is None; `ranks` has several values only in a file that is a mixture.
    """

    channels: int | None
    ranks: frozenset[int]
    depth: int
    has_fourth_level: bool
    class_width: int | None
    context_width: int | None


def marks_of(shapes: Shapes) -> Marks | None:
    """Return the marks of the UNet among some tensors; None without one.

    Names are compared without their dots, because moving averages have none.
    """
    flat: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        if found := _PLACE.fullmatch(name):
            flat.setdefault(found[1].replace(".", ""), shape)
    if not flat:
        return None
    blocks = [int(found[1]) for found in map(_BLOCK.search, flat) if found]
    return Marks(
        channels=next((shape[1] for name, shape in flat.items() if name in _FIRST and len(shape) == 4), None),
        ranks=frozenset(len(shape) for name, shape in flat.items() if name.endswith("proj_inweight")),
        depth=max(blocks, default=-1) + 1,
        has_fourth_level=any(name.startswith(_FOURTH_LEVEL) for name in flat),
        class_width=next((shape[-1] for name, shape in flat.items() if name in _CLASSES and shape), None),
        context_width=next((shape[-1] for name, shape in flat.items() if name.endswith("attn2to_kweight")), None),
    )
