from itertools import pairwise

import pytest

from pochade import Request
from pochade.errors import UsageError
from pochade.generation.xyz.plot import Plot, cheapest_order

BASE = Request("a cat", seed=5)


def fields(plot, *names):
    return [tuple(getattr(cell.request, name) for name in names) for cell in plot.cells]


def test_cells_go_row_by_row_and_plane_by_plane():
    plot = Plot.of(BASE, "Steps=1,2", "cfg=3,4", "clip_skip=1,2")
    assert plot.counts == (2, 2, 2)
    assert [cell.place for cell in plot.cells][:5] == [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1)]
    assert fields(plot, "steps", "cfg", "clip_skip")[4] == (1, 3.0, 2)
    assert plot.cells[4].labels == ("Steps: 1", "CFG Scale: 3.0", "Clip skip: 2")
    assert plot.cells[4].title == "Steps: 1, CFG Scale: 3.0, Clip skip: 2"


def test_a_lora_is_put_in_before_it_is_weighted_on_whatever_axes():
    prompts = fields(Plot.of(BASE, "LoRA weight=0.5,1", "LoRA=fox,none"), "prompt")
    assert prompts == [("a cat<lora:fox:0.5>",), ("a cat<lora:fox:1>",), ("a cat",), ("a cat",)]


def test_a_free_seed_is_drawn_once_for_all_cells():
    plot = Plot.of(Request("a", seed=-1), "Steps=1,2", "Seed=-1,-1,9").settled()
    seeds = [row[0] for row in fields(plot, "seed")]
    assert plot.request.seed >= 0
    assert seeds[0] == seeds[1] >= 0
    assert seeds[4:] == [9, 9]
    assert seeds[0] != seeds[2]


def test_a_grid_that_goes_on_keeps_the_seeds_that_were_drawn():
    free = Plot.of(Request("a", seed=-1), "Steps=1,2", "Seed=-1,-1")
    earlier = free.settled()
    assert free.settled(earlier) == earlier
    open_before = Plot.of(Request("a", seed=-1), "Steps=1,2", "Seed=-1,-1", own_seeds=True)
    assert min(seed for (seed,) in fields(free.settled(open_before), "seed")) >= 0
    longer = Plot.of(Request("a", seed=-1), "Steps=1-9", "Seed=-1,-1").settled(earlier)
    assert (longer.request, longer.axes[1]) == (earlier.request, earlier.axes[1])


def test_seeds_may_be_left_to_each_cell():
    plot = Plot.of(Request("a", seed=-1), "Steps=1,2", own_seeds=True).settled()
    assert fields(plot, "seed") == [(-1,), (-1,)]
    assert len({cell.name for cell in plot.cells}) == 2


@pytest.mark.parametrize(
    ("varied", "seeds"),
    [
        ("", [5] * 12),
        ("x", [5, 6] * 6),
        ("y", [5, 5, 6, 6, 7, 7] * 2),
        ("xy", [5, 6, 7, 8, 9, 10] * 2),
        ("xyz", list(range(5, 17))),
        ("z", [5] * 6 + [6] * 6),
    ],
)
def test_seeds_count_on_along_axes(varied, seeds):
    plot = Plot.of(BASE, "Steps=1,2", "cfg=1,2,3", "clip_skip=1,2", varied=varied)
    assert [seed for (seed,) in fields(plot, "seed")] == seeds


def test_what_is_dear_to_load_changes_least():
    plot = Plot.of(Request("a", seed=1), "Steps=1,2", "VAE=soft,hard", "Checkpoint name=one,two")
    for order in (plot.cells, plot.cells[::-1], plot.cells[::3] + plot.cells[1::3] + plot.cells[2::3]):
        drawn = [cell.request for cell in cheapest_order(order, lambda cell: cell.request)]
        assert changes(drawn, "model") == 1
        assert changes(drawn, "vae") == 3
        assert {request.steps for request in drawn[:2]} == {1, 2}


def test_loras_are_loaded_once_for_each_model():
    plot = Plot.of(Request("a <lora:ink:1>", seed=1), "Prompt S/R=ink,oil", "Steps=1,2", "Checkpoint name=one,two")
    drawn = [cell.request for cell in cheapest_order(plot.cells, lambda cell: cell.request)]
    assert (changes(drawn, "model"), changes(drawn, "prompt")) == (1, 3)


def test_weights_of_one_lora_follow_each_other():
    plot = Plot.of(BASE, "LoRA=fox,owl", "LoRA weight=0.5,1")
    order = [cell.place[:2] for cell in cheapest_order(plot.cells, lambda cell: cell.request)]
    assert order == [(0, 0), (0, 1), (1, 0), (1, 1)]


def changes(requests, field):
    values = [getattr(request, field) for request in requests]
    return sum(one != other for one, other in pairwise(values))


def test_a_file_s_name_tells_its_cell_apart_whatever_the_order_of_axes():
    one = Plot.of(BASE, "Steps=1,2", "Prompt S/R=cat,dog/\\:*?")
    other = Plot.of(BASE, "Prompt S/R=cat,dog/\\:*?", "Steps=2,1,3")
    names = [cell.name for cell in one.cells]
    assert len(set(names)) == 4
    assert set(names) <= {cell.name for cell in other.cells}
    assert names[2].startswith("Steps-1_dog-")
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzSP0123456789-_.") for name in names)


def test_equal_cells_have_one_name():
    assert len({cell.name for cell in Plot.of(BASE, "Steps=7,7,8").cells}) == 2
    assert len({cell.name for cell in Plot.of(BASE, "LoRA weight=0.5,1", "LoRA=none,fox").cells}) == 3


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        (["Steps=1-20", "cfg=0-1000 (+1)"], "The grid would have 20020 cells; at most 10000 are possible."),
        (["Steps=1,5000"], "Steps: 5000: steps is 5000; it must be a whole number from 1 to 1000."),
        (["Prompt S/R=dog,bird"], "Prompt S/R: dog: 'dog', the first value, is what to replace, but"),
        (["Prompt order=cat,dog"], "Prompt order: cat, dog: 'dog' is not in the prompt"),
        (["LoRA weight=0.5,1"], "The axis LoRA weight changes nothing; look at the prompt and the other axes."),
        (["Steps=1,2", "steps=3,4"], "The axis Steps changes nothing"),
        (["rng=cpu,dice"], "RNG source: dice: There is no choice of rng named 'dice'"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_it_is(axes, sentence):
    with pytest.raises(UsageError) as caught:
        _ = Plot.of(BASE, *axes).cells
    assert str(caught.value).startswith(sentence)
