"""The Request: one immutable, complete record of a generation. A picture carries it, and redo replays it."""

import json
import random
from dataclasses import MISSING, dataclass, fields, replace
from functools import lru_cache
from pathlib import PurePath
from types import NoneType
from typing import Any, get_args, get_type_hints

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.rules import Rule, canonical, check, is_within, option, shown

SCHEMA = 1
SEEDS = 4294967294  # a seed of -1 becomes one of 0..4294967293, A1111's range
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Request:
    """What to draw and how. None means "the model's own"; `Pipeline.resolve` fills it in.

    >>> Request("a red house", steps=30).seed
    -1
    """

    prompt: str = option("", "What the picture shows.")
    negative_prompt: str = option("", "What it should not show.")
    model: str = option("", "Model, by name or path; the shipped one if not given.")
    model_hash: str = option("", "First 10 hex digits of the model file's SHA-256.")
    vae: str = option("", "VAE, by name or path; the model's own if not given.")
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

    def __post_init__(self) -> None:
        """Bring equal requests to one form: floats are floats, choices have their one spelling."""
        for name, rule in rules().items():
            object.__setattr__(self, name, canonical(vars(self)[name], kind_of(name)[0], rule))

    def validate(self) -> "Request":
        """Return the same request, or say which field cannot be as it is."""
        for name, rule in rules().items():
            check(name, vars(self)[name], kind_of(name), rule)
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
        return replace(self, model=file_name(self.model), vae=file_name(self.vae))

    def to_dict(self) -> dict[str, Any]:
        """Every field, as plain values, with the version of the record's form."""
        return {"schema": SCHEMA} | {name: _plain(value) for name, value in vars(self).items()}

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
        for name in values:
            if name not in rules():
                raise UnknownNameError("request field", str(name), rules())
        return cls(**values).validate()

    @classmethod
    def from_json(cls, text: str) -> "Request":
        """Read and check what `to_json` gave."""
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"This is not a request in JSON: {error}.") from error
        return cls.from_dict(record)


@lru_cache(maxsize=1)
def rules() -> dict[str, Rule]:
    """Every field of a Request with its rule, in order."""
    return {each.name: each.metadata["rule"] for each in fields(Request)}


@lru_cache(maxsize=1)
def defaults() -> dict[str, Any]:
    """Every field of a Request with its default."""
    return {each.name: each.default for each in fields(Request) if each.default is not MISSING}


@lru_cache(maxsize=128)
def kind_of(name: str) -> tuple[type, bool]:
    """The type of a field's values, and whether None is one of them."""
    hint = get_type_hints(Request)[name]
    options = [each for each in get_args(hint) if each is not NoneType] if NoneType in get_args(hint) else [hint]
    kind = options[0]
    return (tuple if get_args(kind) else kind), NoneType in get_args(hint)


def is_side(pixels: int) -> bool:
    """Whether a picture may be so wide."""
    return is_within(pixels, rules()["width"])


def file_name(path: str) -> str:
    """The last part of a path of any system; a picture never carries folders."""
    return PurePath(path.replace("\\", "/")).name


def _drawn(seed: int) -> int:
    return random.randrange(SEEDS) if seed < 0 else seed


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _check_schema(schema: object) -> None:
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise UsageError(f"This request has form {schema!r}; this Pochade reads forms up to {SCHEMA}: update Pochade.")
