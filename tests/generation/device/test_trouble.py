"""Why a network gave no numbers: the weight or the layer by name."""

import pytest
import torch

from pochade.generation.device.trouble import broken_weight, cause, first_place
from pochade.networks import UNet, fresh, unet_shapes

PREFIX = "model.diffusion_model."
WEIGHT = "output_blocks.0.1.transformer_blocks.0.attn2.to_v.weight"


@pytest.fixture
def unet():
    return fresh(UNet, unet_shapes(32, (1, 2), 64, (0, 1), 1), 1).eval()


@pytest.fixture
def ask(unet):
    given = torch.randn(1, 4, 8, 8), torch.tensor([5.0]), torch.randn(1, 7, 64)
    return lambda: unet(*(each.to(next(unet.parameters()).dtype) for each in given))


def test_a_broken_weight_is_named(unet, ask):
    unet.get_parameter(WEIGHT).data[3, 2] = torch.inf
    assert broken_weight(unet) == WEIGHT
    found = cause(unet, PREFIX, ask)
    assert found.is_damaged
    assert found.words == f"because the weight {PREFIX}{WEIGHT} holds NaN or infinity"


def test_the_first_layer_beyond_the_range_of_half_precision_is_named(unet, ask):
    """In bfloat16, whose range is float32's, a weight of 1e38 does what 60000 does in float16."""
    unet.bfloat16().get_parameter("middle_block.0.out_layers.3.weight").data.fill_(3e38)
    found = cause(unet, PREFIX, ask)
    assert not found.is_damaged
    assert found.words == f"first at {PREFIX}middle_block.0.out_layers.3, beyond the range of bfloat16"
    assert first_place(unet, ask).name == "middle_block.0.out_layers.3"


def test_what_was_no_number_before_is_not_the_networks_fault(unet):
    given = torch.full((1, 4, 8, 8), torch.nan), torch.tensor([5.0]), torch.randn(1, 7, 64)
    assert cause(unet, PREFIX, lambda: unet(*given)).words == "in what it was given already"


def test_a_sound_network_has_no_such_place(unet, ask):
    assert broken_weight(unet) is None
    assert first_place(unet, ask) is None
    assert not any(each._forward_hooks for each in unet.modules())
