"""What a file is, told by names and shapes. The rules are in order; the first that holds decides."""

import re
from collections.abc import Callable

from pochade.kinds import controlnet, embedding, upscaler
from pochade.kinds.components import TEXT, TEXT_2, UNET, VAE, components
from pochade.kinds.lora import Shapes, algorithm

_CONTROL = ("zero_convs.0.0.weight", "controlnet_cond_embedding.conv_in.weight", "lora_controlnet")
_EMBEDDING = ("string_to_param.", "emb_params", "clip_l", "clip_g")
_HYPERNETWORK = re.compile(r"\d+\.[01]\.linear")
_UPSCALER = ("conv_first.weight", "body.0.rdb1.", "model.1.sub.")
_VECTOR_DIMENSIONS = 2


def _is_controlnet(shapes: Shapes) -> bool:
    return controlnet.is_adapter(shapes) or any(
        name.startswith("control_model.") or name in _CONTROL for name in shapes
    )


def _is_lora(shapes: Shapes) -> bool:
    return algorithm(shapes) is not None


def _is_hypernetwork(shapes: Shapes) -> bool:
    return any(_HYPERNETWORK.match(name) for name in shapes)


def _is_embedding(shapes: Shapes) -> bool:
    vectors = all(len(shape) <= _VECTOR_DIMENSIONS for shape in shapes.values())
    named = all(name.startswith(_EMBEDDING) or embedding.is_token(name) for name in shapes)
    return bool(shapes) and vectors and named


def _is_upscaler(shapes: Shapes) -> bool:
    return any(name.startswith(_UPSCALER) for name in shapes) or upscaler.is_compact(shapes)


def _holds(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: set(parts) <= set(components(shapes))


_RULES: tuple[tuple[str, Callable[[Shapes], bool]], ...] = (
    ("controlnet", _is_controlnet),
    ("lora", _is_lora),
    ("hypernetwork", _is_hypernetwork),
    ("embedding", _is_embedding),
    ("upscaler", _is_upscaler),
    ("checkpoint", _holds(UNET, VAE)),
    ("checkpoint", _holds(UNET, TEXT)),
    ("checkpoint", _holds(VAE, TEXT)),
    ("unet", _holds(UNET)),
    ("vae", _holds(VAE)),
    ("text-encoder", _holds(TEXT)),
    ("text-encoder", _holds(TEXT_2)),
)


def recognise(shapes: Shapes) -> str:
    """Return the kind of a file by its tensors' names and shapes."""
    return next((kind for kind, holds in _RULES if holds(shapes)), "unknown")
