import pytest

from pochade.errors import UsageError
from pochade.sampling import NoiseTable, SamplingOptions, image_steps, make_plan, spaced_timesteps

from .vectors import cases, name


@pytest.mark.parametrize("case", cases("step_counts"), ids=name)
def test_recorded_counts(case):
    if case["op"] == "ddim_timesteps":
        timesteps = spaced_timesteps(case["steps"]).tolist()
        assert len(timesteps) == case["expected_count"]
        assert timesteps[:12] == case["expected_first"]
        assert timesteps[-12:] == case["expected_last"]
    else:
        exact = case["op"] == "hires_pass" or case["do_exact_steps"]
        count = image_steps(case["steps"], case["denoise"], exact)
        assert count == (case["expected"]["schedule_steps"], case["expected"]["t_enc"])


def test_no_steps_is_a_usage_error():
    with pytest.raises(UsageError, match="at least 1"):
        make_plan(SamplingOptions(steps=0), NoiseTable.scaled_linear())


def test_plans_know_their_stages():
    table = NoiseTable.scaled_linear()
    for sampler, stages in (("Euler", 20), ("DDIM", 19), ("UniPC", 20), ("DPM fast", 7), ("Restart", 20)):
        assert make_plan(SamplingOptions(sampler=sampler, steps=20), table).stages == stages
