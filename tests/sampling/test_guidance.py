from dataclasses import replace

import pytest
import torch

from pochade.sampling import Conditions, StepText
from pochade.sampling.guidance import GuidanceRules, Guide, with_classes, with_picture

LEVEL = torch.tensor(5.0)


class Network:
    """Answers with the mean of the context, and remembers what it was asked."""

    def __init__(self):
        self.batches = []

    def __call__(self, x, timesteps, conditions):
        assert len(x) == len(timesteps) == len(conditions)
        context = conditions.context
        self.batches.append((len(x), context.shape[1], float(timesteps[0])))
        return torch.zeros_like(x) + context.mean((1, 2)).reshape(-1, 1, 1, 1)


def text(parts, owners, weights, uncond, length=3):
    tall = torch.tensor(parts).reshape(-1, 1, 1).expand(-1, length, 2)
    negative = torch.tensor(uncond).reshape(-1, 1, 1).expand(-1, 3, 2)
    return StepText(Conditions(tall), tuple(owners), tuple(weights), Conditions(negative))


def guided(step_text, images=1, calls=1, needs_uncond=False, total=10, **rules):
    network = Network()
    guide = Guide(network, lambda call, timestep: step_text, GuidanceRules(**rules), total, needs_uncond)
    for _ in range(calls):
        result = guide(torch.zeros(images, 4, 2, 2), torch.tensor(321.5), LEVEL)
    return result, network


def means(result):
    return result.output.mean((1, 2, 3)).tolist()


def test_guidance_goes_beyond_the_prompt():
    result, network = guided(text([3.0, 5.0], [0, 1], [1.0, 1.0], [1.0, 2.0]), images=2, scale=7.0)
    assert means(result) == [1 + 7 * 2, 2 + 7 * 3]
    assert result.uncond.mean((1, 2, 3)).tolist() == [1, 2]
    assert network.batches == [(4, 3, 321.5)]


def test_parts_joined_by_and_add_up_with_their_weights():
    result, network = guided(text([3.0, 5.0, 4.0], [0, 0, 1], [1.0, -0.5, 1.0], [1.0, 2.0]), images=2, scale=2.0)
    assert means(result) == [1 + 2 * (1.0 * 2 - 0.5 * 4), 2 + 2 * 2]
    assert network.batches == [(5, 3, 321.5)]


def test_texts_of_different_length_are_asked_apart():
    result, network = guided(text([3.0], [0], [1.0], [1.0], length=6), scale=7.0)
    assert means(result) == [15]
    assert network.batches == [(1, 6, 321.5), (1, 3, 321.5)]


@pytest.mark.parametrize(("calls", "rules", "rows"), [
    (1, {"min_uncond": 9.0}, 2),
    (2, {"min_uncond": 9.0}, 1),
    (2, {"min_uncond": 4.0}, 2),
    (1, {"min_uncond": 9.0, "all_steps": True}, 1),
    (1, {"skip_early": 0.3}, 1),
    (4, {"skip_early": 0.3}, 1),
    (5, {"skip_early": 0.3}, 2),
])  # fmt: skip
def test_when_the_unconditional_part_is_skipped(calls, rules, rows):
    result, network = guided(text([3.0], [0], [1.0], [1.0]), calls=calls, scale=7.0, **rules)
    assert network.batches[-1][0] == rows
    assert means(result) == [3.0 if rows == 1 else 15.0]


def test_skipping_with_parts_leans_on_the_first_of_each_image():
    parts = text([3.0, 5.0, 4.0], [0, 0, 1], [1.0, 0.5, 2.0], [1.0, 1.0])
    result, _ = guided(parts, images=2, scale=7.0, skip_early=1.0)
    assert means(result) == [3 + 0.5 * 2, 4.0]


def test_scale_one_saves_the_unconditional_half():
    plain = text([3.0], [0], [1.0], [1.0])
    result, network = guided(plain, scale=1.0)
    assert network.batches == [(1, 3, 321.5)]
    assert means(result) == [3.0]
    assert guided(plain, scale=1.0, needs_uncond=True)[1].batches == [(2, 3, 321.5)]
    heavy, asked = guided(text([3.0], [0], [1.2], [1.0]), scale=1.0)
    assert asked.batches == [(2, 3, 321.5)]
    assert means(heavy) == pytest.approx([1 + 1.2 * 2])


def test_every_call_has_its_own_text():
    seen = []

    def texts(call, timestep):
        seen.append(call)
        return text([3.0], [0], [1.0], [1.0])

    guide = Guide(Network(), texts, GuidanceRules(), 4)
    for _ in range(3):
        guide(torch.zeros(1, 4, 2, 2), torch.tensor(1.0), LEVEL)
    assert seen == [0, 1, 2]


def edited(full, pictured, plain):
    words = text([full], [0], [1.0], [pictured])
    found = with_picture(words, torch.ones(1, 1, 2, 2), guided=True)
    bare = Conditions(torch.full((1, 3, 2), plain), picture=found.bare.picture)
    return replace(found, bare=bare)


def test_a_picture_guides_in_its_own_direction():
    result, network = guided(edited(3.0, 2.0, 1.0), scale=7.0, picture_scale=1.5)
    assert means(result) == [1 + 7 * (3 - 2) + 1.5 * (2 - 1)]
    assert network.batches == [(3, 3, 321.5)]


def test_further_channels_go_to_the_rows_of_their_images():
    words = text([3.0, 5.0, 4.0], [0, 0, 1], [1.0, 0.5, 2.0], [1.0, 1.0])
    found = with_picture(words, torch.tensor([7.0, 8.0]).reshape(2, 1, 1, 1))
    assert found.parts.picture.flatten().tolist() == [7, 7, 8]
    assert found.uncond.picture.flatten().tolist() == [7, 8]


def test_classes_go_to_the_rows_of_their_images():
    words = text([3.0, 4.0], [0, 1], [1.0, 1.0], [1.0, 1.0])
    found = with_classes(words, torch.tensor([[7.0], [8.0]]), torch.zeros(2, 1))
    assert found.parts.classes.flatten().tolist() == [7, 8]
    assert found.uncond.classes.flatten().tolist() == [0, 0]


def test_the_network_is_told_how_far_the_run_is():
    seen = []

    def network(x, timesteps, conditions):
        seen.append(conditions.progress)
        return x

    guide = Guide(network, lambda call, timestep: text([3.0], [0], [1.0], [1.0]), GuidanceRules(), 4)
    for _ in range(4):
        guide(torch.zeros(1, 4, 2, 2), torch.tensor(1.0), LEVEL)
    assert seen == [0, 0.25, 0.5, 0.75]
