"""Samplers and schedules of other programs under the names that A1111 and Pochade show."""

import re
from typing import NamedTuple

# Names without what varies: "k_" or "sample_" before them, "_gpu" behind them, "ancestral" for "a".
_SAMPLERS = {
    "euler": "Euler",
    "euler_a": "Euler a",
    "heun": "Heun",
    "dpm_2": "DPM2",
    "dpm_2_a": "DPM2 a",
    "kdpm_2": "DPM2",
    "kdpm_2_a": "DPM2 a",
    "dpm2": "DPM2",
    "dpm2_a": "DPM2 a",
    "lms": "LMS",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_a": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "lcm": "LCM",
    "ddim": "DDIM",
    "plms": "PLMS",
    "pndm": "PLMS",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
    "unipc": "UniPC",
    "restart": "Restart",
}
_SCHEDULES = {
    "normal": "Normal",
    "karras": "Karras",
    "exponential": "Exponential",
    "polyexponential": "Polyexponential",
    "sgm_uniform": "SGM Uniform",
    "simple": "Simple",
    "ddim_uniform": "DDIM",
    "beta": "Beta",
    "kl_optimal": "KL Optimal",
    "align_your_steps": "Align Your Steps",
}
_KARRAS = re.compile(r"_(k|karras)$")


class Named(NamedTuple):
    """Labels of a sampler and of a schedule, empty where there is none"""

    sampler: str
    schedule: str
    left_out: tuple[str, ...] = ()


def named(sampler: str, schedule: str = "") -> Named:
    """The labels for the names of another program. A sampler whose name ends in "_k" has Karras' schedule."""
    plain = sampler.casefold().removeprefix("sample_").removeprefix("k_").removesuffix("_gpu")
    plain = plain.replace("ancestral", "a")
    without_karras = _KARRAS.sub("", plain)
    if plain not in _SAMPLERS and without_karras in _SAMPLERS:
        plain, schedule = without_karras, schedule or "karras"
    left_out: list[str] = []
    if sampler and plain not in _SAMPLERS:
        left_out.append(f"the sampler {sampler}, which Pochade does not have")
    if schedule and schedule.casefold() not in _SCHEDULES:
        left_out.append(f"the schedule {schedule}, which Pochade does not have")
    return Named(_SAMPLERS.get(plain, ""), _SCHEDULES.get(schedule.casefold(), ""), tuple(left_out))
