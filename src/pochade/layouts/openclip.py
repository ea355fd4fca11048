"""Names of OpenCLIP's text encoder: original and diffusers."""

from collections.abc import Iterable

from pochade.layouts import resblocks
from pochade.layouts.packing import Names

_ROOT = "text_model"
_OUTER = {
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
}


def to_diffusers(names: Iterable[str]) -> Names:
    """Return the diffusers names of every original name that has some (both without the checkpoint's prefix).

    A packed projection has three: of queries, keys and values, in the order in which they lie.
    """
    return resblocks.to_diffusers(names, _ROOT, _OUTER)


def to_original(names: Iterable[str]) -> Names:
    """Return the original names of which all diffusers names are there, each with these."""
    return resblocks.to_original(names, _ROOT, _OUTER)
