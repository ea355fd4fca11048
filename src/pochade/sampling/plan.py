"""From options and a model's noise table to everything a run needs to know before it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pochade.errors import UsageError
from pochade.sampling.guidance import GuidanceRules
from pochade.sampling.names import Choice, choose
from pochade.sampling.samplers.registry import Sampler
from pochade.sampling.samplers.stepping import Churn
from pochade.sampling.steps import StepCount, image_steps, spaced_timesteps
from pochade.sampling.table import NoiseTable

_OLD_RANGE = (0.1, 10.0)  # sigma ends of every schedule before webui 1.6


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Everything a person can choose about sampling. Zero or None means the default of the sampler or schedule."""

    sampler: str = "DPM++ 2M"
    schedule: str = "automatic"
    steps: int = 20
    cfg_scale: float = 7.0
    image_cfg: float = 1.0
    noise_multiplier: float = 1.0
    extra_noise: float = 0.0
    eta: float | None = None
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = 0.0
    s_noise: float = 1.0
    sigma_min: float = 0.0
    sigma_max: float = 0.0
    rho: float = 0.0
    beta_alpha: float = 0.6
    beta_beta: float = 0.6
    old_sigma_range: bool = False
    discard_penultimate: bool = False
    sgm_noise_multiplier: bool = False
    quantize: bool = False
    zero_terminal_snr: bool = False
    downcast_alphas: bool = False
    min_uncond: float = 0.0
    min_uncond_all: bool = False
    skip_early_cond: float = 0.0
    shared_brownian: bool = False
    unipc_order: int = 3
    unipc_variant: str = "bh1"
    unipc_spacing: str = "time_uniform"
    unipc_lower_order_final: bool = True

    def sampler_options(self) -> dict[str, Any]:
        """What samplers may ask for by the names of their keyword-only parameters."""
        named = {
            "s_noise": self.s_noise,
            "churn": Churn(self.s_churn, self.s_tmin, self.s_tmax or float("inf"), self.s_noise),
            "order": self.unipc_order,
            "variant": self.unipc_variant,
            "spacing": self.unipc_spacing,
            "lower_order_final": self.unipc_lower_order_final,
        }
        return named if self.eta is None else {**named, "eta": self.eta}

    def schedule_options(self, table: NoiseTable) -> dict[str, Any]:
        """What schedules may ask for by the names of their keyword-only parameters."""
        named = {"table": table, "beta_alpha": self.beta_alpha, "beta_beta": self.beta_beta}
        return {**named, "rho": self.rho} if self.rho else named

    def prepare(self, table: NoiseTable, sampler: Sampler) -> NoiseTable:
        """The model's table as these options and the sampler want it."""
        if self.downcast_alphas:
            table = table.downcast()
        if self.zero_terminal_snr:
            table = table.zero_terminal_snr()
        if sampler.space == "consistency":
            return table.coarse()
        return table.quantized() if self.quantize else table


@dataclass(frozen=True, eq=False)
class Plan:
    """A run, ready to start: `levels` are the sigmas (falling) or timesteps (rising) to walk over.

    `ends` are the lowest and highest positive sigma of the whole schedule; Brownian trees span them. `settings` are
    the sampler's options. A run over an existing picture walks over the last part of the levels; `entry` is the
    timestep of the noise that the picture gets, where levels are timesteps.
    """

    choice: Choice
    options: SamplingOptions
    table: NoiseTable
    levels: Tensor
    ends: tuple[float, float]
    settings: Mapping[str, Any]
    calls: int
    entry: Tensor | None = None

    @property
    def sampler(self) -> Sampler:
        """The sampler."""
        return self.choice.sampler

    @property
    def stages(self) -> int:
        """How many stages to expect; DPM adaptive takes as many as it needs."""
        return max(self.sampler.stages(len(self.levels)), 1)

    @property
    def rules(self) -> GuidanceRules:
        """How to guide."""
        options = self.options
        return GuidanceRules(
            scale=options.cfg_scale * self.sampler.scale,
            picture_scale=options.image_cfg,
            min_uncond=options.min_uncond,
            all_steps=options.min_uncond_all,
            skip_early=options.skip_early_cond,
        )

    def begin(self, noise: Tensor, picture: Tensor | None = None) -> Tensor:
        """The first latents of a run: unit noise brought to the level where the run begins, on a picture or nothing."""
        noise = noise * self.options.noise_multiplier
        if self.sampler.timesteps:
            return noise if picture is None else self._mixed(noise, picture)
        first = self.levels[0]
        if picture is not None:
            return picture + noise * first + noise * self.options.extra_noise
        return noise * torch.sqrt(1.0 + first**2) if self.options.sgm_noise_multiplier else noise * first

    def _mixed(self, noise: Tensor, picture: Tensor) -> Tensor:
        assert self.entry is not None  # this plan was made for a picture
        alpha = self.table.alphas[int(self.entry)]
        return picture * alpha.sqrt() + noise * (1 - alpha).sqrt() + noise * self.options.extra_noise * alpha.sqrt()

    def over(self, count: StepCount) -> "Plan":
        """The plan for the end of this schedule, which begins with a picture."""
        last = len(self.levels) - 1
        own: dict[str, Any]
        if self.sampler.timesteps:
            entered = min(count.entered, last)
            levels, entry = self.levels[:entered], self.levels[entered]
            own = {"start": (float(levels[-1]) + 1) / 1000} if entered else {}
        else:
            levels, entry = self.levels[max(count.schedule - count.entered - 1, 0) :], None
            own = {"span": (float(levels[0]), float(levels[-2])), "calls": len(levels) - 1}
        settings = {**self.settings, **{name: each for name, each in own.items() if name in self.sampler.options}}
        calls = self.sampler.calls(count.entered + 1)
        return replace(self, levels=levels, entry=entry, settings=settings, calls=calls)


def picture_plan(options: SamplingOptions, table: NoiseTable, strength: float, exact: bool = False) -> Plan:
    """The plan of a run over an existing picture, of which `strength` is drawn anew; see `image_steps`."""
    count = image_steps(options.steps, strength, exact)
    return make_plan(replace(options, steps=max(count.schedule, 1)), table).over(count)


def make_plan(options: SamplingOptions, table: NoiseTable) -> Plan:
    """Resolve names, compute the levels, and collect what the sampler wants to know."""
    if options.steps < 1:
        raise UsageError(f"The number of steps is {options.steps}; it must be at least 1.")
    choice = choose(options.sampler, options.schedule)
    sampler = choice.sampler
    table = options.prepare(table, sampler)
    levels = _timesteps(options, sampler, table) if sampler.timesteps else _sigmas(options, choice, table)
    positive = levels[levels > 0]
    known = {
        **options.sampler_options(),
        "alphas": table.alphas.cpu(),
        "span": (table.highest, table.lowest),
        "calls": options.steps,
    }
    return Plan(
        choice=choice,
        options=options,
        table=table,
        levels=levels,
        ends=(float(positive.min()), float(positive.max())),
        settings={**sampler.fixed, **{name: known[name] for name in sampler.options & known.keys()}},
        calls=sampler.calls(options.steps),
    )


def _sigmas(options: SamplingOptions, choice: Choice, table: NoiseTable) -> Tensor:
    """The falling sigmas the sampler receives."""
    drop = choice.sampler.extra_sigma or options.discard_penultimate
    schedule = choice.effective
    known = options.schedule_options(table)
    given = {name: known[name] for name in schedule.options & known.keys()}
    try:
        sigmas = schedule.function(options.steps + drop, *_ends(options, table), **given)
    except OverflowError as error:
        raise UsageError(f"rho is {options.rho}, so small that the sigmas overflow; use 1 or more.") from error
    if not sigmas.isfinite().all():
        raise UsageError(f"These options give the {schedule.label} schedule sigmas that are no numbers; change them.")
    return torch.cat([sigmas[:-2], sigmas[-1:]]) if drop else sigmas


def _ends(options: SamplingOptions, table: NoiseTable) -> tuple[float, float]:
    """The lowest and the highest sigma of the schedule."""
    low, high = _OLD_RANGE if options.old_sigma_range else (table.lowest, table.highest)
    low, high = options.sigma_min or low, options.sigma_max or high
    if low >= high:
        raise UsageError(f"The schedule's lowest sigma is {low:.4g}; it must be below its highest, {high:.4g}.")
    return low, high


def _timesteps(options: SamplingOptions, sampler: Sampler, table: NoiseTable) -> Tensor:
    """The rising timesteps of the DDIM family; discarding makes one more here without dropping any (an oddity)."""
    return spaced_timesteps(options.steps + options.discard_penultimate, len(table.alphas))
