"""Networks that come to a card when they are needed; here the card is a list of what was carried to it."""

import pytest
import torch
from torch import nn

from pochade.generation.device.workplace import Workplace, bytes_of
from pochade.networks import UNet, fresh, unet_shapes


class Card:
    """Counts and keeps what is carried to it."""

    def __init__(self):
        self.carried = 0
        self.copies = []

    def carry(self, tensor):
        self.carried += tensor.nbytes
        self.copies.append(tensor.clone())
        return self.copies[-1]

    def has(self, module):
        return module.weight.data_ptr() in {each.data_ptr() for each in self.copies}


def network():
    """One of 400 bytes."""
    return nn.Linear(100, 1, bias=False)


@pytest.fixture
def card():
    return Card()


def test_without_a_budget_nothing_moves(card):
    place, only = Workplace(None, card.carry), network()
    with place.at_work(only):
        assert not card.has(only)
    assert (place.is_short, place.present, card.carried) == (False, [], 0)


def test_what_fits_stays_until_others_need_the_room(card):
    first, second, third = network(), network(), network()
    place = Workplace(1000, card.carry)  # two of them, and 200 bytes for the work
    for each in (first, second, first, second):
        with place.at_work(each, work=200):
            assert card.has(each)
    assert place.present == [first, second]
    assert card.carried == 800
    with place.at_work(first, work=200), place.at_work(third, work=200):
        assert place.present == [first, third]
    assert not card.has(second)


def test_a_work_that_needs_more_room_has_the_others_leave(card):
    unet, vae = network(), network()
    place = Workplace(1000, card.carry)
    with place.at_work(unet, work=0):
        pass
    with place.at_work(vae, work=500):
        assert place.present == [vae]


def test_at_home_the_weights_are_the_same_tensors_as_before(card):
    only = network()
    before = only.weight.data_ptr()
    place = Workplace(1000, card.carry)
    with place.at_work(only, work=0):
        assert only.weight.data_ptr() != before
    place.clear()
    assert only.weight.data_ptr() == before
    assert place.present == []


@torch.no_grad()
def test_a_unet_larger_than_the_card_comes_block_by_block():
    unet = fresh(UNet, unet_shapes(32, (1, 2), 64, (0, 1), 1), 1).eval()
    given = torch.randn(1, 4, 8, 8), torch.tensor([5.0]), torch.randn(1, 7, 64)
    expected = unet(*given)
    present, most = 0, 0
    weights = {id(each): each.data_ptr() for each in unet.parameters()}

    def carry(tensor):
        nonlocal present, most
        present = sum(each.nbytes for each in unet.parameters() if each.data_ptr() != weights[id(each)])
        most = max(most, present + tensor.nbytes)
        return tensor.clone()

    place = Workplace(bytes_of(unet) // 2, carry)
    with place.at_work(unet, work=0):
        torch.testing.assert_close(unet(*given), expected)
    assert 0 < most < bytes_of(unet) // 2
    assert all(each.data_ptr() == weights[id(each)] for each in unet.parameters())


@torch.no_grad()
def test_blocks_go_home_when_the_work_fails():
    unet = fresh(UNet, unet_shapes(32, (1, 2), 64, (0, 1), 1), 1).eval()
    weights = [each.data_ptr() for each in unet.parameters()]
    place = Workplace(0, torch.clone)
    with place.at_work(unet, work=0), pytest.raises(RuntimeError):
        unet(torch.randn(1, 4, 8, 8), torch.tensor([5.0]), torch.randn(1, 7, 3))
    assert [each.data_ptr() for each in unet.parameters()] == weights
