"""LoRAs on loaded weights: as if they were baked, and taken off to the bit."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pochade import files
from pochade.errors import MalformedFileError, NumericalError
from pochade.families import SD1, SD2, SDXL
from pochade.generation.device.memory import Memory
from pochade.generation.device.workplace import Workplace
from pochade.generation.extra_networks.lora_files import state_of
from pochade.generation.extra_networks.patches import Layer, PatchedWeights
from pochade.operations.bake import Adapter, baked
from pochade.operations.lora_change import Change
from tests.operations.lora_parts import NARROW, WIDE, model, parts

QUERY = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
CONVOLUTION = "lora_unet_mid_block_resnets_0_conv1"
WEIGHT = "middle_block.1.transformer_blocks.0.attn1.to_q.weight"
UNET = SD1.unet_prefix


class Held:
    """Stands for a network: parameters by name."""

    def __init__(self, arrays, prefix=UNET, dtype=torch.float32):
        self.tensors = {
            name.removeprefix(prefix): nn.Parameter(torch.from_numpy(each).to(dtype), requires_grad=False)
            for name, each in arrays.items()
            if name.startswith(prefix)
        }

    def named_parameters(self):
        return iter(self.tensors.items())

    def parameters(self):
        return iter(self.tensors.values())

    def buffers(self):
        return iter(())

    def __getitem__(self, name):
        return self.tensors[name].data


@pytest.fixture
def memory():
    return Memory(torch.device("cpu"))


@pytest.fixture
def lora(tmp_path):
    """Save tensors, and return them as a layer."""

    def layer(*tensors, strength=1.0, name="fox", **settings):
        path = files.save(tmp_path / f"{name}.safetensors", {each: own[each] for own in tensors for each in own})
        return Layer(name, path, state_of(path), strength, **settings)

    return layer


def patched(network, memory, prefix=UNET):
    return PatchedWeights({prefix: network}, SD1, memory, "the UNet of model")


def notes(memory):
    return [event.message for event in memory.notes.untold()]


@pytest.mark.parametrize("strength", [0.7, -1.5])
@pytest.mark.parametrize(
    ("algorithm", "module"), [(each, QUERY) for each in NARROW] + [(each, CONVOLUTION) for each in WIDE]
)
def test_a_layer_is_as_if_baked(algorithm, module, strength, tmp_path, lora, memory):
    path, arrays = model(tmp_path)
    layer = lora(parts(module, algorithm, wide=module is CONVOLUTION), strength=strength)
    network = Held(arrays)
    patched(network, memory).put_on((layer,))
    wanted, unused = baked(files.open(path), [(files.open(layer.path), Adapter(layer.path, strength))])
    for name in network.tensors:
        np.testing.assert_allclose(network[name].numpy(), wanted[UNET + name], rtol=1e-6, atol=1e-6)
    assert (unused, notes(memory)) == ([], [])


def test_layers_lie_on_each_other_as_they_are_baked(tmp_path, lora, memory):
    path, arrays = model(tmp_path)
    layers = tuple(
        lora(parts(QUERY, algorithm, seed), strength=0.5, name=algorithm)
        for seed, algorithm in enumerate(("ia3", "lora", "glora"))
    )
    network = Held(arrays)
    patched(network, memory).put_on(layers)
    wanted, _ = baked(files.open(path), [(files.open(each.path), Adapter(each.path, 0.5)) for each in layers])
    np.testing.assert_allclose(network[WEIGHT].numpy(), wanted[UNET + WEIGHT], rtol=1e-6, atol=1e-6)


def test_text_encoders_have_their_own(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    prefix, name = SD1.encoders[0].prefix, "text_model.encoder.layers.3.mlp.fc1.weight"
    layer = lora(parts("lora_te_text_model_encoder_layers_3_mlp_fc1", "lora"), parts(QUERY, "lora"))
    unet, text = Held(arrays), Held(arrays, prefix)
    patched(text, memory, prefix).put_on((layer,))
    assert not np.array_equal(text[name].numpy(), arrays[prefix + name])
    patched(unet, memory).put_on((replace(layer, strength=0.0),))
    assert all(np.array_equal(unet[each].numpy(), arrays[UNET + each]) for each in unet.tensors)
    assert notes(memory) == []


@pytest.mark.parametrize(("family", "module"), [(SD2, "lora_te_"), (SDXL, "lora_te2_")])
def test_packed_projections_change_in_their_thirds(family, module, lora, memory):
    prefix, name = family.encoders[-1].prefix, "transformer.resblocks.5.attn.in_proj_weight"
    network = Held({prefix + name: np.zeros((12, 4), np.float32)}, prefix)
    diff = {f"{module}text_model_encoder_layers_5_self_attn_k_proj.diff": np.ones((4, 4), np.float32)}
    PatchedWeights({prefix: network}, family, memory, "the text encoders of model").put_on((lora(diff),))
    assert network[name].sum(1).tolist() == [0] * 4 + [4] * 4 + [0] * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_taken_off_the_very_tensors_are_back(dtype, tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    network = Held(arrays, dtype=dtype)
    before = {name: (each.data_ptr(), each.data.clone()) for name, each in network.tensors.items()}
    weights = patched(network, memory)
    weights.put_on((lora(parts(QUERY, "dora")), lora(parts(CONVOLUTION, "locon", wide=True), name="b")))
    assert network[WEIGHT].dtype == dtype
    assert not torch.equal(network[WEIGHT], before[WEIGHT][1])
    weights.put_on(())
    assert all(
        each.data_ptr() == pointer and torch.equal(each, values)
        for each, (pointer, values) in zip(network.tensors.values(), before.values(), strict=True)
    )


def test_halves_are_rounded_once(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    layers = tuple(lora(parts(QUERY, "lora", seed), name=str(seed)) for seed in range(3))
    whole, half = Held(arrays), Held(arrays, dtype=torch.bfloat16)
    whole.tensors[WEIGHT].data = half[WEIGHT].float()
    for network in (whole, half):
        patched(network, memory).put_on(layers)
    assert torch.equal(half[WEIGHT], whole[WEIGHT].bfloat16())


def test_other_layers_are_computed_from_the_weight_as_it_was(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    first, second = (lora(parts(QUERY, "lora", seed), name=str(seed)) for seed in (1, 2))
    network, fresh = Held(arrays), Held(arrays)
    weights = patched(network, memory)
    for layers in ((first,), (first, second), (second,)):
        weights.put_on(layers)
    patched(fresh, memory).put_on((second,))
    assert torch.equal(network[WEIGHT], fresh[WEIGHT])


def test_the_same_layers_stay_on_without_any_work(tmp_path, lora, memory, monkeypatch):
    _, arrays = model(tmp_path)
    layer, network = lora(parts(QUERY, "lora")), Held(arrays)
    weights = patched(network, memory)
    weights.put_on((layer,))
    monkeypatch.setattr(Change, "add", None)
    weights.put_on((replace(layer),))


def test_a_file_that_changed_is_put_on_anew(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    network = Held(arrays)
    weights = patched(network, memory)
    weights.put_on((lora(parts(QUERY, "lora", 1)),))
    before = network[WEIGHT].clone()
    weights.put_on((lora(parts(QUERY, "lora", 2)),))
    assert not torch.equal(network[WEIGHT], before)


def test_a_rank_takes_the_first_ranks_alone(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    tensors = parts(QUERY, "lora")
    up, down = tensors[f"{QUERY}.lora_up.weight"], tensors[f"{QUERY}.lora_down.weight"]
    network = Held(arrays)
    patched(network, memory).put_on((lora(tensors, rank=1),))
    change = up[:, :1] @ down[:1] / 2  # alpha 1 of rank 2
    np.testing.assert_allclose(network[WEIGHT].numpy(), arrays[UNET + WEIGHT] + change, rtol=1e-5, atol=1e-6)


def test_block_weights_count(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    half, none = Held(arrays), Held(arrays)
    numbers = ",".join("0.5" if number == 7 else "0" for number in range(17))  # M00
    layer = lora(parts(QUERY, "lora"), blocks=numbers)
    patched(half, memory).put_on((layer,))
    patched(none, memory).put_on((replace(layer, blocks="OUTD"),))
    whole = Held(arrays)
    patched(whole, memory).put_on((replace(layer, blocks=""),))
    before = torch.from_numpy(arrays[UNET + WEIGHT])
    assert torch.equal(none[WEIGHT], before)
    torch.testing.assert_close(half[WEIGHT] - before, (whole[WEIGHT] - before) / 2)


def test_what_does_not_fit_is_left_out_and_told_each_time(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    odd = {f"{CONVOLUTION}.diff": np.ones((4, 5, 3, 3), np.float32)}
    layer = lora(parts(QUERY, "lora"), odd, parts("lora_unet_nowhere", "lora"))
    network = Held(arrays)
    weights = patched(network, memory)
    weights.put_on((layer,))
    assert not np.array_equal(network[WEIGHT].numpy(), arrays[UNET + WEIGHT])
    (note,) = notes(memory)
    assert note == (
        "fox: 2 of its 3 modules for the UNet of model do not fit and are left out, e.g. "
        "lora_unet_mid_block_resnets_0_conv1."
    )
    memory.notes.begin()
    weights.put_on((layer,))
    assert notes(memory) == [note]


def test_a_lora_of_which_nothing_fits_is_told(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    patched(Held(arrays), memory).put_on((lora(parts("lora_unet_nowhere", "lora")),))
    assert notes(memory) == ["fox: none of its 1 modules for the UNet of model fits; it has no effect there."]


def test_layers_of_a_text_encoder_that_are_not_built_are_no_misfits(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    prefix = SD1.encoders[0].prefix
    layer = lora(parts("lora_te_text_model_encoder_layers_12_mlp_fc1", "lora"))
    patched(Held(arrays, prefix), memory, prefix).put_on((layer,))
    assert notes(memory) == []


def test_biases_and_norms_change_too(memory, lora):
    names = {f"{UNET}middle_block.0.in_layers.0.{each}": np.ones(4, np.float32) for each in ("weight", "bias")}
    module = "lora_unet_mid_block_resnets_0_norm1"
    tensors = {f"{module}.w_norm": np.full(4, 2, np.float32), f"{module}.b_norm": np.full(4, 3, np.float32)}
    network = Held(names)
    patched(network, memory).put_on((lora(tensors, strength=0.5),))
    assert [float(network[f"middle_block.0.in_layers.0.{each}"][0]) for each in ("weight", "bias")] == [2.0, 2.5]
    assert notes(memory) == []


def test_the_first_convolution_of_a_special_model_changes_where_it_sees_latents(memory, lora):
    name = "input_blocks.0.0.weight"
    network = Held({UNET + name: np.zeros((4, 9, 3, 3), np.float32)})
    patched(network, memory).put_on((lora({"lora_unet_conv_in.diff": np.ones((4, 4, 3, 3), np.float32)}),))
    assert network[name][:, :4].eq(1).all()
    assert network[name][:, 4:].eq(0).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_broken_numbers_are_refused_and_leave_no_trace(broken, tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    tensors = parts(CONVOLUTION, "full", wide=True)
    tensors[f"{CONVOLUTION}.diff"][0] = broken
    network = Held(arrays)
    weights = patched(network, memory)
    with pytest.raises(MalformedFileError, match="not finite"):
        weights.put_on((lora(parts(QUERY, "lora"), tensors),))
    weights.put_on(())
    assert all(np.array_equal(network[name].numpy(), arrays[UNET + name]) for name in network.tensors)


def test_too_much_for_a_half_is_told(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    weights = patched(Held(arrays, dtype=torch.float16), memory)
    with pytest.raises(NumericalError, match=r"fox changes '.*to_q.weight' beyond what float16 holds; lower the"):
        weights.put_on((lora(parts(QUERY, "lora"), strength=1e6),))


def test_who_stops_it_halfway_finds_all_in_order_next_time(tmp_path, lora, memory, monkeypatch):
    _, arrays = model(tmp_path)
    network = Held(arrays)
    weights, add, calls = patched(network, memory), Change.add, []

    def stop(*given):
        if calls:
            raise KeyboardInterrupt
        calls.append(add(*given))

    layer = lora(parts(QUERY, "lora"), parts(CONVOLUTION, "full", wide=True))
    monkeypatch.setattr(Change, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        weights.put_on((layer,))
    monkeypatch.setattr(Change, "add", add)
    weights.put_on(())
    assert all(np.array_equal(network[name].numpy(), arrays[UNET + name]) for name in network.tensors)


def test_weights_that_are_away_are_changed_at_home(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    network, layer = Held(arrays), lora(parts(QUERY, "lora"))
    place = memory.workplace = Workplace(1 << 20, torch.clone)
    weights = patched(network, memory)
    before = network[WEIGHT].clone()
    with place.at_work(network, work=0):
        weights.put_on((layer,))
    changed = network[WEIGHT].clone()
    assert not torch.equal(changed, before)
    with place.at_work(network, work=0):
        assert torch.equal(network[WEIGHT], changed)
    weights.put_on(())
    assert torch.equal(network[WEIGHT], before)
    assert place.present == []


def test_memory_does_not_grow(tmp_path, lora, memory):
    _, arrays = model(tmp_path)
    weights, layer = patched(Held(arrays), memory), lora(parts(QUERY, "lora"), parts(CONVOLUTION, "dora", wide=True))
    before = bytes_of_tensors()
    for _ in range(100):
        weights.put_on((layer,))
        weights.put_on(())
    assert bytes_of_tensors() == before


def bytes_of_tensors():
    gc.collect()
    return sum(each.nbytes for each in gc.get_objects() if type(each) in (torch.Tensor, nn.Parameter))
