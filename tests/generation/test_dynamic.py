import pytest

from pochade import Request
from pochade.errors import UsageError
from pochade.generation.dynamic import by_lot, combinations
from pochade.prompts.dynamic import Wildcards

NONE = Wildcards()
TEMPLATE = "a {red|blue|green|grey} {cat|dog|bird|fish}"


def prompts(requests):
    return [each.prompt for each in requests]


def test_every_picture_has_a_prompt_of_its_seed():
    together = by_lot(Request(TEMPLATE, seed=5, count=6), NONE)
    alone = [by_lot(Request(TEMPLATE, seed=seed), NONE)[0] for seed in range(5, 11)]
    in_batches = by_lot(Request(TEMPLATE, seed=5, count=6, batch=4), NONE)
    told = [(each.seed + index, each.prompt) for each in together for index in range(each.count)]
    assert told == [(each.seed, each.prompt) for each in alone]
    assert prompts(in_batches) == prompts(together)
    assert len({prompt for _, prompt in told}) > 1


def test_templates_are_noted_where_they_say_something_else():
    (request,) = by_lot(Request("a {cat}", negative_prompt="mush", seed=1), NONE)
    assert (request.prompt, request.prompt_template, request.negative_template) == ("a cat", "a {cat}", "")
    (request,) = by_lot(Request("a cat", negative_prompt="{mush}", seed=1), NONE)
    assert (request.negative_prompt, request.prompt_template, request.negative_template) == ("mush", "", "{mush}")


def test_pictures_with_equal_prompts_stay_in_one_request():
    request = Request("a cat", seed=5, count=6, batch=3, variation_seed=9)
    assert by_lot(request, NONE) == [request]
    requests = by_lot(Request("a {cat|dog}", seed=5, count=40, variation_seed=9), NONE)
    assert sum(each.count for each in requests) == 40 > len(requests)
    assert [each.variation_seed - each.seed for each in requests] == [4] * len(requests)


def test_variations_of_one_picture_have_one_prompt():
    (request,) = by_lot(Request(TEMPLATE, seed=5, count=4, variation_strength=0.2), NONE)
    assert (request.seed, request.count) == (5, 4)


def test_seeds_left_to_chance_are_drawn_once():
    requests = by_lot(Request(TEMPLATE, count=3), NONE)
    seeds = [each.seed + index for each in requests for index in range(each.count)]
    assert seeds == list(range(seeds[0], seeds[0] + 3))


def test_the_second_pass_knows_the_variables_of_the_first():
    request = Request("${x=!{cat|dog}}a ${x}", hires_prompt="a sharp ${x}", seed=3)
    (made,) = by_lot(request, NONE)
    assert made.hires_prompt == made.prompt.replace("a ", "a sharp ")


def test_every_combination_in_turn():
    request = Request("a {cat|dog}", negative_prompt="{mush|fog}", seed=5, count=2)
    requests, are_more = combinations(request, NONE, 10)
    assert [(each.prompt, each.negative_prompt, each.seed, each.count) for each in requests] == [
        ("a cat", "mush", 5, 2),
        ("a cat", "fog", 5, 2),
        ("a dog", "mush", 5, 2),
        ("a dog", "fog", 5, 2),
    ]
    assert not are_more
    requests, are_more = combinations(request, NONE, 3, "next")
    assert ([each.seed for each in requests], are_more) == ([5, 7, 9], True)
    assert len({each.seed for each in combinations(Request("{a|b}"), NONE, 9)[0]}) == 1


def test_more_combinations_than_anybody_can_draw_cost_nothing():
    requests, are_more = combinations(Request("{a|b}" * 200), NONE, 5)
    assert (len(requests), are_more) == (5, True)
    assert requests[1].prompt == "a" * 199 + "b"


def test_a_mistake_is_said_before_anything_is_drawn():
    with pytest.raises(UsageError, match="never closed"):
        by_lot(Request("a {cat"), NONE)
