"""The index of a large library: the first time, again, and what is read of files of true size.

    python benchmarks/library.py [--files 10000] [--large 40] [--folder DIR]

The files of the library have the names and shapes of real ones, with short sides of 24 lengths, and the sidecars that
people have beside them. Those of true size are full of zeros that take no room on the disk. What is read of a file is
counted by the pages of it that lie in the file cache afterwards: the system reads ahead, more than what was asked for.
"""

import argparse
import ctypes
import gzip
import json
import mmap
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from report import report

_NAMES = Path(__file__).parents[1] / "tests" / "manifests"
_SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1}
_MIXTURE = (  # of a large collection: in what folder, with what tensors, how many of a hundred
    ("models/Lora", "lora-kohya-sd15-r8", 42),
    ("models/Lora", "lora-kohya-sdxl-r8", 20),
    ("models/Lora", "locon-kohya-sd15-r8c4", 5),
    ("models/Lora", "lyco-loha-sd15", 2),
    ("models/Lora", "lyco-lokr-sd15", 2),
    ("embeddings", "", 15),
    ("models/Stable-diffusion", "sd15.ldm", 4),
    ("models/Stable-diffusion", "sdxl-base.ldm", 3),
    ("models/VAE", "vae-kl-f8.ldm", 4),
    ("models/ControlNet", "controlnet-sd15.ldm", 3),
)
_LEAST_SIDE, _SIDES = 4, 24  # of the tensors, as LoRAs have some usual ranks
_LARGE = ("sd15.ldm", "sdxl-base.ldm")
_PAGE = mmap.PAGESIZE
_AROUND = 1 << 16  # bytes that the system maps around one that is looked at
_PROMPTS = ("a photo of word12", "thing1, lora", "<lora:lora-kohya-sdxl-r8123")


def header_of(name: str, most: int | None, metadata: dict[str, str]) -> tuple[bytes, int]:
    """The header of a safetensors file with the tensors of a real one, no side longer than `most`; and its bytes."""
    tensors = tensors_of(name)
    table: dict[str, Any] = {"__metadata__": metadata}
    position = 0
    for key, (dtype, full) in sorted(tensors.items(), key=lambda item: (item[1][0] != "I64", item[0])):
        shape = [min(side, most or side) for side in full]
        dtype = dtype if dtype in ("I64", "I32") else "F16"
        end = position + prod(shape) * _SIZES[dtype]
        table[key] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(table, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text, 8 + len(text) + position


def tensors_of(name: str) -> dict[str, Any]:
    """The recorded tensors of a file; without a name those of an embedding."""
    if not name:
        return {"emb_params": ("F32", [8, 768])}
    found: dict[str, Any] = json.loads(gzip.decompress((_NAMES / f"{name}.json.gz").read_bytes()))["tensors"]
    return found


def written(path: Path, name: str, most: int | None, metadata: dict[str, str]) -> int:
    """Write a file whose numbers are holes; return the bytes of its header."""
    header, size = header_of(name, most, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    return len(header)


def collection(root: Path, count: int) -> None:
    """Write a library of so many files; those with the tensors of one kind have some different sizes."""
    chance = random.Random(1)
    for folder, name, share in _MIXTURE:
        headers = [header_of(name, _LEAST_SIDE + each, {"format": "pt"}) for each in range(_SIDES)]
        for number in range(count * share // 100):
            path = root / folder / f"part {number % 40}" / f"{name or 'word'}{number}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            header, size = headers[number % _SIDES]
            with path.open("wb") as file:
                file.write(header)
                file.truncate(size)
            if chance.random() < 0.6:
                notes = {"activation text": f"thing{number}, {name}", "sd version": "SDXL", "preferred weight": 0.8}
                path.with_suffix(".json").write_text(json.dumps(notes))
                path.with_suffix(".preview.png").write_bytes(b"\x89PNG\r\n")


def cached(path: Path) -> int:
    """How many bytes of a file lie in the file cache."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as view:
        pages = (ctypes.c_ubyte * -(-len(view) // _PAGE))()
        place = ctypes.addressof(ctypes.c_char.from_buffer(view))
        if ctypes.CDLL(None, use_errno=True).mincore(ctypes.c_void_p(place), ctypes.c_size_t(len(view)), pages):
            raise OSError(ctypes.get_errno(), "mincore")
        return sum(page & 1 for page in bytes(pages)) * _PAGE


def reading_ahead() -> int:
    """How many bytes the system reads at once when one is asked for, as the disk with the most does it."""
    found = Path("/sys/block").glob("*/queue/read_ahead_kb")
    return max((int(path.read_text()) << 10 for path in found), default=1 << 17)


def large(root: Path, count: int) -> dict[Path, int]:
    """Write files of true size and let them go from the file cache; return the bytes of their headers."""
    headers: dict[Path, int] = {}
    for number in range(count):
        path = root / "models/Stable-diffusion" / f"large{number}.safetensors"
        headers[path] = written(path, _LARGE[number % len(_LARGE)], None, {"format": "pt"})
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    return headers


def timed(words: list[str]) -> dict[str, float]:
    """Seconds of one process and those that it starts: on the clock, and of all processors together."""
    before, start = _processors(), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return {"seconds": time.perf_counter() - start, "cpu_s": _processors() - before}


def _processors() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def look(root: Path) -> list[str]:
    """The words that bring the index of a folder up to date."""
    code = "import sys; from pochade.operations.catalogue import Library; Library.of(sys.argv[1:]).refresh()"
    return ["-c", code, str(root)]


def completing(root: Path) -> tuple[float, float]:
    """Seconds to sort the choices of a library, and of the slowest completion while prompts are typed."""
    from pochade.library.completion import Completer
    from pochade.operations.catalogue import Library

    entries = Library.of([root]).entries()
    start = time.perf_counter()
    completer = Completer.of(entries)
    sorting = time.perf_counter() - start
    texts = [prompt[:end] for prompt in _PROMPTS for end in range(1, len(prompt) + 1)]
    return sorting, max(_seconds_of(completer, text) for text in texts)


def _seconds_of(completer: Any, text: str) -> float:
    start = time.perf_counter()
    completer.completions(text)
    return time.perf_counter() - start


def rows_of(folder: Path, count: int, large_count: int) -> Iterator[dict[str, Any]]:
    """Measure a library and files of true size."""
    root, large_root = folder / "library", folder / "large"
    collection(root, count)
    yield {"case": "first"} | timed(look(root))
    yield {"case": "again"} | min((timed(look(root)) for _ in range(5)), key=lambda each: each["seconds"])
    headers = large(large_root, large_count)
    yield {"case": "true size"} | timed(look(large_root))
    beyond = max(cached(path) - header for path, header in headers.items())
    spare = reading_ahead() + _AROUND
    print(f"at most {beyond} bytes beyond a header were read; by itself, the system reads up to {spare}")
    if beyond > spare:
        raise SystemExit("more than headers was read")
    sorting, slowest = completing(root)
    yield {"case": "completions made ready", "seconds": sorting, "cpu_s": sorting}
    yield {"case": "slowest completion", "seconds": slowest, "cpu_s": slowest}


def main() -> None:
    """Write the files, measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=40)
    parser.add_argument("--folder", type=Path, help="where to put the files; the system's temporary folder if not")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder, "cache"))  # an index of its own
        rows = list(rows_of(Path(folder), options.files, options.large))
    report("library", rows, files=options.files, large=options.large)


if __name__ == "__main__":
    main()
