import itertools

import pytest
import torch

from pochade.errors import NumericalError, UnknownNameError
from pochade.sampling import SAMPLERS, SamplingOptions, find_sampler, make_plan
from pochade.sampling.samplers.ddim import descents
from pochade.sampling.samplers.dpm_solver import dpm_adaptive, dpm_fast
from pochade.sampling.samplers.dpmpp_multi import dpmpp_2m_sde
from pochade.sampling.samplers.stepping import Churn, ancestral
from pochade.sampling.schedules import uniform

from .toy import TABLE, Toy, drawn
from .vectors import cases, name

WIDE = torch.linspace(14.0, 0.0, 41)


def model_for(sampler, toy):
    if sampler.space == "timestep-pair":
        return toy.epsilons
    return toy.epsilon if sampler.timesteps else toy.denoise


def run(toy, levels=None, **options):
    plan = make_plan(SamplingOptions(**options), TABLE)
    levels = plan.levels if levels is None else levels
    start = plan.begin(drawn(123)) if plan.sampler.timesteps else drawn(123) * levels[0]
    stages = plan.sampler.function(model_for(plan.sampler, toy), start, levels, toy.noise, **plan.settings)
    return list(stages)


@pytest.mark.parametrize("case", cases("sampler_toy"), ids=name)
def test_recorded_runs(case):
    toy = Toy()
    # the recording of LCM walks over the whole table, as a sampler function may be asked to
    levels = uniform(case["steps"], 0, 0, table=TABLE) if case["sampler"] == "LCM" else None
    options = {each: case[each] for each in ("sampler", "steps", "eta") if each in case}
    result = run(toy, levels, schedule=case.get("scheduler") or "automatic", **options)[-1].latents
    torch.testing.assert_close(result.flatten(), torch.tensor(case["expected"]), atol=1e-5, rtol=0)
    assert toy.calls == case.get("model_calls", toy.calls)
    if case["sampler"] not in ("Euler", "DPM2"):  # without churn these draw nothing here
        assert toy.draws == case["random_draws"]


@pytest.mark.parametrize("case", cases("runs", "sampling"), ids=name)
def test_recorded_runs_with_options(case):
    toy = Toy()
    options = {"sampler": case["sampler"], "schedule": case["schedule"], "steps": case["steps"], **case["options"]}
    result = run(toy, **options)[-1].latents
    torch.testing.assert_close(result.flatten()[:16], torch.tensor(case["expected"]), atol=1e-5, rtol=0)
    assert toy.calls == case["model_calls"]


@pytest.mark.parametrize("sampler", [each.label for each in SAMPLERS])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 40])
def test_every_sampler_comes_near_the_clean_picture(sampler, steps):
    toy = Toy()
    stages = run(toy, sampler=sampler, steps=steps)
    plan = make_plan(SamplingOptions(sampler=sampler, steps=steps), TABLE)
    assert all(torch.isfinite(latents).all() and latents.shape == drawn(1).shape for latents, _ in stages)
    if sampler == "DPM adaptive":
        assert stages
    else:
        assert len(stages) == plan.stages - (plan.sampler.label in ("DDIM", "DDIM CFG++", "PLMS") and steps == 1)
    if steps == 40:  # the toy's pictures are spread around its target with a deviation near one half
        assert (stages[-1].denoised - toy.target).abs().mean() < 0.7


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DPM2", "LMS", "DPM++ 2M", "Restart"])
def test_deterministic_samplers_agree_when_steps_are_many(sampler):
    exact = run(Toy(), sampler="Heun", schedule="karras", steps=150)[-1].latents
    steps = 19 if sampler == "Restart" else 150  # from 20 steps Restart adds noise
    assert (run(Toy(), sampler=sampler, schedule="karras", steps=steps)[-1].latents - exact).abs().max() < 0.06


@pytest.mark.parametrize(("spacing", "limit"), [("time_uniform", 0.12), ("time_quadratic", 0.05), ("logSNR", 0.05)])
@pytest.mark.parametrize("variant", ["bh1", "bh2", "vary_coeff"])
def test_unipc_options_lead_to_the_same_picture(variant, spacing, limit):
    plain = run(Toy(), sampler="UniPC", steps=300)[-1].latents
    other = run(Toy(), sampler="UniPC", steps=40, unipc_variant=variant, unipc_spacing=spacing)[-1].latents
    assert (other - plain).abs().max() < limit


def test_higher_orders_of_unipc_are_nearer():
    plain = run(Toy(), sampler="UniPC", steps=300)[-1].latents
    errors = [
        float(
            (run(Toy(), sampler="UniPC", steps=10, unipc_spacing="logSNR", unipc_order=order)[-1].latents - plain).std()
        )
        for order in (1, 2, 3)
    ]
    assert errors == sorted(errors, reverse=True)


def test_unknown_variants_are_named():
    with pytest.raises(UnknownNameError, match="UniPC variant named 'bh3'; did you mean bh"):
        run(Toy(), sampler="UniPC", unipc_variant="bh3")
    with pytest.raises(UnknownNameError, match="UniPC spacing"):
        run(Toy(), sampler="UniPC", unipc_spacing="log")
    with pytest.raises(UnknownNameError, match="solver named 'heum'; did you mean heun"):
        next(dpmpp_2m_sde(Toy().denoise, drawn(1), WIDE, Toy().noise, solver="heum"))


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DPM2"])
def test_churn_raises_the_noise_inside_its_bounds(sampler):
    seen = []
    toy = Toy()
    plan = make_plan(
        SamplingOptions(sampler=sampler, schedule="karras", steps=10, s_churn=3, s_tmin=0.4, s_tmax=5), TABLE
    )

    def spy(x, sigma):
        seen.append(float(sigma))
        return toy.denoise(x, sigma)

    for here, stage in zip(
        plan.levels, plan.sampler.function(spy, drawn(123) * 14, plan.levels, toy.noise, **plan.settings), strict=False
    ):
        asked, seen = seen[0], []
        assert asked == pytest.approx(float(here) * (1.3 if 0.4 <= here <= 5 else 1.0))
        assert torch.isfinite(stage.latents).all()
    assert toy.draws == 10  # steps outside the bounds use up their draw as well


def test_churn_has_a_ceiling():
    _, raised = Churn(amount=1000).raise_noise(drawn(1), torch.tensor(2.0), Toy().noise, 10)
    assert float(raised) == pytest.approx(2 * 2**0.5)


def test_ancestral_split():
    here, there = torch.tensor(5.0), torch.tensor(2.0)
    down, up = ancestral(here, there, 1.0)
    assert float(down**2 + up**2) == pytest.approx(4.0)
    assert ancestral(here, there, 0.0) == (there, 0.0)


@pytest.mark.parametrize("sampler", ["Euler a", "DPM2 a", "DPM++ 2S a", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 3M SDE"])
def test_eta_zero_takes_the_randomness_out(sampler):
    first, second = Toy(), Toy()
    second.noise(None, None)  # another stream position
    results = [run(toy, sampler=sampler, eta=0.0, steps=6)[-1].latents for toy in (first, second)]
    assert torch.equal(*results)
    assert not torch.equal(results[0], run(Toy(), sampler=sampler, steps=6)[-1].latents)


def test_noise_strength_reaches_those_that_take_it():
    takes = {each.label for each in SAMPLERS if {"s_noise", "churn"} & each.options}
    assert takes == {
        "Euler", "Heun", "DPM2", "DPM2 a", "DPM fast", "DPM++ 2S a", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
        "DPM++ 3M SDE",
    }  # fmt: skip
    assert "s_noise" not in find_sampler("Euler a").options


def test_cfgpp_covers_with_the_unconditional_noise():
    toy, x = Toy(), drawn(123)
    timesteps = [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]
    for here, there in itertools.pairwise(timesteps):
        guided, unconditional = toy.epsilons(x, here)
        alpha, next_alpha = TABLE.alphas[here], TABLE.alphas[there]
        clean = (x - (1 - alpha).sqrt() * guided) / alpha.sqrt()
        x = next_alpha.sqrt() * clean + (1 - next_alpha).sqrt() * unconditional
    result = run(Toy(), sampler="DDIM CFG++", steps=10)[-1].latents
    torch.testing.assert_close(result, x, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(result, run(Toy(), sampler="DDIM", steps=10)[-1].latents, atol=0.01)


def test_ddim_with_eta_keeps_the_variance():
    step = next(descents(torch.tensor([1, 401, 801]), TABLE.alphas))
    assert (int(step.timestep), int(step.next_timestep)) == (801, 401)
    clean, noise = torch.tensor(0.0), torch.tensor(1.0)
    for eta in (0.0, 0.5, 1.0):
        left = float(step.reach(clean, noise, step.sigma(eta)))
        assert left**2 + step.sigma(eta) ** 2 == pytest.approx(1 - step.next_alpha)


def test_first_order_unipc_is_ddim_in_its_own_times():
    """One step of order one without corrector: the exact solution for a fixed clean picture."""
    toy = Toy()
    (stage,) = run(toy, sampler="UniPC", steps=1)
    sigma_last = ((1 - TABLE.alphas[0]) / TABLE.alphas[0]).sqrt()
    start = drawn(123)
    noise = toy.epsilon(start, 999)
    clean = (start - (1 - TABLE.alphas[999]).sqrt() * noise) / TABLE.alphas[999].sqrt()
    expected = TABLE.alphas[0].sqrt() * (clean + sigma_last * noise)
    torch.testing.assert_close(stage.latents, expected, atol=1e-4, rtol=1e-4)


def test_plms_asks_twice_in_its_first_step():
    toy = Toy()
    stages = run(toy, sampler="PLMS", steps=5)
    assert (len(stages), toy.calls, toy.draws) == (4, 5, 0)


@pytest.mark.parametrize(("steps", "climbs"), [(10, 0), (19, 0), (20, 1), (35, 1), (36, 2), (50, 2)])
def test_restart_goes_back_up(steps, climbs):
    levels = []
    toy = Toy()
    plan = make_plan(SamplingOptions(sampler="Restart", steps=steps), TABLE)

    def spy(here, there):
        levels.append((float(here), float(there)))
        return toy.noise(here, there)

    stages = list(plan.sampler.function(toy.denoise, drawn(123) * 14, plan.levels, spy))
    assert len(stages) == steps
    assert len(levels) == climbs
    assert all(low < 0.2 and 1 < high < 3 for low, high in levels)


@pytest.mark.parametrize(("calls", "stages"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (20, 7)])
def test_dpm_fast_spends_exactly_its_calls(calls, stages):
    toy = Toy()
    assert len(run(toy, sampler="DPM fast", steps=calls)) == stages
    assert toy.calls == calls


def test_dpm_solvers_take_their_ends_from_the_sigmas_when_nothing_else_is_said():
    sigmas = torch.tensor([9.0, 3.0, 0.5, 0.0])
    asked = []
    toy = Toy()

    def spy(x, sigma):
        asked.append(float(sigma))
        return toy.denoise(x, sigma)

    list(dpm_fast(spy, drawn(1), sigmas, toy.noise))
    assert len(asked) == 3
    assert asked[0] == pytest.approx(9.0)
    list(dpm_adaptive(spy, drawn(1), sigmas, toy.noise, eta=0.0))
    assert min(asked) >= 0.5


def test_adaptive_steps_stop_at_nan():
    def broken(x, sigma):
        return x * float("nan")

    with pytest.raises(NumericalError, match="NaN"):
        list(dpm_adaptive(broken, drawn(1), WIDE, Toy().noise))


def test_one_step_of_ddim_makes_no_call():
    toy = Toy()
    assert run(toy, sampler="DDIM", steps=1) == []
    assert toy.calls == 0
