"""Names and shapes of real files, from the recorded key lists."""

import gzip
import json
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "manifests"


def manifest(name):
    return json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))


def shapes(name):
    return {key: tuple(shape) for key, (_, shape) in manifest(name)["tensors"].items()}


def part(tensors, prefix):
    return {name.removeprefix(prefix): shape for name, shape in tensors.items() if name.startswith(prefix)}


def without(tensors, *prefixes):
    return {name: shape for name, shape in tensors.items() if not name.startswith(prefixes)}


def narrow(tensors, most=9):
    """The same names and ranks with small sizes."""
    return {name: tuple(min(size, most) for size in shape) for name, shape in tensors.items()}
