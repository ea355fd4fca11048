"""LoRA files change their naming and keep their effect; names are those that diffusers itself reads, and come back."""

from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

from pochade.adapters import delta
from pochade.errors import MalformedFileError, UsageError
from pochade.families import SD1, SD2, SDXL
from pochade.files import LazyArray, TensorInfo, Weights
from pochade.kinds import lora
from pochade.kinds.adapter import kernel_of, modules_of
from pochade.kinds.lora_naming import in_naming, naming_of
from pochade.layouts import kohya

from ..families.manifests import FOLDER, manifest, narrow, shapes

FILES = sorted(path.name.removesuffix(".json.gz") for path in FOLDER.glob("l*-*.json.gz"))
LOCON = "locon-kohya-sd15-r8c4"
PLAIN = ["lora-kohya-sd15-r8", LOCON, "lora-kohya-sd21-r8", "lora-kohya-sdxl-r8", "lora-kohya-sdxl-r8c4"]
RANKED = [*PLAIN, "lyco-locon-sd15", "lyco-dylora-sd15", "lyco-dora-sd15"]
UNET = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
WIDE = "lora_unet_mid_block_resnets_0_conv1"


def weights_of(name):
    """A LoRA with the names of a real file, small ranks, and alphas of all sorts."""
    rng = np.random.default_rng(5)
    real = shapes(name)
    sizes = narrow(real, 4)
    for each, shape in real.items():
        if each.endswith("dora_scale"):
            sizes[each] = (4, *shape[1:])
    arrays = {each: rng.standard_normal(shape).astype(np.float32) for each, shape in sizes.items()}
    arrays |= {each: np.array(rng.integers(1, 9), np.float32) for each in arrays if each.endswith("alpha")}
    return Weights.from_arrays(arrays), lora.family_of(real)


def effects(weights, family, *wanted):
    """What modules add to a weight of ones, by kohya's name."""
    found = {}
    for module, parts in modules_of(in_naming(weights, "kohya", family)).items():
        if module in wanted:
            tensors = {name: each.load().astype(np.float32) for name, each in parts.items()}
            up, inner = tensors["lora_up.weight"], tensors.get("lora_mid.weight", tensors["lora_down.weight"])
            weight = np.ones((up.shape[0], tensors["lora_down.weight"].shape[1], *inner.shape[2:]), np.float32)
            found[module] = delta(weight, tensors)
    return found


@pytest.mark.parametrize("naming", ["diffusers", "peft"])
@pytest.mark.parametrize("name", RANKED)
def test_names_go_there_and_back(name, naming):
    weights, family = weights_of(name)
    there = in_naming(weights, naming, family)
    assert naming_of(there) == naming
    assert lora.family_of(there.shapes()) is family
    back = in_naming(there, "kohya", family)
    assert back.shapes() == weights.shapes()
    some = [module for module in modules_of(weights) if module.endswith(("to_q", "fc1", "conv1", "in_layers_2"))][::7]
    for module, effect in effects(weights, family, *some).items():
        np.testing.assert_allclose(effects(back, family, module)[module], effect, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_kohya_s_own_names_stay(name):
    weights, family = weights_of(name)
    assert in_naming(weights, "kohya", family).shapes() == weights.shapes()


@pytest.mark.parametrize("name", [name for name in FILES if name not in RANKED and "locon" not in name])
def test_other_algorithms_have_no_other_names(name):
    weights, family = weights_of(name)
    with pytest.raises(UsageError, match="have names for LoRA, LoCon and DoRA alone"):
        in_naming(weights, "peft", family)


@pytest.mark.parametrize("name", PLAIN)
def test_diffusers_reads_kohya_s_files_as_what_we_make_of_them(name):
    mixin = pytest.importorskip("diffusers.loaders").StableDiffusionXLLoraLoaderMixin
    from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_peft
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    weights, family = weights_of(name)
    tensors = {each: weights[each] for each in weights}
    read, alphas = mixin.lora_state_dict(tensors, unet_config=SimpleNamespace(layers_per_block=2))
    theirs = convert_unet_state_dict_to_peft({each: array for each, array in read.items() if each.startswith("unet.")})
    text = {each: array for each, array in read.items() if each.startswith("text_encoder")}
    theirs |= convert_state_dict_to_peft(convert_state_dict_to_diffusers(text))
    ours = in_naming(weights, "peft", family)
    assert set(ours) == set(theirs)
    assert len(alphas) == len(ours) // 2
    ups = [each for each in ours if each.endswith("lora_B.weight")]
    assert all(np.array_equal(ours[each], theirs[each]) for each in ups)


@pytest.mark.parametrize(("name", "family"), [("sd15", SD1), ("sd2-base", SD2), ("sdxl-base", SDXL)])
def test_every_path_is_known_from_its_words(name, family):
    for part, tensors in manifest(f"{name}.diffusers")["components"].items():
        for new, (_, _, source) in tensors.items() if part != "vae" else ():
            path = new.rpartition(".")[0]
            assert kohya.dotted(path.replace(".", "_")) == path
            if part == "unet" and family.deep:
                old = source.removeprefix(family.unet_prefix).rpartition(".")[0]
                assert kohya.dotted(old.replace(".", "_")) == old
                assert (kohya.diffusers_path(old), kohya.original_path(path)) == (path, old)


@pytest.mark.parametrize(("name", "family"), [("sd15", SD1), ("sd2-base", SD2), ("sdxl-base", SDXL)])
def test_kernels_are_known_from_names(name, family):
    for new, (_, shape, source) in manifest(f"{name}.diffusers")["components"]["unet"].items():
        for each in (new, source.removeprefix(family.unet_prefix)):
            if each.endswith(".weight") and len(shape) > 1:
                module = "lora_unet_" + each.removesuffix(".weight").replace(".", "_")
                assert kernel_of(module, family) == tuple(shape[2:])


@pytest.mark.parametrize(
    ("naming", "unet", "text"),
    [
        (
            "diffusers",
            "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0.lora.down.weight",
            "text_encoder.text_model.encoder.layers.3.mlp.fc1.lora_linear_layer.up.weight",
        ),
        (
            "peft",
            "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_A.weight",
            "text_encoder.text_model.encoder.layers.3.mlp.fc1.lora_B.weight",
        ),
    ],
)
def test_the_names_are_these(naming, unet, text):
    found = in_naming(weights_of("lora-kohya-sd15-r8")[0], naming, SD1)
    assert {unet, text} <= set(found)


def simple(alpha=2.0, dtype=np.float32, module=UNET, **more):
    rng = np.random.default_rng(3)
    arrays = {
        f"{module}.lora_down.weight": rng.standard_normal((4, 6)).astype(dtype),
        f"{module}.lora_up.weight": rng.standard_normal((5, 4)).astype(dtype),
        f"{module}.alpha": np.array(alpha, np.float32),
    }
    return arrays | {f"{module}.{name}": array for name, array in more.items()}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_alpha_goes_into_the_numbers_and_nothing_else_changes(dtype):
    arrays = simple(2.0, dtype)
    found = in_naming(Weights.from_arrays(arrays), "peft", SD1)
    place = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    assert found.shapes() == {f"{place}.lora_A.weight": (4, 6), f"{place}.lora_B.weight": (5, 4)}
    down, up = (arrays[f"{UNET}.lora_{side}.weight"] for side in ("down", "up"))
    assert found[f"{place}.lora_A.weight"].dtype == dtype
    np.testing.assert_array_equal(found[f"{place}.lora_A.weight"], (down.astype(np.float32) / 2).astype(dtype))
    np.testing.assert_array_equal(found[f"{place}.lora_B.weight"], up)
    same = in_naming(Weights.from_arrays(simple(4.0, dtype)), "peft", SD1)
    np.testing.assert_array_equal(same[f"{place}.lora_A.weight"], down)


def test_no_tensor_is_read_before_it_is_asked_for():
    def load():
        raise AssertionError("it was read")

    arrays = {name: LazyArray(TensorInfo("F16", array.shape), load) for name, array in simple().items()}
    found = in_naming(Weights(arrays, {"ss_steps": "7", "sshs_model_hash": "old"}), "diffusers", SD1)
    assert len(found) == 2
    assert found.metadata == {"ss_steps": "7"}
    with pytest.raises(AssertionError, match="it was read"):
        _ = [found[name] for name in found]


def test_a_tucker_core_goes_into_down():
    rng = np.random.default_rng(4)
    parts = {"lora_up.weight": (5, 3, 1, 1), "lora_mid.weight": (3, 2, 3, 3), "lora_down.weight": (2, 4, 1, 1)}
    arrays = {f"{WIDE}.{name}": rng.standard_normal(shape).astype(np.float32) for name, shape in parts.items()}
    weights = Weights.from_arrays(arrays | {f"{WIDE}.alpha": np.array(1.5, np.float32)})
    there = in_naming(weights, "peft", SD1)
    assert there.info("unet.mid_block.resnets.0.conv1.lora_A.weight").shape == (3, 4, 3, 3)
    np.testing.assert_allclose(effects(there, SD1, WIDE)[WIDE], effects(weights, SD1, WIDE)[WIDE], atol=1e-5)


@pytest.mark.parametrize(("shape", "told"), [((5, 1), (5,)), ((5, 1, 1, 1), (1, 5, 1, 1))])
def test_the_lengths_of_dora_have_each_one_s_shape(shape, told):
    ones = [1] * (len(shape) - 2)
    arrays = {
        f"{WIDE}.lora_down.weight": np.ones((2, 4, *ones), np.float32),
        f"{WIDE}.lora_up.weight": np.ones((5, 2, *ones), np.float32),
        f"{WIDE}.dora_scale": np.arange(1, 6, dtype=np.float32).reshape(shape),
    }
    there = in_naming(Weights.from_arrays(arrays), "peft", SD1)
    assert there.info("unet.mid_block.resnets.0.conv1.lora_magnitude_vector.weight").shape == told
    assert in_naming(there, "kohya", SD1).info(f"{WIDE}.dora_scale").shape == shape


def test_dora_by_input_has_no_other_name():
    weights = Weights.from_arrays(simple(dora_scale=np.ones((1, 6), np.float32)))
    with pytest.raises(UsageError, match="lengths per input"):
        in_naming(weights, "peft", SD1)


def test_sdxl_has_one_name_for_each_module():
    inner = "transformer_blocks_1_attn1_to_q"
    wanted = f"lora_unet_input_blocks_4_1_{inner}"
    for module in (wanted, f"lora_unet_down_blocks_1_attentions_0_{inner}"):
        found = in_naming(Weights.from_arrays(simple(module=module)), "kohya", SDXL)
        assert set(modules_of(found)) == {wanted}
    alone = {"text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_A.weight": np.ones((2, 3))}
    found = in_naming(Weights.from_arrays(alone), "kohya", SDXL)
    assert set(modules_of(found)) == {"lora_te1_text_model_encoder_layers_0_mlp_fc1"}


@pytest.mark.parametrize("module", ["lora_unet_mid_block_strange", "lora_te2_text_model_encoder_layers_0_mlp_fc1"])
def test_strange_modules_have_kohya_s_name_alone(module):
    weights = Weights.from_arrays(simple(module=module))
    assert in_naming(weights, "kohya", SD1).shapes() == weights.shapes()
    with pytest.raises(UsageError, match=f"'{module}' is no module of Stable Diffusion 1.x"):
        in_naming(weights, "peft", SD1)


@pytest.mark.parametrize(
    ("settings", "alphas"),
    [
        ('{"unet.lora_alpha": 2, "text_encoder.lora_alpha": 3}', (2, 2)),
        ('{"unet.lora_alpha": 2, "unet.alpha_pattern": {"attn1.to_q": 8, "^to_q": 9}}', (8, 2)),
        ('{"unet.lora_alpha": 2, "unet.use_rslora": true}', (4, 4)),
        ('{"unet.lora_alpha": null}', (None, None)),
        ("[]", (None, None)),
    ],
)
def test_alphas_that_only_the_metadata_tells_count(settings, alphas):
    place = "unet.mid_block.attentions.0.transformer_blocks.0.attn1"
    arrays = {f"{place}.{name}.lora_A.weight": np.ones((4, 6), np.float32) for name in ("to_q", "to_k")}
    found = modules_of(Weights.from_arrays(arrays, {lora.SETTINGS: settings}))
    told = [each["alpha"].load() if "alpha" in each else None for each in found.values()]
    assert tuple(told) == alphas


@pytest.mark.parametrize("settings", ["{", "[" * 100_000])
def test_broken_settings_are_refused(settings):
    weights = Weights.from_arrays({"unet.conv_in.lora_A.weight": np.ones((4, 6))}, {lora.SETTINGS: settings})
    with pytest.raises(MalformedFileError, match="broken lora_adapter_metadata"):
        modules_of(weights)


@pytest.mark.parametrize("arguments", ["None", "[" * 100_000, "[]"])
def test_arguments_that_are_no_table_are_forgotten(arguments):
    tensors = {"a.lora_down.weight": np.ones((2, 3)), "a.alpha": np.ones(())}
    assert lora.told_sizes(tensors, {"ss_network_args": arguments}) == {
        "ss_network_dim": "2", "ss_network_alpha": "1.0",
    }  # fmt: skip


@pytest.mark.parametrize(("naming", "part"), [("kohya", "lora_down.weight"), ("peft", "dora_scale")])
def test_numbers_in_place_of_matrices_are_refused(naming, part):
    module = "lora_unet_mid_block_attentions_0_proj_in"
    parts = {"lora_down.weight": np.ones((2, 3)), "lora_up.weight": np.ones((3, 2)), part: np.ones(())}
    weights = Weights.from_arrays({f"{module}.{name}": each for name, each in parts.items()})
    with pytest.raises(MalformedFileError, match=module):
        in_naming(weights, naming, SD1)
