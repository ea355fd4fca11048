import pytest
import torch

from pochade.errors import UnknownNameError
from pochade.sampling import (
    SAMPLERS,
    Conditions,
    ImageNoise,
    Kept,
    NoiseTable,
    SamplingOptions,
    Seeds,
    SoftlyKept,
    StepText,
    make_plan,
    picture_plan,
    sample,
)
from pochade.sampling.denoiser import denoiser, epsilon
from pochade.sampling.guidance import GuidanceRules, Guide

SHAPE = (4, 3, 2)
TABLE = NoiseTable.scaled_linear()


def predict(x, timesteps, conditions):
    """Something like a network: mixes channels and neighbours, depends on time and text, works row by row."""
    time = (timesteps / 1000).reshape(-1, 1, 1, 1)
    mixed = 0.9 * x + 0.05 * x.roll(1, 1) + 0.02 * x.flip(2)
    return torch.tanh(mixed) * (0.6 + 0.3 * time) + 0.05 * conditions.context.mean((1, 2)).reshape(-1, 1, 1, 1)


def text_for(images):
    words = torch.linspace(-1, 1, images * 6).reshape(images, 3, 2)

    def text(call, timestep):
        negative = Conditions(torch.zeros(images, 3, 2))
        return StepText(Conditions(words), tuple(range(images)), (1.0,) * images, negative)

    return text


def run(seeds=(3,), table=TABLE, source="nv", words=None, **options):
    noise = ImageNoise(SHAPE, Seeds(seeds=seeds, source=source))
    plan = make_plan(SamplingOptions(**options), table)
    return list(sample(plan, predict, words or text_for(len(seeds)), noise))


@pytest.mark.parametrize("sampler", [each.label for each in SAMPLERS if each.label != "DPM adaptive"])
def test_a_batch_gives_what_single_runs_give(sampler):
    together = run(seeds=(5, 6), sampler=sampler, steps=6)[-1].latents
    for index, seed in enumerate((5, 6)):
        whole = text_for(2)(0, None)
        own = StepText(whole.parts.rows([index]), (0,), (1.0,), whole.uncond.rows([0]))
        alone = run(seeds=(seed,), words=lambda call, timestep, own=own: own, sampler=sampler, steps=6)[-1].latents
        torch.testing.assert_close(together[index], alone[0], atol=1e-5, rtol=1e-5)


def test_one_tree_for_the_batch_ties_its_images_together():
    options = {"sampler": "DPM++ SDE", "steps": 4, "shared_brownian": True}
    first, again = (run(seeds=(5, 6), **options)[-1].latents for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, run(seeds=(5, 6), sampler="DPM++ SDE", steps=4)[-1].latents)


def test_stages_are_lazy_and_can_be_left():
    asked = []

    def counting(x, timesteps, conditions):
        asked.append(1)
        return predict(x, timesteps, conditions)

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
    plan = picture_plan(SamplingOptions(sampler="Euler", steps=10), TABLE, strength=0.25)
    whole = make_plan(SamplingOptions(sampler="Euler", steps=10), TABLE)
    picture = torch.full((1, *SHAPE), 0.3)
    noise = ImageNoise(SHAPE, Seeds(seeds=(1,)))
    stages = list(sample(plan, predict, text_for(1), noise, picture))
    assert torch.equal(plan.levels, whole.levels[-4:])
    assert len(stages) == plan.stages == 3
    assert plan.ends == whole.ends


@pytest.mark.parametrize("sampler", [each.label for each in SAMPLERS])
def test_every_sampler_begins_with_a_picture_and_strength_tells_how_much_of_it_stays(sampler):
    picture = torch.full((1, *SHAPE), 0.3)

    def distance(strength):
        plan = picture_plan(SamplingOptions(sampler=sampler, steps=12), TABLE, strength)
        stages = list(sample(plan, lambda x, t, c: x * 0.1, text_for(1), ImageNoise(SHAPE, Seeds(seeds=(1,))), picture))
        return float((stages[-1].latents - picture).abs().mean())

    assert distance(0.1) < distance(0.9)


@pytest.mark.parametrize("sampler", [each.label for each in SAMPLERS])
def test_what_is_kept_comes_out_as_it_was(sampler):
    picture = torch.full((1, *SHAPE), 0.3)
    share = torch.zeros(SHAPE[1:])
    share[0] = 1
    kept = Kept(picture, share)
    plan = picture_plan(SamplingOptions(sampler=sampler, steps=12), TABLE, 0.7)
    stages = list(sample(plan, predict, text_for(1), ImageNoise(SHAPE, Seeds(seeds=(1,))), picture, kept))
    result = kept.finish(stages[-1].latents)
    assert torch.equal(result[:, :, 0], picture[:, :, 0])
    assert (result[:, :, 1:] != picture[:, :, 1:]).all()


def test_softly_kept_lets_go_of_the_picture_as_the_noise_falls():
    picture, anew = torch.full((1, *SHAPE), 0.3), torch.full((1, *SHAPE), -0.9)
    kept = SoftlyKept(picture, torch.full(SHAPE[1:], 0.5))
    late, early = (kept.blend(anew, torch.tensor(sigma)) for sigma in (0.03, 10.0))
    assert (early > 0).all() and (late < 0).all()
    assert torch.equal(kept.finish(anew), anew)


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
    nothing = Conditions(torch.zeros(1, 3, 2))
    text = StepText(nothing, (0,), (1.0,), nothing)
    guide = Guide(lambda x, t, c: answer(x, t), lambda call, timestep: text, GuidanceRules(), 1)
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
