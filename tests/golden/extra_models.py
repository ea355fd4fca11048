"""The embeddings and hypernetworks of the golden pictures, made anew: A1111 tells embeddings' hashes, so every byte is.

Torch files are written opcode by opcode: pickles of different versions of Python and torch differ.
"""

import json
import struct
import zipfile
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np

from tests.golden.models import _gauss

WIDTH = 128
ONE_VECTOR, TWO_VECTORS, THREE_VECTORS = "goldone", "goldst", "goldti"
HYPERNETWORKS = {
    "hyp121": {
        "widths": (128, 32, 64), "layer_structure": [1, 2, 1], "activation_func": "relu", "is_layer_norm": False,
        "activate_output": False, "use_dropout": False, "dropout_structure": None, "last_layer_dropout": True,
    },
    "hyp1221": {
        "widths": (128,), "layer_structure": [1, 2, 2, 1], "activation_func": "mish", "is_layer_norm": True,
        "activate_output": True, "use_dropout": True, "dropout_structure": [0, 0.3, 0.3, 0],
        "last_layer_dropout": False,
    },
}  # fmt: skip


def make_extras(folder: Path) -> None:
    """Write them where A1111 has them, if they are not there yet."""
    embeddings, hypernetworks = folder / "embeddings", folder / "models" / "hypernetworks"
    if embeddings.exists() and hypernetworks.exists():
        return
    embeddings.mkdir(parents=True, exist_ok=True)
    hypernetworks.mkdir(parents=True, exist_ok=True)
    for name, count in ((THREE_VECTORS, 3), (ONE_VECTOR, 1)):
        (embeddings / f"{name}.pt").write_bytes(torch_zip(_embedding(name, count)))
    (embeddings / f"{TWO_VECTORS}.safetensors").write_bytes(_safetensors("emb_params", _vectors(TWO_VECTORS, 2)))
    for name in HYPERNETWORKS:
        (hypernetworks / f"{name}.pt").write_bytes(torch_zip(_hypernetwork(name)))


def _vectors(name: str, count: int) -> np.ndarray:
    return _gauss(f"emb/{name}", (count, WIDTH), 0.3).astype(np.float32)


def _embedding(name: str, count: int) -> dict:
    return {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": _vectors(name, count)},
        "name": name,
        "step": 500,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
    }


def _hypernetwork(name: str) -> dict:
    facts = dict(HYPERNETWORKS[name])
    sides = {width: tuple(_side(name, width, side) for side in "kv") for width in facts.pop("widths")}
    return sides | {"step": 100, "name": name, "sd_checkpoint": None, "sd_checkpoint_name": None} | facts


def _side(name: str, width: int, side: str) -> dict[str, np.ndarray]:
    """Tensors by the numbers of their layers; what has none counts too."""
    facts, tensors, index = HYPERNETWORKS[name], {}, 0
    structure, dropouts = facts["layer_structure"], facts["dropout_structure"] or [0] * 9
    for layer, (inputs, outputs) in enumerate(pairwise(structure)):
        shape, key = (width * outputs, width * inputs), f"hyper/{name}/{width}{side}{layer}"
        tensors[f"linear.{index}.weight"] = _gauss(f"{key}w", shape, 0.6 / shape[1] ** 0.5)
        tensors[f"linear.{index}.bias"] = _gauss(f"{key}b", shape[:1], 0.05)
        index += 1 + (layer < len(structure) - 2 or facts["activate_output"])
        if facts["is_layer_norm"]:
            tensors[f"linear.{index}.weight"] = _gauss(f"{key}lw", shape[:1], 0.1, 0.5)
            tensors[f"linear.{index}.bias"] = _gauss(f"{key}lb", shape[:1], 0.05)
            index += 1
        index += dropouts[layer + 1] > 0
    return {name: value.astype(np.float32) for name, value in tensors.items()}


def _safetensors(name: str, array: np.ndarray) -> bytes:
    entry = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [0, array.nbytes]}
    head = json.dumps({name: entry}, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + array.tobytes()


def torch_zip(value: dict) -> bytes:
    """A torch file that holds a value with float32 arrays in it."""
    arrays: list[np.ndarray] = []
    pickle = b"\x80\x02" + _pickled(value, arrays) + b"."
    members = {"data.pkl": pickle, "byteorder": b"little"}
    members |= {f"data/{number}": array.tobytes() for number, array in enumerate(arrays)} | {"version": b"3\n"}
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", (1980, 1, 1, 0, 0, 0)), content)
    return file.getvalue()


def _pickled(value: object, arrays: list[np.ndarray]) -> bytes:
    """A value's opcodes, without memo; arrays are put aside and numbered."""
    if isinstance(value, np.ndarray):
        return _pickled_tensor(value, arrays)
    if isinstance(value, bool) or value is None:
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return b"}(" + b"".join(_pickled(each, arrays) for pair in value.items() for each in pair) + b"u"
    begin, end = (b"(", b"t") if isinstance(value, tuple) else (b"](", b"e")
    return begin + b"".join(_pickled(each, arrays) for each in value) + end


def _pickled_tensor(array: np.ndarray, arrays: list[np.ndarray]) -> bytes:
    key = str(len(arrays))
    arrays.append(array)
    storage = _pickled("storage", arrays) + b"ctorch\nFloatStorage\n" + _pickled(key, arrays) + _pickled("cpu", arrays)
    strides = tuple(step // array.itemsize for step in array.strides)
    layout = b"".join(_pickled(each, arrays) for each in (0, array.shape, strides, False))
    call = b"ctorch._utils\n_rebuild_tensor_v2\n((" + storage + _pickled(array.size, arrays) + b"tQ" + layout
    return call + b"ccollections\nOrderedDict\n)RtR"
