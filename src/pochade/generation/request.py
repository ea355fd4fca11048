"""The Request: one immutable, complete record of a generation. A picture carries it, and redo replays it."""

import json
import random
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from pochade.errors import UsageError
from pochade.generation.controlnet.control_unit import ControlUnit
from pochade.generation.extra_networks.lora_unit import LoraUnit
from pochade.generation.record import Kind, Record, defaults_of, file_name, kind_in, rules_of
from pochade.generation.rules import Rule, is_within, option, shown

SCHEMA = 1
SEEDS = 4294967294  # a seed of -1 becomes one of 0..4294967293, A1111's range
LARGEST_SEED = 2**63 - 1
RESIZE_MODES = ("Just resize", "Crop and resize", "Resize and fill", "Latent upscale")
FILLS = ("fill", "original", "latent noise", "latent nothing")
OUTPAINT_FILLS = ("matched noise", "fill", "latent noise", "latent nothing")
_PATHS = ("model", "vae", "image", "mask", "depth", "hires_upscaler", "refiner")
NOTES = ("applied_styles", "prompt_template", "negative_template")
"""Fields that only tell how the prompts came to be."""
REFINER_PASSES = ("first pass", "second pass", "both passes")


@dataclass(frozen=True)
class Request(Record):
    """What to draw and how. None means "the model's own"; `Pipeline.resolve` fills it in.

    >>> Request("a red house", steps=30).seed
    -1
    """

    title: ClassVar[str] = "request"

    prompt: str = option("", "What the picture shows.")
    negative_prompt: str = option("", "What it should not show.")
    model: str = option("", "Model, by name or path; the shipped one if not given.")
    model_hash: str = option("", "First 10 hex digits of the model file's SHA-256.")
    vae: str = option("", "VAE, by name or path; none is the model's own, auto the one beside it.")
    vae_hash: str = option("", "First 10 hex digits of the VAE file's SHA-256.")
    steps: int | None = option(None, "Sampling steps; 20 if not given.", least=1, most=1000)
    sampler: str | None = option(None, 'Sampler, e.g. "Euler a"; "DPM++ 2M" if not given.')
    schedule: str | None = option(None, 'Noise schedule, e.g. "Karras"; the sampler\'s own if not given.')
    cfg: float = option(7.0, "Guidance: how strongly the prompt pulls.", least=-1000, most=1000)
    seed: int = option(-1, "Seed of the first picture; -1 draws one.", least=-1, most=LARGEST_SEED)
    width: int | None = option(None, "Width in pixels.", least=64, most=8192, multiple_of=8)
    height: int | None = option(None, "Height in pixels.", least=64, most=8192, multiple_of=8)
    count: int = option(1, "Pictures to draw; each next one has the next seed.", least=1, most=100_000)
    batch: int = option(1, "Pictures drawn at a time.", least=1, most=256)
    clip_skip: int | None = option(None, "Take the text encoder's N-th last layer.", least=1, most=12)
    rng: str = option("nv", "Noise source; nv gives an NVIDIA card's noise anywhere.", choices=("cpu", "nv", "gpu"))
    device: str = option("auto", "Where to compute.", choices=("auto", "cpu", "cuda"))
    dtype: str = option("auto", "Numbers to compute with.", choices=("auto", "fp32", "bf16", "fp16"))
    memory: float = option(0.0, "Gigabytes of memory to stay within; 0 is all that is free.", least=0, most=4096)
    vae_tile: int | None = option(
        None, "Let the VAE work on tiles of N pixels; 0 never; as memory asks if not given.", least=0, most=8192
    )
    tiling: bool = option(False, "Make the edges meet, for a repeating pattern.", group="Picture")

    variation_seed: int = option(-1, "Seed of the variation.", group="Noise", least=-1, most=LARGEST_SEED)
    variation_strength: float = option(0.0, "How far to go towards the variation.", group="Noise", least=0, most=1)
    seed_resize_from: tuple[int, int] | None = option(
        None, "Keep the composition that the seed has at this size.", group="Noise", least=8, most=8192
    )
    ensd: int = option(0, "Added to the seed for the noise of later steps.", group="Noise", least=-(2**31), most=2**31)
    eta: float | None = option(None, "Noise that ancestral samplers and DDIM add.", group="Noise", least=0, most=10)
    s_churn: float = option(0.0, "Churn: noise added before each step.", group="Noise", least=0, most=1000)
    s_tmin: float = option(0.0, "Lowest sigma with churn.", group="Noise", least=0, most=1000)
    s_tmax: float = option(0.0, "Highest sigma with churn; 0 sets no limit.", group="Noise", least=0, most=1_000_000)
    s_noise: float = option(1.0, "Factor on the sampler's own noise.", group="Noise", least=0, most=10)
    sgm_noise_multiplier: bool = option(False, "Scale the first noise as SGM does.", group="Noise")
    sde_batch_noise: bool = option(False, "Let SDE samplers share one noise in a batch.", group="Noise")

    sigma_min: float = option(0.0, "Last sigma; 0 is the model's.", group="Schedule", least=0, most=1000)
    sigma_max: float = option(0.0, "First sigma; 0 is the model's.", group="Schedule", least=0, most=1000)
    rho: float = option(
        0.0, "Curve of the Karras family; 0 is the schedule's own.", group="Schedule", least=0, most=100
    )
    beta_alpha: float = option(0.6, "Alpha of the Beta schedule.", group="Schedule", least=0.001, most=100)
    beta_beta: float = option(0.6, "Beta of the Beta schedule.", group="Schedule", least=0.001, most=100)
    old_sigma_limits: bool = option(False, "Sigmas from 0.1 to 10, as once in A1111.", group="Schedule")
    discard_next_to_last: bool = option(False, "Drop the next-to-last sigma.", group="Schedule")
    quantize: bool = option(False, "Round timesteps to those of the training.", group="Schedule")
    zero_terminal_snr: bool = option(False, "Rescale the noise table to end at pure noise.", group="Schedule")
    downcast_alphas: bool = option(False, "Noise table in half precision, for seeds before 1.7.", group="Schedule")
    uni_pc_variant: str = option("bh1", "Form of UniPC.", group="Schedule", choices=("bh1", "bh2", "vary_coeff"))
    uni_pc_skip: str = option(
        "time_uniform", "Spacing of UniPC.", group="Schedule", choices=("time_uniform", "time_quadratic", "logSNR")
    )
    uni_pc_order: int = option(3, "Order of UniPC.", group="Schedule", least=1, most=50)
    uni_pc_lower_order_final: bool = option(True, "Lower the order of UniPC's last steps.", group="Schedule")

    ngms: float = option(
        0.0, "Skip the negative prompt on odd steps below this sigma.", group="Guidance", least=0, most=1000
    )
    ngms_all: bool = option(False, "Skip it on every such step.", group="Guidance")
    skip_early_cond: float = option(
        0.0, "Skip the negative prompt in this first part of the steps.", group="Guidance", least=0, most=1
    )

    emphasis: str = option(
        "Original", "What a weight on a word does.", group="Prompt", choices=("Original", "No norm", "Ignore", "None")
    )
    comma_backtrack: int = option(
        20, "Tokens to look back for a comma when a chunk is full.", group="Prompt", least=0, most=74
    )
    old_prompt_editing: bool = option(False, "Time prompt editing as A1111 did before 1.6.", group="Prompt")
    pad_cond_uncond: bool = option(False, "Pad the shorter prompt with empty chunks.", group="Prompt")
    pad_cond_uncond_v0: bool = option(False, "Pad or cut the negative prompt, as before 1.6.", group="Prompt")

    image: str = option("", "Picture to begin with, by path.", group="Image")
    image_hash: str = option("", "First 10 hex digits of the SHA-256 of its pixels.", group="Image")
    strength: float = option(0.75, "How much of the picture is drawn anew.", group="Image", least=0, most=1)
    resize_mode: str = option("Just resize", "How the picture is brought to size.", group="Image", choices=RESIZE_MODES)
    exact_steps: bool = option(False, "Make all the steps, not the strength's share of them.", group="Image")
    noise_multiplier: float = option(1.0, "Factor on the first noise.", group="Image", least=0, most=10)
    extra_noise: float = option(0.0, "Noise added on top.", group="Image", least=0, most=10)
    image_cfg: float = option(
        1.5, "How strongly the picture pulls, in models that edit by instruction.", group="Image", least=0, most=100
    )
    background: str = option("#ffffff", "Colour behind what is transparent.", group="Image")
    color_correction: bool = option(False, "Give the result the colours of the picture.", group="Image")
    depth: str = option("", "Depth map, by path, for depth models; estimated if not given.", group="Image")
    depth_hash: str = option("", "First 10 hex digits of the SHA-256 of its pixels.", group="Image")
    noise_level: int | None = option(
        None, "Noise on the picture that upscaler and unCLIP models look at.", group="Image", least=0, most=999
    )

    mask: str = option("", "Mask, by path: white is drawn anew.", group="Mask")
    mask_hash: str = option("", "First 10 hex digits of the SHA-256 of its pixels.", group="Mask")
    invert_mask: bool = option(False, "Draw what is black in the mask.", group="Mask")
    mask_blur: int = option(4, "Softness of the mask's edge in pixels.", group="Mask", least=0, most=512)
    mask_blur_y: int | None = option(None, "The same upwards and downwards.", group="Mask", least=0, most=512)
    fill: str = option("original", "What the masked part begins with.", group="Mask", choices=FILLS)
    only_masked: bool = option(False, "Draw the masked part alone, at full size.", group="Mask")
    padding: int = option(32, "Pixels around the masked part that are drawn along.", group="Mask", least=0, most=2048)
    round_mask: bool = option(True, "Draw a latent anew or not at all; otherwise also in part.", group="Mask")
    mask_weight: float = option(
        1.0, "How much of the masked part inpainting models do not see.", group="Mask", least=0, most=1
    )
    paste_back: bool = option(True, "Keep all pixels outside the mask as they were.", group="Mask")

    soft: bool = option(False, "Let old and new flow into each other.", group="Soft inpainting")
    soft_power: float = option(
        1.0, "How much more the early steps hold on to the picture.", group="Soft inpainting", least=0, most=10
    )
    soft_scale: float = option(0.5, "How strongly the picture is kept.", group="Soft inpainting", least=0, most=10)
    soft_detail: float = option(
        4.0, "Contrast that is kept where both are mixed.", group="Soft inpainting", least=1, most=32
    )
    soft_mask_influence: float = option(
        0.0, "How much the mask counts for what is laid over.", group="Soft inpainting", least=0, most=1
    )
    soft_threshold: float = option(
        0.5, "Change from which the new is seen.", group="Soft inpainting", least=0.001, most=10
    )
    soft_contrast: float = option(2.0, "How sharply it is seen from there.", group="Soft inpainting", least=0, most=10)

    left: int = option(0, "Pixels to add on the left.", group="Outpaint", least=0, most=8192)
    right: int = option(0, "Pixels to add on the right.", group="Outpaint", least=0, most=8192)
    up: int = option(0, "Pixels to add at the top.", group="Outpaint", least=0, most=8192)
    down: int = option(0, "Pixels to add at the bottom.", group="Outpaint", least=0, most=8192)
    seam: int = option(
        16, "Pixels inside the old edge where old and new flow together.", group="Outpaint", least=0, most=512
    )
    outpaint_fill: str = option(
        "matched noise", "What the new area begins with.", group="Outpaint", choices=OUTPAINT_FILLS
    )

    hires: float = option(0.0, "Draw once more at this scale; 0 is off.", group="Hires", least=0, most=16)
    hires_size: tuple[int, int] | None = option(
        None, "Size of the second pass; a side of 0 keeps the proportion.", group="Hires", least=0, most=16384
    )
    hires_upscaler: str = option("Latent", "What enlarges, by name or path.", group="Hires")
    hires_steps: int = option(0, "Steps of the second pass; 0 is as many as before.", group="Hires", least=0, most=1000)
    hires_sampler: str | None = option(None, "Sampler of the second pass.", group="Hires")
    hires_schedule: str | None = option(None, "Schedule of the second pass.", group="Hires")
    hires_prompt: str = option("", "Prompt of the second pass, if another one.", group="Hires")
    hires_negative_prompt: str = option("", "Negative prompt of the second pass, if another one.", group="Hires")

    refiner: str = option("", "Model that takes over towards the end, by name or path.", group="Refiner")
    refiner_hash: str = option("", "First 10 hex digits of its file's SHA-256.", group="Refiner")
    refiner_switch_at: float = option(
        0.8, "Share of the run after which it takes over.", group="Refiner", least=0, most=1
    )
    refiner_by_steps: bool = option(False, "Count that share in steps, not in noise.", group="Refiner")
    refiner_pass: str = option(
        "second pass", "Where it works when there are two passes.", group="Refiner", choices=REFINER_PASSES
    )

    loras: tuple[LoraUnit, ...] = option((), "A LoRA beside those that the prompt names.", most=64)
    lora_hashes: str = option("", "Hashes of the LoRAs that tags in the prompts stand for.")

    controls: tuple[ControlUnit, ...] = option((), "A ControlNet that steers the picture.", group="Control", most=16)

    applied_styles: tuple[str, ...] = option((), "Styles that the prompts hold already, by name.", group="Origin")
    prompt_template: str = option("", "Template that the prompt was chosen from.", group="Origin")
    negative_template: str = option("", "The same of the negative prompt.", group="Origin")

    prediction: str = option(
        "auto", "What the model predicts, if its file does not say.", group="Model", choices=("auto", "epsilon", "v")
    )
    clip_l_skip: bool = option(False, "Let clip skip count for SDXL's first text encoder too.", group="Model")
    crop: tuple[int, int] | None = option(
        None, "Left and top edge that SDXL takes as cropped off.", group="Model", least=0, most=8192
    )
    aesthetic_score: float = option(6.0, "Beauty that SDXL's refiner aims at.", group="Model", least=0, most=10)
    negative_aesthetic_score: float = option(2.5, "Beauty that it goes away from.", group="Model", least=0, most=10)

    def validate(self, owner: str = "") -> Self:
        """Return the same request, or say which field cannot be as it is."""
        super().validate(owner)
        if 0 < self.sigma_max <= self.sigma_min:
            raise UsageError(f"sigma_min is {self.sigma_min}; it must be below sigma_max, which is {self.sigma_max}.")
        if max(self.seed, self.variation_seed) + self.count - 1 > LARGEST_SEED:
            raise UsageError(f"The last of {self.count} pictures would have a seed above {LARGEST_SEED}; begin lower.")
        return self

    def with_seeds(self) -> "Request":
        """The same request with concrete seeds in place of -1."""
        return replace(self, seed=_drawn(self.seed), variation_seed=_drawn(self.variation_seed))

    def seed_of(self, index: int) -> int:
        """The seed of picture `index`; a variation keeps the seed and moves its own."""
        return self.seed if self.variation_strength else self.seed + index

    def variation_seed_of(self, index: int) -> int:
        """The variation seed of picture `index`."""
        return self.variation_seed + index

    @property
    def draws_twice(self) -> bool:
        """Whether there is a second pass."""
        return bool(self.hires) if self.hires_size is None else any(self.hires_size)

    @property
    def rounds_mask(self) -> bool:
        """Whether a latent is drawn anew as a whole or not at all; soft inpainting needs what is between."""
        return self.round_mask and not self.soft

    def batch_of(self, index: int) -> tuple["Request", int]:
        """The request for only the batch that draws picture `index`, and the picture's place in it.

        A batch stays together because its rounding differs, in the last bits, from that of single runs.
        """
        first = index - index % self.batch
        size = min(self.batch, self.count - first)
        seed, variation_seed = self.seed_of(first), self.variation_seed_of(first)
        return replace(self, count=size, batch=size, seed=seed, variation_seed=variation_seed), index - first

    def portable(self) -> "Request":
        """The same request with file names in place of paths, fit to travel inside a picture."""
        names: dict[str, Any] = {name: file_name(vars(self)[name]) for name in _PATHS}
        units: dict[str, Any] = {"controls": tuple(unit.portable() for unit in self.controls)}
        return replace(self, **names, **units, loras=tuple(unit.portable() for unit in self.loras))

    def to_dict(self) -> dict[str, Any]:
        """Every field, as plain values, with the version of the record's form."""
        return {"schema": SCHEMA} | super().to_dict()

    def to_json(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, record: object) -> "Request":
        """Read and check what `to_dict` gave; missing fields take their defaults."""
        if not isinstance(record, dict):
            raise UsageError(f"A request is a JSON object of fields, but this is {shown(record)}.")
        values = {name: value for name, value in record.items() if name != "schema"}
        _check_schema(record.get("schema", SCHEMA))
        return cls.of_dict(values).validate()

    @classmethod
    def from_json(cls, text: str) -> "Request":
        """Read and check what `to_json` gave."""
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"This is not a request in JSON: {error}.") from error
        return cls.from_dict(record)


def rules() -> dict[str, Rule]:
    """Every field of a Request with its rule, in order."""
    return rules_of(Request)


def defaults() -> dict[str, Any]:
    """Every field of a Request with its default."""
    return defaults_of(Request)


def kind_of(name: str) -> Kind:
    """The type of a field's values, and whether None is one of them."""
    return kind_in(Request, name)


def is_side(pixels: int) -> bool:
    """Whether a picture may be so wide."""
    return is_within(pixels, rules()["width"])


def _drawn(seed: int) -> int:
    return random.randrange(SEEDS) if seed < 0 else seed


def _check_schema(schema: object) -> None:
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise UsageError(f"This request has form {schema!r}; this Pochade reads forms up to {SCHEMA}: update Pochade.")
