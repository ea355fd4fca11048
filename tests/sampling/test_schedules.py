import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from pochade.sampling import SCHEDULES, NoiseTable, SamplingOptions, find_schedule, make_plan
from pochade.sampling.beta import quantile
from pochade.sampling.table import ALIGNED_SDXL

from .vectors import cases, name

TABLE = NoiseTable.scaled_linear()


def levels(**options):
    return make_plan(SamplingOptions(**options), TABLE).levels


@pytest.mark.parametrize("case", cases("sigma_schedules"), ids=name)
def test_recorded_schedules(case):
    table = NoiseTable(TABLE.alphas, aligned=ALIGNED_SDXL) if case.get("sdxl_table") else TABLE
    options = SamplingOptions(
        sampler="Euler",
        schedule=case["scheduler"],
        steps=case["steps"],
        rho=case.get("rho", 0.0),
        sigma_min=case.get("sigma_min", 0.0),
        sigma_max=case.get("sigma_max", 0.0),
    )
    sigmas = make_plan(options, table).levels
    torch.testing.assert_close(sigmas, torch.tensor(case["expected"]), atol=1e-7, rtol=2e-6)


@pytest.mark.parametrize("case", cases("sampler_sigmas"), ids=name)
def test_recorded_sigmas_of_samplers(case):
    options = SamplingOptions(sampler=case["sampler"], schedule=case["scheduler"] or "automatic", steps=case["steps"])
    plan = make_plan(options, TABLE)
    torch.testing.assert_close(plan.levels, torch.tensor(case["expected_sigmas"]), atol=1e-7, rtol=2e-6)
    effective = plan.choice.effective.label
    assert effective == case["expected_extra_fields"].get("Schedule type", "Automatic")


@pytest.mark.parametrize("schedule", [each.name for each in SCHEDULES])
def test_schedules_fall(schedule):
    for steps in (1, 2, 7, 23):
        sigmas = levels(sampler="Euler", schedule=schedule, steps=steps)
        assert (sigmas.diff() < 0).all()
        assert sigmas.dtype == torch.float32
        assert (sigmas[-1] == 0) == (schedule != "kl_optimal")


def test_options_move_the_ends():
    assert levels(schedule="karras", sigma_min=0.2, sigma_max=9.0, steps=5)[[0, -2]].tolist() == pytest.approx([9, 0.2])
    assert levels(schedule="karras", old_sigma_range=True, steps=5)[[0, -2]].tolist() == pytest.approx([10, 0.1])
    plain, dropped = (
        levels(schedule="karras", steps=steps, discard_penultimate=drop) for steps, drop in ((6, False), (5, True))
    )
    assert torch.equal(dropped, torch.cat([plain[:-2], plain[-1:]]))
    assert len(levels(sampler="DDIM", steps=9, discard_penultimate=True)) == 10


def test_consistency_models_use_every_twentieth_timestep():
    sigmas = levels(sampler="LCM", steps=4)
    coarse = TABLE.coarse()
    assert len(coarse.sigmas) == 50
    torch.testing.assert_close(sigmas[0], TABLE.sigmas[-1])
    torch.testing.assert_close(sigmas[-2], TABLE.sigmas[19])
    assert coarse.timestep(sigmas[0]) == 999
    assert coarse.timestep(torch.tensor(0.0001)) == 19


def test_schedule_names():
    for each in SCHEDULES:
        for known in each.names:
            assert find_schedule(known.lower()) is each
    assert find_schedule(None).label == "Automatic"


SHAPES = [0.05, 0.4, 0.6, 0.9, 1.0, 2.5, 40.0]


@pytest.mark.parametrize(("alpha", "beta"), list(itertools.product(SHAPES, SHAPES)))
def test_beta_quantiles_equal_scipy(alpha, beta):
    places = np.linspace(0, 1, 41)
    np.testing.assert_allclose(quantile(places, alpha, beta), stats.beta.ppf(places, alpha, beta), atol=1e-9, rtol=0)
