"""One run of a plan: from noise to latents, stage by stage."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from pochade.sampling.brownian import image_trees, shared_tree
from pochade.sampling.denoiser import consistency_denoiser, denoiser, epsilon, epsilon_pair
from pochade.sampling.guidance import Guide, Predict, Text
from pochade.sampling.noise import ImageNoise
from pochade.sampling.plan import Plan
from pochade.sampling.signatures import Noise, Stage

_MODELS: dict[str, Callable[..., Any]] = {
    "sigma": denoiser,
    "consistency": consistency_denoiser,
    "timestep": epsilon,
    "timestep-pair": epsilon_pair,
}


def sample(plan: Plan, predict: Predict, text: Text, noise: ImageNoise, start: Tensor | None = None) -> Iterator[Stage]:
    """Run the plan; the latents of the last stage are the result. There is always at least one stage.

    `start` is the noisy picture to begin with, instead of the first draw of `noise`.
    """
    x = plan.begin(noise.first()) if start is None else start
    guide = Guide(predict, text, plan.rules, plan.calls, needs_uncond=plan.sampler.space == "timestep-pair")
    model = _MODELS[plan.sampler.space](guide, plan.table)
    stage = None
    for stage in plan.sampler.function(model, x, plan.levels, step_noise(plan, noise), **plan.settings):
        yield stage
    if stage is None:
        yield Stage(x, x)


def step_noise(plan: Plan, noise: ImageNoise) -> Noise:
    """The noise that the sampler adds on its way: Brownian trees, or further draws of each image's generator."""
    if not plan.sampler.brownian:
        return lambda here, there: noise.next()
    if not plan.options.shared_brownian:
        return image_trees(noise, *plan.ends)
    positive = plan.levels[plan.levels > 0]
    return shared_tree(noise, float(positive.min()), float(positive.max()))
