"""The descriptions of networks that look at a picture, and of what prepares pictures and embeddings for them."""

from collections.abc import Mapping
from math import gcd, isqrt

from pochade.families import Shapes, Variant
from pochade.files import Weights
from pochade.files.folders import INDEX
from pochade.kinds.components import UNET
from pochade.kinds.descriptions import GROUPS, HEAD_WIDTH, VERSION, Table, count
from pochade.kinds.image_parts import ENCODER, ESTIMATOR, NORMALIZER, image_part_of

EXTRACTOR = "feature_extractor"
_NOISER = "image_noising_scheduler"
_PLACES: dict[str, Table] = {
    ENCODER.folder: {
        ENCODER.folder: ["transformers", "CLIPVisionModelWithProjection"],
        NORMALIZER: ["stable_diffusion", "StableUnCLIPImageNormalizer"],
        _NOISER: ["diffusers", "DDPMScheduler"],
        EXTRACTOR: ["transformers", "CLIPImageProcessor"],
    },
    ESTIMATOR.folder: {
        ESTIMATOR.folder: ["transformers", "DPTForDepthEstimation"],
        EXTRACTOR: ["transformers", "DPTImageProcessor"],
    },
}
"""By network, which other parts of a folder go with it, and the library and class of each."""
_UNKNOWN_THERE = "safety_checker"
_QUICK = "quick_gelu"
_CLIP_HEADS = 16  # in ViT-L/14 and ViT-H/14 alike
_CLIP_MEAN, _CLIP_SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_RESNET = "dpt.embeddings.backbone.bit"
_PIXELS = 16  # of the picture, to one token of the depth network
_CUBIC = 3  # as Pillow counts its filters


def with_image_parts(
    described: dict[str, Table], parts: Mapping[str, Weights], branch: Variant | None
) -> dict[str, Table]:
    """Return the descriptions with those of a branch's network for pictures and all that goes with it, which have their
    places in the index: null where the checkpoint has not the network.
    """
    image = image_part_of(branch)
    if image is None or INDEX not in described:
        return described
    shapes = {part: weights.shapes() for part, weights in parts.items()}
    tables = _of_encoder(shapes, described[UNET]["cross_attention_dim"]) if image is ENCODER else _of_estimator(shapes)
    places = {part: place if part in tables else [None, None] for part, place in _PLACES[image.folder].items()}
    index = {name: place for name, place in described[INDEX].items() if name != _UNKNOWN_THERE}
    return described | tables | {INDEX: index | places}


def embedding_width(shapes: Shapes) -> int:
    """Return how wide the embeddings are that an image encoder makes."""
    return shapes["visual_projection.weight"][0]


def needs_statistics(described: Mapping[str, Table]) -> bool:
    """Tell whether a model measures embeddings by mean and spread: those do that have OpenAI's image encoder."""
    return described.get(ENCODER.folder, {}).get("hidden_act") == _QUICK


def _of_encoder(parts: Mapping[str, Shapes], context_width: int) -> dict[str, Table]:
    """Describe an image encoder, how pictures are prepared for it, and what becomes of its embeddings."""
    tables: dict[str, Table] = {_NOISER: _noiser()}
    if NORMALIZER in parts:
        width = parts[NORMALIZER]["mean"][-1]
        tables[NORMALIZER] = {
            "_class_name": "StableUnCLIPImageNormalizer",
            "_diffusers_version": VERSION,
            "embedding_dim": width,
        }
    if ENCODER.folder in parts:
        tables[ENCODER.folder] = encoder = _encoder(parts[ENCODER.folder], context_width)
        side = encoder["image_size"]
        size = {"crop_size": {"height": side, "width": side}, "size": {"shortest_edge": side}, "do_center_crop": True}
        tables[EXTRACTOR] = _extractor("CLIPImageProcessor", _CLIP_MEAN, _CLIP_SPREAD) | size
    return tables


def _encoder(shapes: Shapes, context_width: int) -> Table:
    """Describe CLIP's image encoder. One whose embeddings are as wide as what the UNet reads goes with the text encoder
    and is OpenCLIP's; another is OpenAI's.
    """
    embeddings = "vision_model.embeddings"
    width, channels, patch, _ = shapes[f"{embeddings}.patch_embedding.weight"]
    projected = embedding_width(shapes)
    return {
        "architectures": ["CLIPVisionModelWithProjection"],
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "intermediate_size": shapes["vision_model.encoder.layers.0.mlp.fc1.weight"][0],
        "projection_dim": projected,
        "num_hidden_layers": count(shapes, "vision_model.encoder.layers.{}.layer_norm1.weight"),
        "num_attention_heads": _CLIP_HEADS,
        "num_channels": channels,
        "image_size": patch * isqrt(shapes[f"{embeddings}.position_embedding.weight"][0] - 1),
        "patch_size": patch,
        "hidden_act": "gelu" if projected == context_width else _QUICK,
        "layer_norm_eps": 1e-05,
    }


def _noiser() -> Table:
    return {
        "_class_name": "DDPMScheduler",
        "_diffusers_version": VERSION,
        "num_train_timesteps": 1000,
        "beta_schedule": "squaredcos_cap_v2",
    }


def _extractor(name: str, mean: tuple[float, ...], spread: tuple[float, ...]) -> Table:
    """Describe how pictures are prepared, but for their size."""
    return {
        "image_processor_type": name,
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": _CUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(mean),
        "image_std": list(spread),
    }


def _of_estimator(parts: Mapping[str, Shapes]) -> dict[str, Table]:
    """Describe a depth estimator, and how pictures are prepared for it: all in one size, whatever their proportions,
    since transformers' takes no other.
    """
    if ESTIMATOR.folder not in parts:
        return {}
    estimator = _estimator(parts[ESTIMATOR.folder])
    side = estimator["image_size"]
    extractor = _extractor("DPTImageProcessor", (0.5,) * 3, (0.5,) * 3)
    size = {"size": {"height": side, "width": side}, "keep_aspect_ratio": False}
    return {ESTIMATOR.folder: estimator, EXTRACTOR: extractor | size}


def _estimator(shapes: Shapes) -> Table:
    """Describe MiDaS's hybrid: a ResNet, a ViT of which four depths are read, the first two in name alone, and what
    joins their levels.
    """
    width = shapes["dpt.embeddings.cls_token"][-1]
    layers = count(shapes, "dpt.encoder.layer.{}.layernorm_before.weight")
    grid = isqrt(shapes["dpt.embeddings.position_embeddings"][1] - 1)
    resnet = _resnet(shapes)
    return {
        "architectures": ["DPTForDepthEstimation"],
        "model_type": "dpt",
        "is_hybrid": True,
        "backbone_config": resnet,
        "backbone_featmap_shape": [1, resnet["hidden_sizes"][-1], grid, grid],
        "backbone_out_indices": [layers * quarter // 4 - 1 for quarter in (1, 2, 3, 4)],
        "hidden_size": width,
        "intermediate_size": shapes["dpt.encoder.layer.0.intermediate.dense.weight"][0],
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "num_channels": shapes[f"{_RESNET}.embedder.convolution.weight"][1],
        "image_size": _PIXELS * grid,
        "patch_size": _PIXELS,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-06,
        "qkv_bias": True,
        "readout_type": "project",
        "neck_ignore_stages": [0, 1],
        "neck_hidden_sizes": [shapes[f"neck.convs.{level}.weight"][1] for level in range(4)],
        "reassemble_factors": [1, 1, 1, 0.5],
        "fusion_hidden_size": shapes["neck.convs.0.weight"][0],
    }


def _resnet(shapes: Shapes) -> Table:
    stages = count(shapes, f"{_RESNET}.encoder.stages.{{}}.layers.0.conv3.weight")
    places = [f"{_RESNET}.encoder.stages.{stage}.layers" for stage in range(stages)]
    outer = [shapes[f"{place}.0.conv3.weight"][0] for place in places]
    inner = [shapes[f"{place}.0.conv1.weight"][0] for place in places]
    first = shapes[f"{_RESNET}.embedder.convolution.weight"][0]
    return {
        "model_type": "bit",
        "layer_type": "bottleneck",
        "global_padding": "same",
        "embedding_dynamic_padding": True,
        "embedding_size": first,
        "hidden_sizes": outer,
        "depths": [count(shapes, place + ".{}.conv3.weight") for place in places],
        "num_groups": gcd(GROUPS, first, *outer, *inner),
        "out_features": [f"stage{stage + 1}" for stage in range(stages)],
    }
