"""One run of a plan: from noise to latents, stage by stage."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from pochade.sampling.brownian import image_trees, shared_tree
from pochade.sampling.denoiser import consistency_denoiser, denoiser, epsilon, epsilon_pair
from pochade.sampling.guidance import Guide, Predict, Text
from pochade.sampling.keeping import Keeping, keeping_after, keeping_before
from pochade.sampling.noise import ImageNoise
from pochade.sampling.plan import Plan
from pochade.sampling.signatures import Noise, Stage

_MODELS: dict[str, Callable[..., Any]] = {
    "sigma": denoiser,
    "consistency": consistency_denoiser,
    "timestep": epsilon,
    "timestep-pair": epsilon_pair,
}


def sample(
    plan: Plan,
    predict: Predict,
    text: Text,
    noise: ImageNoise,
    picture: Tensor | None = None,
    kept: Keeping | None = None,
) -> Iterator[Stage]:
    """Run the plan; the latents of the last stage are the result. There is always at least one stage.

    `picture` [B,C,h,w] are the clean latents to begin with, for a plan over a picture; `kept` what of them stays.
    """
    x = plan.begin(noise.first(), picture)
    guide = Guide(predict, text, plan.rules, plan.calls, needs_uncond=plan.sampler.space == "timestep-pair")
    model = _MODELS[plan.sampler.space](guide, plan.table)
    if kept is not None:
        model = keeping_before(model, kept) if plan.sampler.timesteps else keeping_after(model, kept)
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
