"""Names of CLIP's image encoder: original (OpenCLIP's and OpenAI's alike) and diffusers."""

from collections.abc import Iterable

from pochade.layouts import resblocks
from pochade.layouts.packing import Names

_ROOT = "vision_model"
_OUTER = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "ln_pre.weight": "vision_model.pre_layrnorm.weight",  # spelled so
    "ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "ln_post.weight": "vision_model.post_layernorm.weight",
    "ln_post.bias": "vision_model.post_layernorm.bias",
    "proj": "visual_projection.weight",
}


def to_diffusers(names: Iterable[str]) -> Names:
    """Return the diffusers names of every original name that has some (both without the checkpoint's prefix).

    A packed projection has three: of queries, keys and values, in the order in which they lie.
    """
    return resblocks.to_diffusers(names, _ROOT, _OUTER)


def to_original(names: Iterable[str]) -> Names:
    """Return the original names of which all diffusers names are there, each with these."""
    return resblocks.to_original(names, _ROOT, _OUTER)
