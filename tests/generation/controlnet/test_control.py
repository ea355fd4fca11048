"""Controls: when each acts, on which rows, how much each block counts, and what several add up to."""

import numpy as np
import pytest
import torch
from torch import nn

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.controlnet.control import Control, as_hint, control_of, features_of
from pochade.generation.controlnet.control_unit import BALANCED, CONTROL, MODES, PROMPT
from pochade.networks import UNet, fresh, unet_shapes
from pochade.networks.controlnet import ControlNet, controlnet_shapes
from pochade.networks.t2i_adapter import T2IAdapter
from tests.networks.test_oracles import randomised
from tests.networks.test_t2i_adapter import diffusers_adapter, original

SHAPES = unet_shapes(32, (1, 2), 48, (0,), 1)
ROWS = 3


def open_network(build, shapes, seed):
    """A network with no silent branch."""
    network = fresh(build, shapes, seed)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return open_network(ControlNet, controlnet_shapes(SHAPES), 1)


@pytest.fixture
def hint():
    return torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def call():
    """Latents, timesteps and context of a call with three rows."""
    generator = torch.Generator().manual_seed(3)
    latents, context = (torch.randn(ROWS, *rest, generator=generator) for rest in ((4, 8, 6), (7, 48)))
    return latents, torch.full((ROWS,), 500.0), context


def found(controls, call, conditional=2, fraction=0.5):
    return control_of(controls, *call, conditional=conditional, fraction=fraction)


def assert_equal(residuals, wanted):
    assert len(residuals) == len(wanted)
    for each, other in zip(residuals, wanted, strict=True):
        torch.testing.assert_close(each, other, rtol=1e-4, atol=1e-5)


def test_a_balanced_control_adds_what_its_network_says(network, hint, call):
    assert_equal(found([Control(network, hint)], call), network(*call, hint))


def test_weight_multiplies(network, hint, call):
    assert_equal(found([Control(network, hint, weight=0.3)], call), [0.3 * each for each in network(*call, hint)])


def test_controls_are_summed(network, hint, call):
    both = found([Control(network, hint), Control(network, 1 - hint, weight=2)], call)
    wanted = [a + 2 * b for a, b in zip(network(*call, hint), network(*call, 1 - hint), strict=True)]
    assert_equal(both, wanted)


@pytest.mark.parametrize(
    ("fraction", "acts"), [(0.0, False), (0.19, False), (0.2, True), (0.5, True), (0.6, True), (0.61, False)]
)
def test_a_control_acts_from_start_to_end(network, hint, call, fraction, acts):
    control = Control(network, hint, start=0.2, end=0.6)
    assert (found([control], call, fraction=fraction) is not None) == acts


def test_a_whole_range_acts_at_first_and_last(network, hint, call):
    assert all(found([Control(network, hint)], call, fraction=fraction) for fraction in (0.0, 1.0))


def test_nothing_is_added_by_no_control_or_weight_zero(network, hint, call):
    assert found([], call) is None
    assert found([Control(network, hint, weight=0)], call) is None


@pytest.mark.parametrize("mode", [PROMPT, CONTROL])
@pytest.mark.parametrize(("count", "last"), [(13, 1.0), (10, 0.825**3)])
def test_unbalanced_modes_count_the_first_blocks_less(network, hint, mode, count, last):
    factors = Control(network, hint, weight=2, mode=mode).factors(count)
    assert factors[0] == pytest.approx(2 * 0.825**12)
    assert factors[1] == pytest.approx(2 * 0.825**11)
    assert factors[-1] == pytest.approx(2 * last)
    assert Control(network, hint, weight=2).factors(count) == [2] * count


@pytest.mark.parametrize("mode", MODES)
def test_only_the_last_mode_leaves_out_the_negative_prompt(network, hint, call, mode):
    residuals = found([Control(network, hint, mode=mode)], call, conditional=2)
    assert all(each[:2].abs().max() > 0 for each in residuals)
    assert all((each[2:].abs().max() == 0) == (mode == CONTROL) for each in residuals)
    assert all(len(each) == ROWS for each in residuals)


def test_rows_with_the_prompt_do_not_depend_on_the_others(network, hint, call):
    prompt, control = (found([Control(network, hint, mode=mode)], call) for mode in (PROMPT, CONTROL))
    assert_equal([each[:2] for each in control], [each[:2] for each in prompt])


def test_a_call_for_the_negative_prompt_alone_adds_nothing_then(network, hint, call):
    assert found([Control(network, hint, mode=CONTROL)], call, conditional=0) is None
    assert found([Control(network, hint, mode=PROMPT)], call, conditional=0) is not None


def test_one_sided_and_balanced_controls_mix(network, hint, call):
    controls = [Control(network, hint, mode=CONTROL), Control(network, hint)]
    residuals = found(controls, call, conditional=1)
    assert_equal([each[1:] for each in residuals], [each[1:] for each in network(*call, hint)])


def test_an_averaged_control_says_nothing_of_places(network, hint, call):
    residuals = found([Control(network, hint, averaged=True)], call, conditional=2)
    wanted = [each.mean((2, 3), keepdim=True) for each in network(*call, hint)]
    assert_equal([each[:2] for each in residuals], [each[:2] for each in wanted])
    assert all(each[2:].abs().max() == 0 for each in residuals)


def test_the_unet_takes_the_sum(network, hint, call):
    torch.manual_seed(2)
    unet = open_network(UNet, SHAPES, 2)
    control = found([Control(network, hint), Control(network, hint, averaged=True)], call)
    assert (unet(*call, control=control) - unet(*call)).abs().max() > 1e-3


def test_the_hint_is_embedded_once(network, hint, call, monkeypatch):
    calls = []
    embed = ControlNet.embed
    monkeypatch.setattr(ControlNet, "embed", lambda self, x: calls.append(x) or embed(self, x))
    control = Control(network, hint)
    found([control], call)
    found([control], call, fraction=0.9)
    assert len(calls) == 1


def test_classes_go_with_their_rows(hint):
    shapes = controlnet_shapes(SHAPES) | {
        f"label_emb.0.{place}": shape
        for place, shape in (("0.weight", (128, 9)), ("0.bias", (128,)), ("2.weight", (128, 128)), ("2.bias", (128,)))
    }
    torch.manual_seed(5)
    network = open_network(ControlNet, shapes, 3)
    call = torch.randn(2, 4, 8, 6), torch.tensor([9.0, 9.0]), torch.randn(2, 7, 48)
    classes = torch.randn(2, 9)
    residuals = control_of([Control(network, hint, mode=CONTROL)], *call, 1, 0.5, classes)
    factors = Control(network, hint, mode=CONTROL).factors(len(residuals))
    wanted = network(*call, hint, classes)
    assert_equal([a[:1] for a in residuals], [a[:1] * f for a, f in zip(wanted, factors, strict=True)])


def test_a_hint_of_another_size_is_told(network, call):
    with pytest.raises(UsageError, match="hint of a control is 64x64 and the picture 48x64 pixels"):
        found([Control(network, torch.rand(1, 3, 64, 64))], call)


def test_impossible_settings_are_told(network, hint):
    with pytest.raises(UnknownNameError, match=f"did you mean {BALANCED}"):
        Control(network, hint, mode="balance")
    for start, end in ((0.6, 0.2), (-0.1, 1), (0, 1.1), (float("nan"), 1)):
        with pytest.raises(UsageError, match="0 <= start <= end <= 1"):
            Control(network, hint, start=start, end=end)


def test_a_preprocessors_picture_becomes_a_hint():
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[1, 2] = (255, 0, 51)
    assert as_hint(picture).shape == (1, 3, 4, 6)
    torch.testing.assert_close(as_hint(picture)[0, :, 1, 2], torch.tensor([1.0, 0.0, 0.2]))
    with_hole = np.full((4, 6, 3), -1, np.float32)
    assert (as_hint(with_hole) == -1).all()


def test_with_low_vram_the_result_is_the_same(network, hint, call):
    assert_equal(found([Control(network, hint, low_vram=True)], call), found([Control(network, hint)], call))


# ---- T2I-Adapters


@pytest.fixture(scope="module")
def adapter():
    state = original(diffusers_adapter("full"))
    return randomised(T2IAdapter({name: tuple(value.shape) for name, value in state.items()}, (2, 5, 8, 11)))


def features(controls, call, conditional=2, fraction=0.5):
    return features_of(controls, call[0], conditional, fraction)


def test_an_adapter_adds_its_features_to_every_row(adapter, hint, call):
    found = features([Control(adapter, hint, weight=0.5)], call)
    assert list(found) == [2, 5, 8, 11]
    for each, wanted in zip(found.values(), adapter(hint), strict=True):
        torch.testing.assert_close(each, 0.5 * wanted.expand(ROWS, -1, -1, -1))


def test_finer_features_count_less_where_the_prompt_is_more_important(adapter, hint, call):
    found = features([Control(adapter, hint, mode=PROMPT)], call)
    for each, wanted, factor in zip(found.values(), adapter(hint), (0.25, 0.62, 0.825, 1), strict=True):
        torch.testing.assert_close(each[:1], factor * wanted)


def test_rows_of_the_negative_prompt_go_without_where_the_adapter_is_more_important(adapter, hint, call):
    found = features([Control(adapter, hint, mode=CONTROL)], call, conditional=1)
    assert all(each[0].abs().max() > 0 and not each[1:].any() for each in found.values())


def test_adapters_are_summed_and_controlnets_are_not_among_them(adapter, network, hint, call):
    other = 1 - hint
    both = features([Control(adapter, hint), Control(network, hint), Control(adapter, other)], call)
    for each, one, two in zip(both.values(), adapter(hint), adapter(other), strict=True):
        torch.testing.assert_close(each[:1], one + two)
    assert found([Control(adapter, hint)], call) is None
    assert features([Control(network, hint)], call) is None


def test_an_adapter_acts_in_its_share_of_the_steps(adapter, hint, call):
    control = Control(adapter, hint, start=0.2, end=0.6)
    acting = [features([control], call, fraction=each) is not None for each in (0, 0.2, 0.6, 0.7)]
    assert acting == [False, True, True, False]


def test_an_adapters_hint_of_another_size_is_told(adapter, call):
    with pytest.raises(UsageError, match="The hint of a control is 64x64 and the picture 48x64 pixels"):
        features([Control(adapter, torch.rand(1, 3, 64, 64))], call)
