"""Sampling: noise sources, schedules, denoisers, guidance and samplers.

options = SamplingOptions(sampler="Euler a", steps=20)
plan = make_plan(options, NoiseTable.scaled_linear())
noise = ImageNoise((4, 64, 64), Seeds(seeds=(1, 2), source="nv"))
for stage in sample(plan, predict, text, noise):
    ...  # progress, previews, stopping
latents = stage.latents
"""

from pochade.sampling.guidance import Conditions, Predict, StepText, Text
from pochade.sampling.keeping import Keeping, Kept, SoftlyKept
from pochade.sampling.names import Choice, choose, choose_leniently, find_sampler, find_schedule
from pochade.sampling.noise import SOURCES, ImageNoise, Seeds
from pochade.sampling.plan import Plan, SamplingOptions, make_plan, picture_plan
from pochade.sampling.run import sample
from pochade.sampling.samplers.registry import SAMPLERS, Sampler
from pochade.sampling.schedules import SCHEDULES, Schedule
from pochade.sampling.signatures import Stage
from pochade.sampling.steps import StepCount, image_steps, spaced_timesteps
from pochade.sampling.table import ALIGNED_SD1, ALIGNED_SDXL, NoiseTable

__all__ = [
    "ALIGNED_SD1",
    "ALIGNED_SDXL",
    "SAMPLERS",
    "SCHEDULES",
    "SOURCES",
    "Choice",
    "Conditions",
    "ImageNoise",
    "Keeping",
    "Kept",
    "NoiseTable",
    "Plan",
    "Predict",
    "Sampler",
    "SamplingOptions",
    "Schedule",
    "Seeds",
    "SoftlyKept",
    "Stage",
    "StepCount",
    "StepText",
    "Text",
    "choose",
    "choose_leniently",
    "find_sampler",
    "find_schedule",
    "image_steps",
    "make_plan",
    "picture_plan",
    "sample",
    "spaced_timesteps",
]
