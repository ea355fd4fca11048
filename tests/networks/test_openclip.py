"""OpenCLIP's text encoder equals transformers' on the same random weights, whatever layer is asked for."""

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from pochade import layouts
from pochade.files import Weights
from pochade.layouts.packing import unpacked
from pochade.networks import OpenCLIPText, array_of, fresh, openclip_shapes, tensor_of
from tests.families.manifests import part, shapes
from tests.networks.reduced import random_state

TOLERANCE = 1e-4
LAST = 999


def build(width=128, layers=4):
    sizes = openclip_shapes(width, layers, vocabulary=LAST + 1)
    network = OpenCLIPText(sizes)
    network.load_state_dict(random_state(sizes))
    return network.eval().requires_grad_(False)


def transformers_clip(ours, width, layers):
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        projection_dim=width,
        vocab_size=ours.token_embedding.num_embeddings,
        hidden_act="gelu",
        eos_token_id=2,  # which it takes as "the highest id"
    )
    theirs = CLIPTextModelWithProjection(config)
    weights = Weights.from_arrays({name: array_of(each) for name, each in ours.state_dict().items()})
    found = unpacked(weights, layouts.openclip.to_diffusers(weights))
    theirs.load_state_dict({name: tensor_of(found[name]) for name in found}, strict=False)
    return theirs.eval()


def sentences():
    """Tokens with one end each, padded with 0 as OpenCLIP does."""
    tokens = torch.randint(1, LAST, (2, 77), generator=torch.Generator().manual_seed(1))
    for row, end in enumerate((9, 76)):
        tokens[row, end] = LAST
        tokens[row, end + 1 :] = 0
    return tokens


def worst(ours, theirs):
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("skip", [1, 2, 4])
@torch.no_grad()
def test_every_layer_equals_transformers(skip, norm):
    ours = build()
    theirs = transformers_clip(ours, 128, 4)
    # of some releases the last of these states is normed already, so the layers are asked one by one
    states = []
    for layer in theirs.text_model.encoder.layers:
        layer.register_forward_hook(lambda module, given, result: states.append(result))
    tokens = sentences()
    theirs(tokens)
    state = states[-skip][0] if isinstance(states[-skip], tuple) else states[-skip]
    hidden = theirs.text_model.final_layer_norm(state) if norm else state
    assert worst(ours(tokens, skip, norm), hidden) < TOLERANCE


@pytest.mark.parametrize("skip", [1, 2])
@torch.no_grad()
def test_the_vector_of_the_whole_text_equals_transformers(skip):
    ours = build()
    tokens = sentences()
    vectors, pooled = ours.encode_pooled(ours.embed(tokens), tokens.argmax(-1), skip, norm=False)
    assert worst(pooled, transformers_clip(ours, 128, 4)(tokens).text_embeds) < TOLERANCE
    assert torch.equal(vectors, ours(tokens, skip, norm=False))


def test_only_the_layers_in_use_are_built():
    network = OpenCLIPText(openclip_shapes(64, 5, vocabulary=10), layers=3)
    assert network.depth == 3
    assert set(network.state_dict()) == set(openclip_shapes(64, 3, vocabulary=10))


def test_an_encoder_without_projection_cannot_pool():
    plain = {name: shape for name, shape in openclip_shapes(64, 1, vocabulary=10).items() if name != "text_projection"}
    network = fresh(OpenCLIPText, plain, 1)
    with pytest.raises(ValueError, match="text_projection"):
        network.encode_pooled(torch.zeros(1, 77, 64), torch.tensor([3]))


def test_a_later_token_leaves_the_earlier_ones_alone():
    network, tokens = build(), sentences()
    changed = tokens.clone()
    changed[:, 5] = 7
    before, after = network(tokens), network(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize(
    ("name", "prefix", "width", "layers"),
    [
        ("sd2-v", "cond_stage_model.model.", 1024, 24),
        ("sdxl-base", "conditioner.embedders.1.model.", 1280, 32),
        ("sdxl-refiner", "conditioner.embedders.0.model.", 1280, 32),
    ],
)
def test_names_and_shapes_are_those_of_the_releases(name, prefix, width, layers):
    recorded = part(shapes(f"{name}.ldm"), prefix)
    recorded.pop("logit_scale")
    assert openclip_shapes(width, layers) == recorded
    with torch.device("meta"):
        network = OpenCLIPText(recorded)
    assert {each: tuple(tensor.shape) for each, tensor in network.state_dict().items()} == recorded
