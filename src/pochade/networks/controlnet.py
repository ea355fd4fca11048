"""ControlNets (Zhang et al. 2023, arXiv:2302.05543), named as in the original files: half a UNet that sees a hint.

It walks the same way down as the UNet it steers. What each block finds goes through an outlet, a convolution that
was all zeros before training, and is added to what the UNet's own block hands over.
"""

from torch import Tensor, nn

from pochade.networks.layers import conv_of
from pochade.networks.shapes import Shape, Shapes, children, conv, joined, within
from pochade.networks.unet import Half

HALF = ("time_embed.", "label_emb.", "input_blocks.", "middle_block.")
"""How the names begin that a ControlNet shares with its UNet."""

_HINT = (16, 16, 32, 32, 96, 96, 256)  # channels that the published ControlNets give a hint on its way
_HALVES = 4  # of the hint's layers, numbered with the activations between, every fourth halves its sides


class ControlNet(Half):
    """Tells a UNet what to add to its features, so that the picture follows a hint.

    `shapes` are the names and shapes below `control_model.`; the rest is as for a UNet.
    """

    def __init__(self, shapes: Shapes, heads: int | None = 8, head_width: int = 64) -> None:
        super().__init__(shapes, heads, head_width)
        self.channels = shapes["input_blocks.0.0.weight"][1]
        self.input_hint_block = _hint_block(within(shapes, "input_hint_block."))
        outlets = within(shapes, "zero_convs.")
        self.zero_convs = nn.ModuleList(nn.Sequential(conv_of(outlets, f"{each}.0")) for each in children(outlets))
        self.middle_block_out = nn.Sequential(conv_of(shapes, "middle_block_out.0"))

    def embed(self, hint: Tensor) -> Tensor:
        """A hint [B, 3, 8 h, 8 w] of 0..1 to features [B, width, h, w]; the same at every step of a run."""
        features: Tensor = self.input_hint_block(hint)
        return features

    def forward(
        self, latents: Tensor, timesteps: Tensor, context: Tensor, hint: Tensor, classes: Tensor | None = None
    ) -> list[Tensor]:
        """What to add, one per input block and last the middle block's; arguments as a UNet's, and the hint."""
        return self.residuals(latents, timesteps, context, self.embed(hint), classes)

    def residuals(
        self, latents: Tensor, timesteps: Tensor, context: Tensor, embedded: Tensor, classes: Tensor | None = None
    ) -> list[Tensor]:
        """The same for a hint that is embedded already.

        It may steer relatives of the UNet it was trained on: channels of the latents beyond its own (an inpainting
        model's), and classes where it knows none, are not looked at.
        """
        time = self.embed_time(timesteps, None if self.label_emb is None else classes, latents.dtype)
        x = latents[:, : self.channels]
        found: list[Tensor] = []
        for number, (block, outlet) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            x = block(x, time, context)
            if number == 0:
                x = x + embedded
            found.append(outlet(x))
        return [*found, self.middle_block_out(self.middle_block(x, time, context))]


def _hint_block(shapes: Shapes) -> nn.Sequential:
    """Convolutions with activations between; three of them bring the hint from the picture's size to the latents'."""
    places = children(shapes)
    layers: list[nn.Module] = []
    for place in places:
        halves = int(place) % _HALVES == 0 and place not in (places[0], places[-1])
        layers += [conv_of(shapes, place, stride=2 if halves else 1), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def controlnet_shapes(unet: Shapes, hint_channels: int = 3) -> dict[str, Shape]:
    """Names and shapes of the ControlNet that steers a UNet, from the UNet's own."""
    half = {name: shape for name, shape in unet.items() if name.startswith(HALF)}
    blocks = within(half, "input_blocks.")
    widths = [block_width(within(blocks, f"{number}.")) for number in children(blocks)]
    steps = zip((hint_channels, *_HINT), (*_HINT, widths[0]), strict=True)
    hint = [conv(f"input_hint_block.{2 * place}", before, after, 3) for place, (before, after) in enumerate(steps)]
    outlets = [conv(f"zero_convs.{number}.0", width, width, 1) for number, width in enumerate(widths)]
    return half | joined([*hint, *outlets, conv("middle_block_out.0", widths[-1], widths[-1], 1)])


def block_width(block: Shapes) -> int:
    """Channels that a block hands over."""
    names = ("0.weight", "0.op.weight", "0.out_layers.3.weight")
    return next(block[name][0] for name in names if name in block)
