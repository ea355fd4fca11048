"""Checkpoints as diffusers lays them out: names as its own converter gives, networks as its own classes build them."""

import json
from functools import partial

import numpy as np
import pytest
import torch
import transformers
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

from pochade import families, files
from pochade.errors import MalformedFileError
from pochade.files import LazyArray, TensorInfo, Weights
from pochade.files.folders import INDEX
from pochade.kinds.diffusers import as_folder, open_model

from ..families.manifests import manifest, narrow, shapes, without

WHOLE = (
    "sd15", "nai", "sd15-inpainting", "ip2p", "sd2-base", "sd2-v", "sd2-inpainting", "sd2-depth", "unclip-h",
    "unclip-l", "x4-upscaler", "sdxl-base", "sdxl-inpainting", "sdxl-refiner",
)  # fmt: skip
BUILD = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "controlnet": ControlNetModel,
    "image_normalizer": StableUnCLIPImageNormalizer,
}
# what diffusers' own converter has no rules for, with facts that its published folders state
IMAGE_PARTS = {
    "image_encoder": {"image_size": 224, "patch_size": 14, "num_attention_heads": 16},
    "image_normalizer": {},
    "depth_estimator": {
        "image_size": 384, "patch_size": 16, "num_attention_heads": 12, "hidden_size": 768, "num_hidden_layers": 12,
        "backbone_out_indices": [2, 5, 8, 11], "neck_hidden_sizes": [256, 512, 768, 768], "fusion_hidden_size": 256,
        "backbone_featmap_shape": [1, 1024, 24, 24],
    },
}  # fmt: skip


def hollow(tensors, metadata=None):
    """Weights of true shape that hold no numbers."""
    info = {name: TensorInfo("F32", tuple(shape)) for name, shape in tensors.items()}
    arrays = {name: LazyArray(each, partial(np.zeros, each.shape, np.float32)) for name, each in info.items()}
    return Weights(arrays, metadata)


def built(part, config):
    """Names and shapes of the network that diffusers or transformers makes of a description."""
    with torch.device("meta"):
        if part in BUILD:
            network = BUILD[part].from_config({k: v for k, v in config.items() if not k.startswith("_")})
        else:
            (kind,) = config["architectures"]
            network = getattr(transformers, kind)(transformers.AutoConfig.for_model(**config))
    # from 5.6 on, transformers leaves text_model. out of the plain encoder's names
    bare = part.startswith("text_encoder")
    return {
        name if not bare or name.startswith("text_") else f"text_model.{name}": tuple(each.shape)
        for name, each in network.state_dict().items()
        if not name.endswith("position_ids")
    }


@pytest.mark.parametrize("family", [*WHOLE, "controlnet-sd15", "controlnet-sd21"])
def test_names_and_shapes_are_those_of_diffusers_converter(family):
    folder = as_folder(hollow(shapes(f"{family}.ldm")), "epsilon")
    wanted = manifest(f"{family}.diffusers")["components"]
    for part, tensors in wanted.items():
        expected = {name: tuple(shape) for name, (_, shape, _) in tensors.items() if not name.endswith("position_ids")}
        assert folder.parts[part].shapes() == expected
    assert folder.parts.keys() - IMAGE_PARTS.keys() == wanted.keys()


@pytest.mark.parametrize("family", [*WHOLE, "controlnet-sd15", "controlnet-sd21"])
def test_diffusers_builds_the_same_networks_from_the_descriptions(family):
    folder = as_folder(hollow(shapes(f"{family}.ldm")), "epsilon")
    for part, weights in folder.parts.items():
        assert built(part, folder.descriptions[part]) == weights.shapes()


@pytest.mark.parametrize("family", WHOLE)
def test_descriptions_agree_with_the_published_ones(family):
    folder = as_folder(
        hollow(shapes(f"{family}.ldm")), "v" if family in {"sd2-v", "unclip-h", "unclip-l"} else "epsilon"
    )
    for part, published in manifest(f"{family}.diffusers")["configs"].items():
        ours = folder.descriptions[part]
        told = {name: value for name, value in published.items() if name in ours and name not in _FREE}
        assert {name: ours[name] for name in told} == told


@pytest.mark.parametrize(
    ("family", "parts"),
    [
        ("sd2-depth", {"depth_estimator"}),
        ("unclip-h", {"image_encoder", "image_normalizer"}),
        ("unclip-l", {"image_encoder", "image_normalizer"}),
        ("sd2-v", set()),
    ],
)
def test_networks_for_pictures_are_described_as_published(family, parts):
    folder = as_folder(hollow(shapes(f"{family}.ldm")), "v")
    index = folder.descriptions[INDEX]
    assert folder.parts.keys() & IMAGE_PARTS.keys() == parts
    for part in parts:
        told = folder.descriptions[part]
        assert {name: told[name] for name in IMAGE_PARTS[part]} == IMAGE_PARTS[part]
        assert index[part][1] == told.get("_class_name", told.get("architectures", [""])[0])
    sizes = {"sd2-depth": {"height": 384, "width": 384}, "sd2-v": None}
    extractor = folder.descriptions.get("feature_extractor", {})
    assert extractor.get("size") == sizes.get(family, {"shortest_edge": 224})
    assert index["feature_extractor"] == [
        *(["transformers"] if parts else [None]),
        extractor.get("image_processor_type"),
    ]


def test_each_unclip_s_image_encoder_has_its_own_activation_and_statistics():
    told = {family: as_folder(hollow(shapes(f"{family}.ldm")), "v") for family in ("unclip-h", "unclip-l")}
    encoders = {family: folder.descriptions["image_encoder"] for family, folder in told.items()}
    assert [each["hidden_act"] for each in encoders.values()] == ["gelu", "quick_gelu"]
    assert [each["projection_dim"] for each in encoders.values()] == [1024, 768]
    assert [folder.lacks_statistics for folder in told.values()] == [False, True]


def test_what_takes_no_part_in_pictures_is_kept_apart():
    kept = set(as_folder(hollow(shapes("sd2-depth.ldm")), None).unplaced)
    assert {name for name in kept if name.startswith("depth_model.")} == {
        "depth_model.model.pretrained.model.head.weight", "depth_model.model.pretrained.model.head.bias",
    }  # fmt: skip
    kept = set(as_folder(hollow(shapes("unclip-l.ldm")), None).unplaced)
    assert not any(name.startswith("embedder.model.visual.") for name in kept)
    assert {"embedder.model.ln_final.bias", "noise_augmentor.betas"} <= kept


_FREE = {
    "projection_dim",  # of no meaning where nothing is projected
    "transformer_layers_per_block",  # levels without transformers may say anything
    "only_cross_attention",
    "sample_size",  # only the size when nobody asks for one
}


def test_scheduler_and_index_tell_what_the_tensors_do_not():
    weights = hollow(shapes("sd2-v.ldm") | {"ztsnr": ()})
    told = as_folder(weights, "v").descriptions
    assert told["scheduler"]["prediction_type"] == "v_prediction"
    assert told["scheduler"]["rescale_betas_zero_snr"] is True
    assert told[INDEX]["text_encoder"] == ["transformers", "CLIPTextModel"]
    assert told["unet"]["sample_size"] == 96
    assert (
        as_folder(hollow(shapes("sd2-base.ldm"), {"modelspec.prediction_type": "epsilon"}), "epsilon").descriptions[
            "unet"
        ]["sample_size"]
        == 64
    )


def test_what_has_no_place_is_kept_apart():
    folder = as_folder(hollow(shapes("sd2-v.ldm")), "v")
    kept = set(folder.unplaced)
    assert "cond_stage_model.model.text_projection" in kept
    assert "cond_stage_model.model.transformer.resblocks.23.ln_1.weight" in kept
    assert not any(name.startswith(("model.diffusion_model.", "first_stage_model.encoder")) for name in kept)


def test_a_part_that_is_missing_is_null_in_the_index():
    folder = as_folder(hollow(without(shapes("sd15.ldm"), "first_stage_model.")), "epsilon")
    assert folder.descriptions[INDEX]["vae"] == [None, None]
    assert "vae" not in folder.parts


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"weight": (3, 3)}, "no checkpoint of a known family"),
        ({"emb_params": (2, 768)}, "no checkpoint of a known family"),
        (without(shapes("sd15.ldm"), "model.diffusion_model.out.2."), "lacks 'conv_out.weight'"),
        (without(shapes("sd2-v.ldm"), "model.diffusion_model.input_blocks.3."), "unet of which blocks are missing"),
        (without(shapes("unclip-h.ldm"), "embedder.model.visual.proj"), "lacks 'visual_projection.weight'"),
        (
            without(shapes("sd2-depth.ldm"), "depth_model.model.pretrained.model.cls"),
            "lacks 'dpt.embeddings.cls_token'",
        ),
    ],
)
def test_what_is_no_whole_model_is_refused(tensors, words):
    with pytest.raises(MalformedFileError, match=words):
        as_folder(hollow(tensors), "epsilon")


def test_a_folder_without_a_unet_is_refused(tmp_path):
    (tmp_path / "vae").mkdir()
    (tmp_path / INDEX).write_text(json.dumps({"vae": ["diffusers", "AutoencoderKL"]}))
    files.save(tmp_path / "vae" / "model.safetensors", {"encoder.conv_in.weight": np.zeros((1, 1, 1, 1), np.float32)})
    with pytest.raises(MalformedFileError, match="no UNet of a known family"):
        open_model(tmp_path)


@pytest.mark.parametrize("name", ["vae-kl-f8", "controlnet-sd15"])
def test_a_network_in_diffusers_names_is_opened_in_the_original_s(name, tmp_path):
    (tensors,) = manifest(f"{name}.diffusers")["components"].values()
    small = narrow({key: tuple(value[1]) for key, value in tensors.items()}, 2)
    path = files.save(tmp_path / "x.safetensors", {key: np.zeros(shape, np.float32) for key, shape in small.items()})
    assert set(open_model(path)) == set(shapes(f"{name}.ldm"))


@pytest.mark.parametrize(
    ("family", "name", "shape"),
    [
        ("sd15", "token_embedding.weight", (5,)),
        ("sd2-v", "in_proj_weight", ()),
        ("sd2-v", "in_proj_bias", (1000,)),
        ("unclip-h", "visual.conv1.weight", (5,)),
        ("unclip-l", "visual.positional_embedding", (0, 4)),
        ("sd2-depth", "pos_embed", ()),
        ("sd2-depth", "attn.qkv.bias", (5,)),
    ],
)
def test_shapes_that_no_network_has_are_refused(family, name, shape):
    tensors = {each: shape if each.endswith(name) else its for each, its in shapes(f"{family}.ldm").items()}
    with pytest.raises(MalformedFileError, match="cannot be described"):
        as_folder(hollow(tensors), None)


def test_a_vae_without_levels_is_refused():
    tensors = without(shapes("sd15.ldm"), "first_stage_model.encoder.down.")
    with pytest.raises(MalformedFileError, match="cannot be described"):
        as_folder(hollow(tensors), None)


def test_a_text_encoder_where_sdxl_has_it_is_put_where_its_unet_s_family_has_it(tmp_path):
    start, place = "cond_stage_model.model.", "conditioner.embedders.0.model."
    tensors = narrow(shapes("sd2-base.ldm"), 2)
    moved = {place + name.removeprefix(start) if name.startswith(start) else name: tensors[name] for name in tensors}
    path = files.save(tmp_path / "a.safetensors", {name: np.zeros(moved[name], np.float16) for name in moved})
    found = open_model(path)
    assert set(found) == set(tensors)
    assert families.recognise(found.shapes()) is families.SD2
