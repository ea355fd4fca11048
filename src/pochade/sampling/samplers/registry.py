"""The list of samplers: the function behind each name people use, and what is special about it."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from pochade.sampling.samplers.ddim import ddim, ddim_cfgpp
from pochade.sampling.samplers.dpm2 import dpm2, dpm2_ancestral
from pochade.sampling.samplers.dpm_solver import dpm_adaptive, dpm_fast
from pochade.sampling.samplers.dpmpp_multi import dpmpp_2m, dpmpp_2m_sde, dpmpp_3m_sde
from pochade.sampling.samplers.dpmpp_single import dpmpp_2s_ancestral, dpmpp_sde
from pochade.sampling.samplers.euler import euler, euler_ancestral
from pochade.sampling.samplers.heun import heun
from pochade.sampling.samplers.lcm import lcm
from pochade.sampling.samplers.lms import lms
from pochade.sampling.samplers.plms import plms
from pochade.sampling.samplers.restart import restart
from pochade.sampling.samplers.unipc import unipc
from pochade.sampling.signatures import Stage


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler as people name it.

    `space` says what it walks over and asks the model for: `sigma` (clean pictures), `consistency` (the same with a
    coarse table), `timestep` (noise), `timestep-pair` (guided and unconditional noise).
    """

    label: str
    function: Callable[..., Iterator[Stage]]
    aliases: tuple[str, ...] = ()
    schedule: str | None = None  # its own default
    space: str = "sigma"
    second_order: bool = False  # two model calls per step
    ensd: bool = False  # webui records the eta noise seed delta for it
    brownian: bool = False  # noise comes from a Brownian tree
    extra_sigma: bool = False  # one more sigma is made, and the one before the last is dropped
    scale: float = 1.0  # factor on the guidance scale
    fixed: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    stages: Callable[[int], int] = lambda levels: levels - 1  # how many, from the number of levels

    @cached_property
    def options(self) -> frozenset[str]:
        """The options it understands: the keyword-only parameters of its function that are not fixed."""
        parameters = inspect.signature(self.function).parameters.values()
        named = {each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}
        return frozenset(named - set(self.fixed))

    def calls(self, steps: int) -> int:
        """About how many model calls so many steps take."""
        return steps * 2 if self.second_order else steps

    @property
    def timesteps(self) -> bool:
        """Whether it walks over timesteps instead of sigmas."""
        return self.space.startswith("timestep")


# fmt: off
SAMPLERS = (
    Sampler(label="DPM++ 2M", function=dpmpp_2m, aliases=("k_dpmpp_2m",), schedule="karras"),
    Sampler(label="DPM++ SDE", function=dpmpp_sde, aliases=("k_dpmpp_sde",), schedule="karras",
            second_order=True, brownian=True),
    Sampler(label="DPM++ 2M SDE", function=dpmpp_2m_sde, aliases=("k_dpmpp_2m_sde",), schedule="exponential",
            brownian=True, fixed=MappingProxyType({"solver": "midpoint"})),
    Sampler(label="DPM++ 2M SDE Heun", function=dpmpp_2m_sde, aliases=("k_dpmpp_2m_sde_heun",),
            schedule="exponential", brownian=True, fixed=MappingProxyType({"solver": "heun"})),
    Sampler(label="DPM++ 2S a", function=dpmpp_2s_ancestral, aliases=("k_dpmpp_2s_a",), schedule="karras",
            second_order=True, ensd=True),
    Sampler(label="DPM++ 3M SDE", function=dpmpp_3m_sde, aliases=("k_dpmpp_3m_sde",), schedule="exponential",
            brownian=True, extra_sigma=True),
    Sampler(label="Euler a", function=euler_ancestral, aliases=("k_euler_a", "k_euler_ancestral"), ensd=True),
    Sampler(label="Euler", function=euler, aliases=("k_euler",)),
    Sampler(label="LMS", function=lms, aliases=("k_lms",)),
    Sampler(label="Heun", function=heun, aliases=("k_heun",), second_order=True),
    Sampler(label="DPM2", function=dpm2, aliases=("k_dpm_2",), schedule="karras", second_order=True,
            extra_sigma=True),
    Sampler(label="DPM2 a", function=dpm2_ancestral, aliases=("k_dpm_2_a",), schedule="karras", second_order=True,
            ensd=True, extra_sigma=True),
    Sampler(label="DPM fast", function=dpm_fast, aliases=("k_dpm_fast",), ensd=True,
            stages=lambda levels: (levels - 1) // 3 + 1),
    Sampler(label="DPM adaptive", function=dpm_adaptive, aliases=("k_dpm_ad",), ensd=True),
    Sampler(label="Restart", function=restart, aliases=("restart",), schedule="karras", second_order=True),
    Sampler(label="DDIM", function=ddim, aliases=("ddim",), space="timestep"),
    Sampler(label="DDIM CFG++", function=ddim_cfgpp, aliases=("ddim_cfgpp",), space="timestep-pair",
            scale=1 / 12.5),
    Sampler(label="PLMS", function=plms, aliases=("plms",), space="timestep"),
    Sampler(label="UniPC", function=unipc, aliases=("unipc",), space="timestep", stages=lambda levels: levels),
    Sampler(label="LCM", function=lcm, aliases=("k_lcm",), space="consistency"),
)
# fmt: on
