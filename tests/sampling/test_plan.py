import subprocess
import sys

import pytest
import torch

from pochade.errors import UsageError
from pochade.sampling import SAMPLERS, NoiseTable, SamplingOptions, make_plan
from pochade.sampling.samplers.ddim import ddim, descents

from .toy import Toy, drawn

TABLE = NoiseTable.scaled_linear()


def settings(**options):
    return make_plan(SamplingOptions(**options), TABLE).settings


def test_samplers_get_only_what_they_take():
    assert settings(sampler="DPM++ 2M") == {}
    assert settings(sampler="Euler a") == {}
    assert settings(sampler="Euler a", eta=0.4, s_noise=2.0) == {"eta": 0.4}
    assert settings(sampler="DPM++ 2M SDE Heun", s_noise=1.1) == {"s_noise": 1.1, "solver": "heun"}
    assert set(settings(sampler="DDIM")) == {"alphas"}
    assert settings(sampler="DPM fast", steps=11)["calls"] == 11


def test_an_upper_churn_bound_of_zero_means_none():
    churn = settings(sampler="Euler", s_churn=2.0, s_tmin=0.1)["churn"]
    assert (churn.amount, churn.low, churn.high, churn.noise) == (2.0, 0.1, float("inf"), 1.0)
    assert settings(sampler="Heun", s_tmax=5.0)["churn"].high == 5.0


def test_trees_span_the_positive_sigmas():
    plan = make_plan(SamplingOptions(sampler="DPM++ SDE", steps=8), TABLE)
    assert plan.ends == (float(plan.levels[-2]), float(plan.levels[0]))
    assert make_plan(SamplingOptions(sampler="DPM++ SDE", schedule="kl_optimal"), TABLE).ends[0] == pytest.approx(
        TABLE.lowest
    )


def test_guidance_rules_come_from_the_options():
    options = {"cfg_scale": 5.0, "min_uncond": 1.0, "min_uncond_all": True, "skip_early_cond": 0.2}
    rules = make_plan(SamplingOptions(**options), TABLE).rules
    assert (rules.scale, rules.min_uncond, rules.all_steps, rules.skip_early) == (5.0, 1.0, True, 0.2)
    assert make_plan(SamplingOptions(sampler="DDIM CFG++", cfg_scale=5.0), TABLE).rules.scale == pytest.approx(0.4)


def test_second_order_samplers_count_two_calls_a_step():
    for each in SAMPLERS:
        assert make_plan(SamplingOptions(sampler=each.label, steps=9), TABLE).calls == (18 if each.second_order else 9)


def test_levels_stay_on_the_cpu_in_single_precision():
    for each in SAMPLERS:
        levels = make_plan(SamplingOptions(sampler=each.label, steps=9, downcast_alphas=True), TABLE).levels
        assert levels.device.type == "cpu"
        assert levels.dtype == (torch.int64 if each.timesteps else torch.float32)


def test_sampling_needs_neither_scipy_nor_torchsde():
    code = "import sys, pochade.sampling; print(sorted({'scipy', 'torchsde', 'diffusers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sigma_min": 20.0}, "lowest sigma is 20; it must be below its highest, 14.61"),
        ({"sigma_max": 0.01}, "it must be below its highest, 0.01"),
        ({"rho": 0.001}, "rho is 0.001"),
        ({"rho": 0.02}, "no numbers"),
    ],
)
def test_sigmas_that_cannot_be_are_explained(options, words):
    with pytest.raises(UsageError, match=words):
        make_plan(SamplingOptions(sampler="DPM++ 2M", schedule="karras", **options), TABLE)


def test_more_noise_than_ddim_can_add_is_explained():
    step = next(descents(torch.arange(1, 1000, 200), TABLE.alphas))
    assert step.sigma(1.0) ** 2 < 1 - step.next_alpha
    with pytest.raises(UsageError, match="eta is 10"):
        step.sigma(10.0)


def test_an_eta_that_ddim_refuses_costs_no_model_call():
    toy = Toy()
    with pytest.raises(UsageError, match=r"eta is 1\.2"):
        next(ddim(toy.epsilon, drawn(1), torch.arange(1, 1000, 50), toy.noise, alphas=TABLE.alphas, eta=1.2))
    assert toy.calls == 0
