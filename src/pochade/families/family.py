"""What a family of models is: facts, and the marks by which its files are known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

_BARE_PLACES = (
    "input_blocks.", "middle_block.", "output_blocks.", "down_blocks.", "mid_block.", "up_blocks.", "control_model.",
)  # fmt: skip
"""Where attention stands in a UNet or ControlNet of its own file, original or diffusers."""
_FIRST_CONVOLUTIONS = ("input_blocks.0.0.weight", "conv_in.weight")


@dataclass(frozen=True, kw_only=True)
class Family:
    """Facts of one family. Sizes of networks are not among them: those are read from the tensors' shapes.

    A file belongs to the family when none of `foreign_prefixes` occurs and its attention projections have
    `projection_rank` (convolutions 4, linear layers 2), or, without a UNet, when it has a text encoder of
    `text_prefix`.
    """

    name: str
    title: str
    unet_prefix: str
    vae_prefix: str
    text_prefix: str
    heads: int
    text_head_width: int
    latent_scale: float
    latent_channels: int
    downscale: int
    beta_start: float
    beta_end: float
    prediction: str
    resolution: int
    projection_rank: int
    context_width: int
    text_layers: int
    foreign_prefixes: tuple[str, ...]
    ema_prefix: str = "model_ema."
    variants: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({4: "base"}))

    def recognises(self, shapes: Shapes) -> bool:
        """Tell by names and ranks, never by widths, whether a file is of this family."""
        if any(name.startswith(self.foreign_prefixes) for name in shapes):
            return False
        ranks = {len(shape) for name, shape in shapes.items() if self._is_projection(name)}
        if ranks:
            return ranks == {self.projection_rank}
        return any(name.startswith(self.text_prefix) for name in shapes)

    def variant(self, shapes: Shapes) -> str | None:
        """Return the variant by the channels that go into the UNet; None without a UNet or for unknown counts."""
        channels = self.in_channels(shapes)
        return None if channels is None else self.variants.get(channels)

    def in_channels(self, shapes: Shapes) -> int | None:
        """Return the channels that go into the UNet: live, EMA, or alone in its file."""
        name = f"{self.unet_prefix}input_blocks.0.0.weight"
        found = (shapes.get(each, ()) for each in (name, self.ema_name(name), *_FIRST_CONVOLUTIONS))
        return next((shape[1] for shape in found if len(shape) == 4), None)

    def ema_name(self, name: str) -> str:
        """Return the name of a UNet tensor's moving average: that of the tensor without dots, behind a prefix."""
        outer = self.unet_prefix.split(".", 1)[0] + "."
        return self.ema_prefix + name.removeprefix(outer).replace(".", "")

    def _is_projection(self, name: str) -> bool:
        live = name.startswith((self.unet_prefix, *_BARE_PLACES)) and name.endswith(".proj_in.weight")
        return live or (name.startswith(self.ema_prefix) and name.endswith("proj_inweight"))
