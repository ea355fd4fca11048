"""A Request becomes events, and the events carry Pictures.

Names are resolved on first use: a Request or the text inside a picture can be read without torch.
"""

from importlib import import_module

_HOMES = {
    "Request": "pochade.generation.request",
    "Picture": "pochade.generation.picture",
    "Pipeline": "pochade.generation.pipeline",
}

__all__ = ["Picture", "Pipeline", "Request"]


def __getattr__(name: str) -> object:
    """Resolve a public name from its home module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pochade.generation' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
