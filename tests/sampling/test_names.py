import pytest

from pochade.errors import UnknownNameError
from pochade.sampling import SAMPLERS, choose, choose_leniently, find_sampler, find_schedule

from .vectors import cases, name

KNOWN = {each.label for each in SAMPLERS}


def labels(choice):
    return [choice.sampler.label, choice.schedule.label]


@pytest.mark.parametrize("case", cases("sampler_names"), ids=name)
def test_recorded_resolution(case):
    choice = choose_leniently(case["sampler"], case["scheduler"])
    if case["collapse_default_to_automatic"]:
        choice = choice.collapsed
    assert labels(choice) == case["expected"]


UNDERSTOOD_HERE = ("euler a", "Euler SGM Uniform")  # the reference silently replaces these


@pytest.mark.parametrize(
    "case",
    [each for each in cases("sampler_names") if each["sampler"] not in UNDERSTOOD_HERE and each["scheduler"] != "Nope"],
    ids=name,
)
def test_strict_resolution_agrees_where_the_names_exist(case):
    choice = choose(case["sampler"], case["scheduler"])
    assert labels(choice.collapsed if case["collapse_default_to_automatic"] else choice) == case["expected"]


def test_samplers_answer_to_labels_and_aliases_in_any_case():
    for each in SAMPLERS:
        for known in (each.label, each.label.upper(), *each.aliases):
            assert find_sampler(known) is each
    assert len(SAMPLERS) == 20


def test_meant_names():
    assert labels(choose("euler a")) == ["Euler a", "Automatic"]
    assert labels(choose("Euler SGM Uniform")) == ["Euler", "SGM Uniform"]
    assert labels(choose("dpm++ 2m sde karras", "normal")) == ["DPM++ 2M SDE", "Karras"]
    assert labels(choose("DDIM")) == ["DDIM", "Automatic"]
    assert choose("DPM++ 2M").effective.label == "Karras"
    assert choose("Euler").effective.label == "Automatic"


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError, match=r"sampler named 'Eular a'; did you mean Euler a"):
        choose("Eular a")
    with pytest.raises(UnknownNameError, match=r"schedule named 'kerras'; did you mean Karras"):
        find_schedule("kerras")
