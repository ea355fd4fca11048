"""Mutate model files of every container and open, load and scan each: run as a program, so that memory can be limited.

    python fuzzing.py COUNT SEED

Whatever is not read must be explained by an error of Pochade's own; anything else ends the program.
"""

import io
import random
import resource
import sys
import tarfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from pochade import files
from pochade.errors import PochadeError

MOST_MORE_BYTES = 200_000_000
MOST_SECONDS = 5.0
_SPLICE = 64
_ODD = (b"\x00", b"\xff", b"\x80", b"\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff" * 8, b"\x00" * 8)


def originals(folder: Path) -> list[bytes]:
    """One small file of every container."""
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
    wrapped = {"state_dict": tensors, "epoch": 3, "callbacks": {"x": [1, (2, None)]}}
    files.save(
        folder / "a.safetensors", {"a": np.arange(6, dtype=np.float16), "b": np.ones((2, 2), np.int64)}, {"k": "v"}
    )
    torch.save(wrapped, folder / "zip.ckpt")
    torch.save(wrapped, folder / "legacy.ckpt", _use_new_zipfile_serialization=False)
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    found = [path.read_bytes() for path in sorted(folder.iterdir())] + [picture.getvalue(), _tar(tensors["a.weight"])]
    for path in list(folder.iterdir()):
        path.unlink()
    return found


def _tar(tensor: torch.Tensor) -> bytes:
    """A tar as torch 0.1 wrote them; the numbers in it do not matter, what surrounds them does."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            content = io.BytesIO()
            torch.save({name: tensor}, content, _use_new_zipfile_serialization=False)
            member = tarfile.TarInfo(name)
            member.size = len(content.getvalue())
            archive.addfile(member, io.BytesIO(content.getvalue()))
    return packed.getvalue()


def mutated(rng: random.Random, originals: list[bytes]) -> bytes:
    """One to six changes: other bytes, odd numbers, cuts, repeats, pieces of other files."""
    data = bytearray(rng.choice(originals))
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and place < len(data):
            data[place] = rng.randrange(256)
        elif kind == 1:
            odd = rng.choice(_ODD)
            data[place : place + len(odd)] = odd
        elif kind == 2:
            del data[place : place + rng.randint(1, _SPLICE)]
        elif kind == 3:
            data[place:place] = data[place : place + rng.randint(1, _SPLICE)]
        elif kind == 4:
            other = rng.choice(originals)
            start = rng.randrange(len(other))
            data[place : place + _SPLICE] = other[start : start + rng.randint(1, _SPLICE)]
        else:
            del data[rng.randrange(len(data) + 1) :]
    return bytes(data)


def read(path: Path) -> None:
    """Open and load all, and scan; errors of Pochade's own are answers."""
    try:
        weights = files.open(path)
        for name in weights:
            weights[name].sum(dtype=np.complex128)
    except PochadeError:
        pass
    list(files.scan(path))


def main() -> None:
    """Mutate and read, within limited memory and time."""
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    with TemporaryDirectory() as name:
        path = Path(name, "x.ckpt")
        sources = originals(Path(name))
        read_at_start = Path("/proc/self/statm").read_text().split()[0]
        room = int(read_at_start) * resource.getpagesize() + MOST_MORE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        for number in range(count):
            path.write_bytes(mutated(rng, sources))
            begin = time.monotonic()
            read(path)
            if time.monotonic() - begin > MOST_SECONDS:
                sys.exit(f"mutation {number} of seed {seed} took {time.monotonic() - begin:.1f} s")
    print(count)


if __name__ == "__main__":
    main()
