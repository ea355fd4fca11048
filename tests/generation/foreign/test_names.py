import pytest

from pochade.generation.foreign import names
from pochade.sampling import find_sampler, find_schedule


def test_every_label_is_one_of_ours():
    for label in names._SAMPLERS.values():
        assert find_sampler(label).label == label
    for label in names._SCHEDULES.values():
        assert find_schedule(label).label == label


@pytest.mark.parametrize(
    ("name", "sampler", "schedule"),
    [
        ("k_euler_ancestral", "Euler a", ""),
        ("sample_dpmpp_2m", "DPM++ 2M", ""),
        ("DPMPP_2M_SDE_GPU", "DPM++ 2M SDE", ""),
        ("dpmpp_2m_sde_k", "DPM++ 2M SDE", "Karras"),
        ("dpmpp_2m_karras", "DPM++ 2M", "Karras"),
        ("", "", ""),
    ],
)
def test_spellings(name, sampler, schedule):
    assert names.named(name) == (sampler, schedule, ())


def test_what_is_not_known_is_told():
    assert names.named("tcd", "odd") == (
        "",
        "",
        ("the sampler tcd, which Pochade does not have", "the schedule odd, which Pochade does not have"),
    )
