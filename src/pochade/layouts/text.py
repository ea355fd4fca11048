"""Names of the CLIP-L text encoder. The original and diffusers agree, but some files leave out `text_model.`."""

from collections.abc import Iterable

_OUTER = "text_model."
_PARTS = ("embeddings.", "encoder.", "final_layer_norm.")


def to_diffusers(names: Iterable[str]) -> dict[str, str]:
    """Return the full name of every name (without the checkpoint's prefix).

    NovelAI's files and folders of transformers 5.6 and later leave `text_model.` out; it is put back.
    """
    return {name: _OUTER + name if is_bare(name) else name for name in names}


to_original = to_diffusers


def bare(name: str) -> str:
    """Return a name as NovelAI's files have it."""
    return name.removeprefix(_OUTER)


def is_bare(name: str) -> bool:
    """Tell whether a name leaves `text_model.` out."""
    return name.startswith(_PARTS)
