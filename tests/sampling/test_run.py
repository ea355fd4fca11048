import dataclasses

import pytest
import torch

from pochade.errors import UnknownNameError
from pochade.sampling import (
    SAMPLERS,
    ImageNoise,
    NoiseTable,
    SamplingOptions,
    Seeds,
    StepText,
    make_plan,
    sample,
)
from pochade.sampling.denoiser import denoiser, epsilon
from pochade.sampling.guidance import GuidanceRules, Guide

SHAPE = (4, 3, 2)
TABLE = NoiseTable.scaled_linear()


def predict(x, timesteps, context):
    """Something like a network: mixes channels and neighbours, depends on time and text, works row by row."""
    time = (timesteps / 1000).reshape(-1, 1, 1, 1)
    mixed = 0.9 * x + 0.05 * x.roll(1, 1) + 0.02 * x.flip(2)
    return torch.tanh(mixed) * (0.6 + 0.3 * time) + 0.05 * context.mean((1, 2)).reshape(-1, 1, 1, 1)


def text_for(images):
    words = torch.linspace(-1, 1, images * 6).reshape(images, 3, 2)

    def text(call):
        return StepText(words, tuple(range(images)), (1.0,) * images, torch.zeros(images, 3, 2))

    return text


def run(seeds=(3,), table=TABLE, source="nv", words=None, **options):
    noise = ImageNoise(SHAPE, Seeds(seeds=seeds, source=source))
    plan = make_plan(SamplingOptions(**options), table)
    return list(sample(plan, predict, words or text_for(len(seeds)), noise))


@pytest.mark.parametrize("sampler", [each.label for each in SAMPLERS if each.label != "DPM adaptive"])
def test_a_batch_gives_what_single_runs_give(sampler):
    together = run(seeds=(5, 6), sampler=sampler, steps=6)[-1].latents
    for index, seed in enumerate((5, 6)):
        whole = text_for(2)(0)
        own = StepText(whole.parts[index : index + 1], (0,), (1.0,), whole.uncond[:1])
        alone = run(seeds=(seed,), words=lambda call, own=own: own, sampler=sampler, steps=6)[-1].latents
        torch.testing.assert_close(together[index], alone[0], atol=1e-5, rtol=1e-5)


def test_one_tree_for_the_batch_ties_its_images_together():
    options = {"sampler": "DPM++ SDE", "steps": 4, "shared_brownian": True}
    first, again = (run(seeds=(5, 6), **options)[-1].latents for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, run(seeds=(5, 6), sampler="DPM++ SDE", steps=4)[-1].latents)


def test_stages_are_lazy_and_can_be_left():
    asked = []

    def counting(x, timesteps, context):
        asked.append(1)
        return predict(x, timesteps, context)

    plan = make_plan(SamplingOptions(sampler="Euler", steps=5), TABLE)
    stages = sample(plan, counting, text_for(1), ImageNoise(SHAPE, Seeds(seeds=(1,))))
    assert asked == []
    next(stages)
    stages.close()
    assert asked == [1]


def test_there_is_always_a_stage():
    (only,) = run(sampler="DDIM", steps=1)
    assert torch.equal(only.latents, ImageNoise(SHAPE, Seeds(seeds=(3,), source="nv")).first())


def test_a_run_may_begin_with_a_picture():
    plan = make_plan(SamplingOptions(sampler="Euler", steps=10), TABLE)
    late = dataclasses.replace(plan, levels=plan.levels[-3:])
    start = torch.full((1, *SHAPE), 0.3)
    stages = list(sample(late, predict, text_for(1), ImageNoise(SHAPE, Seeds(seeds=(1,))), start=start))
    assert len(stages) == late.stages == 2
    assert late.ends == plan.ends


def test_the_first_noise_is_scaled_to_the_first_level():
    unit = torch.ones(1, *SHAPE)
    plain = make_plan(SamplingOptions(sampler="Euler"), TABLE)
    sgm = make_plan(SamplingOptions(sampler="Euler", sgm_noise_multiplier=True), TABLE)
    assert plain.begin(unit).max() == plain.levels[0]
    assert float(sgm.begin(unit).max()) == pytest.approx((1 + float(plain.levels[0]) ** 2) ** 0.5)
    assert torch.equal(make_plan(SamplingOptions(sampler="UniPC"), TABLE).begin(unit), unit)


@pytest.mark.parametrize("sampler", ["Euler", "DDIM", "UniPC", "LCM"])
@pytest.mark.parametrize("option", ["zero_terminal_snr", "downcast_alphas", "quantize"])
def test_table_options_change_the_result_a_little_or_a_lot_but_never_break_it(sampler, option):
    changed = run(sampler=sampler, steps=5, table=NoiseTable.scaled_linear(prediction="v"), **{option: True})
    assert torch.isfinite(changed[-1].latents).all()


def asking(answer, prediction):
    table = NoiseTable.scaled_linear(prediction=prediction)
    nothing = torch.zeros(1, 3, 2)
    guide = Guide(
        lambda x, t, c: answer(x, t), lambda call: StepText(nothing, (0,), (1.0,), nothing), GuidanceRules(), 1
    )
    return guide, table


@pytest.mark.parametrize("entry", [0, 400, 999])
def test_noise_and_velocity_mean_the_same_picture(entry):
    clean, noise = torch.randn(2, 1, *SHAPE, generator=torch.Generator().manual_seed(1))
    alpha, sigma = TABLE.alphas[entry], TABLE.sigmas[entry]
    velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
    for answer, prediction in ((noise, "epsilon"), (velocity, "v")):
        guide, table = asking(lambda x, t, answer=answer: answer.expand_as(x), prediction)
        torch.testing.assert_close(denoiser(guide, table)(clean + sigma * noise, sigma), clean, atol=2e-5, rtol=2e-5)
        mixed = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        found = epsilon(guide, table)(mixed, torch.tensor(float(entry)))
        torch.testing.assert_close(found, noise, atol=2e-5, rtol=2e-5)


def test_the_network_sees_unit_variance_and_the_right_timestep():
    def answer(x, timesteps):
        seen.append((float(x[0, 0, 0, 0]), float(timesteps[0])))
        return x

    seen = []
    guide, table = asking(answer, "epsilon")
    sigma = table.sigmas[700]
    denoiser(guide, table)(torch.ones(1, *SHAPE), sigma)
    assert seen[0] == pytest.approx((float(1 / (1 + sigma**2) ** 0.5), 700), abs=1e-3)


def test_unknown_prediction():
    with pytest.raises(UnknownNameError, match="prediction type named 'eps'"):
        run(table=NoiseTable(TABLE.alphas, prediction="eps"))
