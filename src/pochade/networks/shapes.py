"""Tensor shapes by name: the one description from which every network is built.

A checkpoint and a network to be trained from nothing are described alike, by `{name: shape}`; a network's constructor
asks which names exist and how wide they are. So true SD 1.5 and a reduced-width model go through the same code.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Mapping[str, Shape]


def within(shapes: Shapes, prefix: str) -> dict[str, Shape]:
    """The entries below `prefix`, with the prefix taken off."""
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def children(shapes: Shapes) -> list[str]:
    """First name components, numbers in numeric order: {'0.a', '10.a', '2.b'} gives ['0', '2', '10']."""
    firsts = dict.fromkeys(name.split(".", 1)[0] for name in shapes)
    return sorted(firsts, key=lambda first: (not first.isdigit(), int(first) if first.isdigit() else 0, first))


def linear(name: str, inputs: int, outputs: int, bias: bool = True) -> dict[str, Shape]:
    """Shapes of a linear layer."""
    return {f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {})


def conv(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, Shape]:
    """Shapes of a square convolution."""
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> dict[str, Shape]:
    """Shapes of a group or layer norm."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def joined(parts: Iterable[Shapes], prefix: str = "") -> dict[str, Shape]:
    """All parts in one mapping, below `prefix`."""
    return {prefix + name: shape for part in parts for name, shape in part.items()}
