"""What a family of models is: facts, and the marks by which its files are known."""

from dataclasses import dataclass
from typing import Literal

from pochade.families.marks import Marks, Shapes, marks_of
from pochade.families.previews import SD, Projection

Prediction = Literal["epsilon", "v"]
Heeds = Literal["always", "when asked", "never"]
Told = Literal["size", "crop", "target", "score"]


@dataclass(frozen=True)
class TextEncoder:
    """One text encoder: where a checkpoint keeps it, in whose names, its true sizes (of the layers, those used), and
    its folder in diffusers' layout.

    The UNet was trained on its layer number `skip` from the end, through the final norm if `normed`; `heeds_skip` tells
    when a request may choose another. `pooled` is whether the UNet is told its summary of the whole prompt too.
    """

    prefix: str
    layout: Literal["clip", "openclip"]
    width: int
    layers: int
    head_width: int = 64
    folder: str = "text_encoder"
    skip: int = 1
    normed: bool = True
    heeds_skip: Heeds = "always"
    pooled: bool = False

    def skip_for(self, clip_skip: int, asked: bool) -> int:
        """Return which layer from the end to take for a request's clip skip.

        `asked` tells that the request means it for encoders too which heed it only then.
        """
        heeds = self.heeds_skip == "always" or (asked and self.heeds_skip == "when asked")
        return clip_skip if heeds else self.skip


@dataclass(frozen=True)
class Variant:
    """A branch of a family, told by the channels that go into its UNet and by the width of its class embedding.

    `classes` is that width as a multiple of the context's, None where any will do. `prediction` is None where the
    tensors do not tell what the UNet predicts. `pipeline` is diffusers' name for what draws with it; `heads`,
    `latent_scale`, `resolution` and `betas` are given where they are not the family's; `noises_picture` tells that it
    also takes a small picture, with noise of a schedule of its own; `quick_gelu` that its image encoder is OpenAI's.
    """

    name: str
    channels: int = 4
    classes: float | None = None
    prediction: Prediction | None = "epsilon"
    pipeline: str = "StableDiffusionPipeline"
    heads: int | None = None
    latent_scale: float | None = None
    resolution: int | None = None
    betas: tuple[float, float] | None = None
    noises_picture: bool = False
    quick_gelu: bool = False

    def fits(self, marks: Marks) -> bool:
        """Tell whether a UNet is of this branch."""
        if marks.channels != self.channels:
            return False
        width = (marks.context_width or 0) * (self.classes or 0)
        return self.classes is None or marks.class_width == width


@dataclass(frozen=True, kw_only=True)
class Family:
    """Facts of one family. Sizes of networks are not among them: those are read from the tensors' shapes.

    A UNet belongs to the family by the rank of its attention projections (convolutions 4, linear layers 2), by whether
    its transformers have several blocks (`deep`) and a fourth level, and by whether it knows classes. `heads` is None
    where attention heads are 64 wide instead of a fixed count. `kohya_name` is what trainers write into LoRAs for it.
    `resolution` is the side of its pictures in pixels, `epsilon_resolution` that of models which predict the noise,
    where they differ. `told` is what the UNet's classes hold beside the summary of the prompt: sizes, a crop, a score
    of beauty, in this order. `zero_negative` tells that an empty negative prompt becomes zeros instead of being
    encoded. `aligned` names the published Align Your Steps sigmas that were found for it. `vaes` are the hashes of VAEs
    published for it whose shapes are those of other families, `preview` is how its latents look at a glance.
    """

    name: str
    title: str
    kohya_name: str
    projection_rank: int
    deep: bool
    classes: bool | None
    encoders: tuple[TextEncoder, ...]
    context_width: int
    latent_scale: float
    resolution: int
    variants: tuple[Variant, ...]
    heads: int | None = None
    fourth_level: bool | None = None
    epsilon_resolution: int | None = None
    told: tuple[Told, ...] = ()
    zero_negative: bool = False
    aligned: Literal["sd1", "sdxl"] = "sd1"
    vaes: tuple[str, ...] = ()
    preview: Projection = SD
    unet_prefix: str = "model.diffusion_model."
    vae_prefix: str = "first_stage_model."
    ema_prefix: str = "model_ema."
    latent_channels: int = 4
    downscale: int = 8
    beta_start: float = 0.00085
    beta_end: float = 0.012

    def has_unet(self, marks: Marks) -> bool:
        """Tell by names and ranks, never by widths, whether a UNet is of this family."""
        return (
            marks.ranks == {self.projection_rank}
            and (marks.depth > 1) == self.deep
            and self.fourth_level in (None, marks.has_fourth_level)
            and self.classes in (None, marks.class_width is not None)
        )

    def has_text(self, shapes: Shapes) -> bool:
        """Tell whether a text encoder stands where the family keeps its own."""
        places = tuple(each.prefix for each in self.encoders)
        return any(name.startswith(places) for name in shapes)

    def branch(self, shapes: Shapes) -> Variant | None:
        """Return the branch by the UNet; None without one, or for one that is not known."""
        marks = marks_of(shapes)
        return next((each for each in self.variants if marks and each.fits(marks)), None)

    def variant(self, shapes: Shapes) -> str | None:
        """Return the name of the branch."""
        found = self.branch(shapes)
        return found.name if found else None

    def ema_name(self, name: str) -> str:
        """Return the name of a UNet tensor's moving average: that of the tensor without dots, behind a prefix."""
        outer = self.unet_prefix.split(".", 1)[0] + "."
        return self.ema_prefix + name.removeprefix(outer).replace(".", "")
