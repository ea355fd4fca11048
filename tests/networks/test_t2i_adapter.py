"""T2I-Adapters give what diffusers' do, and a UNet with them predicts what diffusers' UNet predicts."""

import pytest
import torch

from pochade import files, kinds, layouts
from pochade.errors import MalformedFileError
from pochade.families import FAMILIES
from pochade.kinds.controlnet import form
from pochade.networks import T2IAdapter, UNet, array_of, fresh, load_t2i_adapter, unet_shapes
from tests.networks.test_oracles import diffusers_unet, randomised

CPU = torch.device("cpu")
SD1 = next(family for family in FAMILIES if family.name == "sd1")
WIDTHS = (32, 64, 128, 128)
FORMS = {
    "full": {"adapter_type": "full_adapter", "num_res_blocks": 2, "downscale_factor": 8},
    "light": {"adapter_type": "light_adapter", "num_res_blocks": 4, "downscale_factor": 8},
    "large": {"adapter_type": "full_adapter_xl", "num_res_blocks": 2, "downscale_factor": 16},
}


def diffusers_adapter(name, channels=3, widths=WIDTHS):
    from diffusers import T2IAdapter as Theirs

    widths = widths[:-1] if name == "light" else widths  # diffusers adds a level of its own
    return randomised(Theirs(in_channels=channels, channels=list(widths), **FORMS[name]))


def original(adapter):
    """Its weights in the original's names."""
    state = adapter.state_dict()
    return {layouts.t2i_adapter.to_original(state)[name]: value for name, value in state.items()}


@pytest.fixture(scope="module")
def unets():
    """Ours and diffusers', of four levels as in SD 1, and of three as in SDXL."""
    made = {}
    for name, multipliers, attention in (("full", (1, 2, 4, 4), (0, 1, 2)), ("large", (1, 2, 4), (1, 2))):
        ours = randomised(fresh(UNet, unet_shapes(32, multipliers, 64, attention, 2), 1))
        made[name] = ours, diffusers_unet(ours, tuple(32 * each for each in multipliers), 64, attention, 2)
    return made | {"light": made["full"]}


def saved(adapter, path, in_original_names):
    state = original(adapter) if in_original_names else adapter.state_dict()
    return files.save(path, {name: array_of(value) for name, value in state.items()})


@pytest.mark.parametrize("in_original_names", [True, False])
@pytest.mark.parametrize(("name", "channels"), [("full", 1), ("full", 3), ("light", 3), ("large", 1), ("large", 3)])
@torch.no_grad()
def test_a_unet_with_an_adapter_predicts_what_diffusers_does(name, channels, in_original_names, unets, tmp_path):
    ours, theirs = unets[name]
    adapter = diffusers_adapter(name, channels)
    weights = kinds.open_model(saved(adapter, tmp_path / "a.safetensors", in_original_names))
    assert kinds.recognise(weights.shapes()) == "controlnet" and form(weights.shapes()) == "t2i-adapter"
    network = load_t2i_adapter(weights, SD1, ours, CPU, torch.float32)
    assert network.places == ((3, 5, 8, 9) if name == "large" else (2, 5, 8, 11))
    hint = torch.rand(2, 3, 128, 64)
    expected = adapter(hint[:, :channels])
    features = network(hint)
    for each, other in zip(features, expected, strict=True):
        torch.testing.assert_close(each, other)
    x, times, text = torch.randn(2, 4, 16, 8), torch.tensor([3.0, 981.0]), torch.randn(2, 77, 64)
    residuals = [each.clone() for each in expected]
    wanted = theirs(x, times, text, down_intrablock_additional_residuals=residuals).sample
    found = ours(x, times, text, features=dict(zip(network.places, features, strict=True)))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert (found - ours(x, times, text)).abs().max() > 0.1


@pytest.mark.parametrize("name", FORMS)
@torch.no_grad()
def test_pictures_whose_sides_halve_unevenly_fit(name, unets):
    ours, _ = unets[name]
    state = original(diffusers_adapter(name))
    network = T2IAdapter({key: tuple(value.shape) for key, value in state.items()})
    network.load_state_dict(state)
    network.places = (3, 5, 8, 9) if name == "large" else (2, 5, 8, 11)
    features = dict(zip(network.places, network(torch.rand(1, 3, 8 * 13, 8 * 9)), strict=True))
    x, text = torch.randn(1, 4, 13, 9), torch.randn(1, 77, 64)
    assert ours(x, torch.tensor([500.0]), text, features=features).shape == x.shape


def test_one_for_other_models_is_refused(unets, tmp_path):
    path = saved(diffusers_adapter("full", widths=(64, 128, 256, 256)), tmp_path / "wide.safetensors", True)
    ours, _ = unets["full"]
    with pytest.raises(MalformedFileError, match=r"wide\.safetensors: is a T2I-Adapter for other models than"):
        load_t2i_adapter(kinds.open_model(path), SD1, ours, CPU, torch.float32)
    large = saved(diffusers_adapter("large"), tmp_path / "large.safetensors", True)
    with pytest.raises(MalformedFileError, match="for other models"):
        load_t2i_adapter(kinds.open_model(large), SD1, ours, CPU, torch.float32)


def test_what_it_has_no_place_for_is_refused(unets, tmp_path):
    state = original(diffusers_adapter("full")) | {"body.0.skep.weight": torch.ones(1)}
    path = files.save(tmp_path / "odd.safetensors", {name: array_of(value) for name, value in state.items()})
    with pytest.raises(MalformedFileError, match=r"'body\.0\.skep\.weight', for which a T2I-Adapter has no place"):
        load_t2i_adapter(kinds.open_model(path), SD1, unets["full"][0], CPU, torch.float32)
    del state["body.3.block2.bias"]
    path = files.save(tmp_path / "torn.safetensors", {name: array_of(value) for name, value in state.items()})
    with pytest.raises(MalformedFileError, match=r"body\.3\.block2\.bias"):
        load_t2i_adapter(kinds.open_model(path), SD1, unets["full"][0], CPU, torch.float32)


def test_names_of_the_published_color_adapter_are_the_light_forms():
    """Of t2iadapter_color_sd14v1.pth."""
    names = ["body.0.in_conv.weight", "body.0.body.3.block1.weight", "body.0.out_conv.weight"]
    assert layouts.t2i_adapter.to_original(names) == dict(zip(names, names, strict=True))
