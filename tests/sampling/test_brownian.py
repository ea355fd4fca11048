import itertools

import pytest
import torch
import torchsde

from pochade.sampling.brownian import BrownianTree, image_trees, shared_tree
from pochade.sampling.noise import ImageNoise, Seeds

from .vectors import cases, name

LOW, HIGH = 0.0291675348, 14.6146421


@pytest.mark.parametrize("case", cases("brownian_tree"), ids=name)
def test_recorded_noise(case):
    noise = ImageNoise((1, 2, 2), Seeds(seeds=(case["seed"],), source="nv"))
    drawn = image_trees(noise, 0.0292, 14.6146)(torch.tensor(case["sigma"]), torch.tensor(case["sigma_next"]))
    torch.testing.assert_close(drawn.flatten(), torch.tensor(case["expected"]), atol=1e-5, rtol=1e-5)


def cpu_leaf(seed):
    return torch.randn((4, 2, 3), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", [0, 12345, 2**62 + 1])
@pytest.mark.filterwarnings("ignore:Should have")
def test_same_path_as_torchsde(seed):
    ours = BrownianTree(LOW, HIGH, seed, cpu_leaf)
    oracle = torchsde.BrownianTree(t0=LOW, w0=torch.zeros(4, 2, 3), t1=HIGH, entropy=seed)
    points = [14.6146431, 10.2, 9.999999, 5.5, 5.499998, 1.0, 0.1, 0.029167538, 0.0]
    for end, start in itertools.pairwise(points):
        assert torch.equal(ours(start, end), oracle(start, end))
    assert torch.equal(ours(0.7, 3.3), oracle(0.7, 3.3))


def test_parts_add_up_and_order_does_not_matter():
    first, second = (BrownianTree(0.0, 8.0, 3, cpu_leaf) for _ in range(2))
    parts = first(0.0, 1.3) + first(1.3, 4.7) + first(4.7, 8.0)
    whole = second(0.0, 8.0)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-5)
    assert torch.equal(second(1.3, 4.7), first(1.3, 4.7))
    assert torch.equal(first(2.0, 2.0000001), torch.zeros(4, 2, 3))


def test_forgotten_halvings_come_back_the_same():
    tree, fresh = (BrownianTree(0.0, 8.0, 3, cpu_leaf) for _ in range(2))
    for start in range(7):
        tree(start + 0.1234, start + 0.9)
    assert torch.equal(tree(0.1234, 0.9), fresh(0.1234, 0.9))


def test_one_tree_per_image_or_one_for_all():
    pair = ImageNoise((4, 2, 2), Seeds(seeds=(1, 2)))
    span = torch.tensor(3.0), torch.tensor(2.0)
    alone = [image_trees(ImageNoise((4, 2, 2), Seeds(seeds=(seed,))), LOW, HIGH)(*span) for seed in (1, 2)]
    assert torch.equal(image_trees(pair, LOW, HIGH)(*span), torch.cat(alone))
    shared = shared_tree(pair, LOW, HIGH)(*span)
    assert shared.shape == (2, 4, 2, 2)
    assert not torch.equal(shared, torch.cat(alone))
