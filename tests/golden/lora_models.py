"""The LoRAs of the golden pictures, made anew: A1111 tells the hash of their numbers, so every byte of these is."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from math import prod
from pathlib import Path

import numpy as np

from pochade import files
from pochade.families import SD1
from pochade.kinds.adapter import targets
from tests.golden.models import KINDS, _gauss, _sizes

Shape = tuple[int, ...]
Tensors = dict[str, np.ndarray]

_NEVER = re.compile(r"lora_unet_(?!down_|mid_|up_)|lora_te_(?!.*(?:_proj|_fc\d)$)")


@cache
def modules() -> dict[str, Shape]:
    """The shapes of the weights that the LoRAs of goldsd1 may change, by the names of modules."""
    sizes = _sizes(KINDS["goldsd1"])
    found = {module: sizes[place.name] for module, place in targets(sizes, SD1).items() if not _NEVER.match(module)}
    return {module: shape for module, shape in found.items() if len(shape) > 1}


def make_loras(folder: Path) -> None:
    """Write them where A1111 has them, if they are not there yet."""
    place = folder / "models" / "Lora"
    if not place.exists():
        place.mkdir(parents=True)
        for name, (wanted, make) in LORAS.items():
            tensors: Tensors = {}
            for module, shape in modules().items():
                if wanted(module):
                    tensors |= {f"{module}.{part}": each for part, each in make(name, module, shape)}
            files.save(place / f"{name}.safetensors", tensors, ALIASES.get(name))


def _text(module: str) -> bool:
    return module.startswith("lora_te_")


def _attention(module: str) -> bool:
    return "_attentions_" in module


def _plain(module: str) -> bool:
    return _text(module) or _attention(module)


def _scaled(module: str) -> bool:
    """The modules that (IA)^3 changes."""
    return module.endswith(("to_k", "to_v", "k_proj", "v_proj", "ff_net_2", "fc1")) and _plain(module)


def _low_rank(rank: int, alpha: float, spread: float) -> Callable[[str, str, Shape], Iterator[tuple[str, np.ndarray]]]:
    def make(name: str, module: str, shape: Shape) -> Iterator[tuple[str, np.ndarray]]:
        own = min(rank, *shape[:2])
        yield "alpha", np.asarray(alpha, np.float16)
        yield _part(name, module, "lora_down.weight", (own, *shape[1:]), prod(shape[1:]) ** -0.5)
        yield _part(name, module, "lora_up.weight", (shape[0], own, *[1] * (len(shape) - 2)), spread)

    return make


def _loha(name: str, module: str, shape: Shape) -> Iterator[tuple[str, np.ndarray]]:
    yield "alpha", np.asarray(2.0, np.float16)
    for half in "12":
        yield _part(name, module, f"hada_w{half}_b", (2, prod(shape[1:])), 0.3)
        yield _part(name, module, f"hada_w{half}_a", (shape[0], 2), 0.3)


def _ia3(name: str, module: str, shape: Shape) -> Iterator[tuple[str, np.ndarray]]:
    is_on_input = "ff_net" in module or "fc1" in module
    yield _part(name, module, "weight", (shape[1] if is_on_input else shape[0],), 0.3)
    yield "on_input", np.asarray(is_on_input)


def _glora(name: str, module: str, shape: Shape) -> Iterator[tuple[str, np.ndarray]]:
    """In the older form; where a weight is not square it does not fit, for A1111 neither."""
    rows, columns = shape
    yield "alpha", np.asarray(2.0, np.float16)
    for part, size in {"a1": (2, rows), "a2": (columns, 2), "b1": (2, columns), "b2": (rows, 2)}.items():
        yield _part(name, module, f"{part}.weight", size, 0.15)


def _part(name: str, module: str, part: str, shape: Shape, spread: float) -> tuple[str, np.ndarray]:
    return part, _gauss(f"lora/{name}/{module}.{part}", shape, spread).astype(np.float16)


LORAS = {
    "kohya_r4": (_plain, _low_rank(4, 2.0, 0.25)),
    "unet_only_r8": (_attention, _low_rank(8, 8.0, 0.15)),
    "te_only_r2": (_text, _low_rank(2, 2.0, 0.3)),
    "locon_r4": (lambda module: True, _low_rank(4, 4.0, 0.12)),
    "loha_r2": (_plain, _loha),
    "ia3": (_scaled, _ia3),
    "glora_r2": (lambda module: _text(module) or "_transformer_blocks_" in module, _glora),
}
ALIASES = {"kohya_r4": {"ss_output_name": "alias_of_r4"}}
