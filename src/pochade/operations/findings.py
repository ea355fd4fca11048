"""What is wrong with a file, told by its directory of tensors: what was found, why it matters and what mends it."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pochade.errors import FileError, MissingFileError, UnsafeFileError, shown
from pochade.files import LazyArray, Weights
from pochade.files.state_dict import leaves
from pochade.kinds import checkpoint
from pochade.kinds.components import TEXT, VAE
from pochade.operations.view import View

SHOWN = 5
"""How many of many are named."""

_LONGEST = 120  # letters of a name
_SUFFIXES = {"safetensors": {".safetensors"}, "ckpt": {".ckpt", ".pt", ".pth", ".bin"}}
_CUT = ("is cut", "is empty", "truncated")
_OVERLAPS = "overlaps"
_MOST_POSITIONS = 100_000
_TOLD_APART = (VAE, TEXT)


@dataclass(frozen=True)
class Problem:
    """A finding: its code, what was found, why it matters and what mends it."""

    code: str
    message: str
    why: str
    fix: str


def command(verb: str, path: Path, ending: str, *options: str) -> str:
    """Return a command line that makes a mended copy beside a file."""
    here = path if path.name else path.resolve()
    target = str(here.parent / f"{here.stem}{ending}.safetensors")
    places = [target] if verb == "convert" else ["-o", target]
    return shlex.join(["pochade", verb, str(path), *options, *places])


def listed(names: Sequence[str]) -> str:
    """Return the first of some tensors by their names, as messages have them."""
    return ", ".join(shown(name[:_LONGEST]) for name in names[:SHOWN])


def unreadable(path: Path, error: FileError) -> Problem:
    """Return what an error says of a file that cannot be opened."""
    text = str(error)
    if text.startswith(begin := f"{path}: "):  # a file inside a folder is named as it is
        text = text.removeprefix(begin)
        text = text[:1].upper() + text[1:]
    if isinstance(error, MissingFileError):
        return Problem("missing", text, "There is nothing to load.", "check the path")
    if isinstance(error, UnsafeFileError):
        why = "Loading it in another program could run that code on your machine."
        return Problem("unsafe-pickle", text, why, "delete it; get a safetensors")
    if any(mark in text.lower() for mark in _CUT):
        return Problem("truncated", text, "The download or copy did not finish.", "download it again")
    code = "duplicate-offsets" if _OVERLAPS in text else "unreadable"
    return Problem(code, text, "No program can load it as it is.", "download it again")


def findings(view: View) -> Iterator[Problem]:
    """Yield everything about a file that is worth a word; of the numbers, only positions are read."""
    yield from _missing_parts(view)
    yield from _positions(view)
    yield from _mixture(view)
    if view.components and (checkpoint.leftovers(view.weights) or view.left_behind):
        size = f"{junk(view)['bytes'] / 1e6:.1f} MB"
        why = "It only takes room on the disk and time when loading."
        fix = command("convert", view.path, "-clean")
        yield Problem("junk", f"It carries leftovers of its training, {size} with buffers.", why, fix)
    if unknown := _unknown(view):
        why = "Strict programs refuse a file with tensors that they do not expect."
        fix = command("convert", view.path, "-clean", "--only", ",".join(view.components))
        yield Problem("unknown-keys", f"{len(unknown)} tensors belong to no known part: {listed(unknown)}.", why, fix)
    suffix = view.path.suffix.lower()
    right = _SUFFIXES.get(view.weights.format, {suffix})
    if suffix not in right:
        why = "Programs that go by the name read it with the wrong reader."
        fix = f"rename it to end in {sorted(right)[0]}"
        yield Problem("wrong-extension", f"It is a {view.weights.format} file.", why, fix)


def junk(view: View) -> dict[str, int]:
    """Return count and bytes of what can go without any loss, also of what lies beside the weights."""
    beside = [tensor.info for _, tensor in leaves(view.path, view.left_behind) if isinstance(tensor, LazyArray)]
    inside = [view.weights.info(name) for name in view.junk]
    keys = len(inside) + max(len(beside), len(view.left_behind))
    return {"keys": keys, "bytes": sum(info.nbytes for info in inside + beside)}


def dtypes(weights: Weights, names: Iterable[str]) -> Counter[str]:
    """Return how many numbers stand in each format."""
    counts: Counter[str] = Counter()
    for name in names:
        info = weights.info(name)
        counts[info.dtype] += info.size
    return counts


def _missing_parts(view: View) -> Iterator[Problem]:
    if VAE in view.missing:
        why = "Without a VAE the program uses another one, or the pictures come out grey."
        fix = command("bake", view.path, "-vae", "--vae", "VAE.safetensors")
        yield Problem("vae-missing", "The checkpoint has no VAE.", why, fix)
    if TEXT in view.missing:
        why = "Without its text encoder the model cannot read prompts."
        fix = "get the whole model; this file is a part of it"
        yield Problem("text-encoder-missing", "The checkpoint has no text encoder.", why, fix)
    for part in view.missing:
        if part not in _TOLD_APART:
            yield _incomplete(f"The checkpoint has no {part}.")
    for part, lost in view.gaps.items():
        yield _incomplete(f"Its {part} is not whole; {len(lost)} missing or of a wrong shape: {listed(lost)}.")


def _incomplete(message: str) -> Problem:
    why = "What is gone cannot be computed again: loading fails, or the pictures are spoilt."
    return Problem("incomplete", message, why, "get the whole model; this file is damaged or cut down")


def _positions(view: View) -> Iterator[Problem]:
    """CLIP's position numbers must be 0, 1, 2, ...; careless merging rounds some of them."""
    for name in view.shapes:
        if name.endswith(checkpoint.POSITIONS) and (damage := _damage_of_positions(view.weights, name)):
            message = f"{listed([name])} is damaged ({damage}); words of a prompt are misread."
            why = "Words at some places of a prompt are read as if they stood elsewhere."
            fix = command("convert", view.path, "-mended", "--repair")
            yield Problem("clip-position-ids", message, why, fix)


def _damage_of_positions(weights: Weights, name: str) -> str | None:
    size = weights.info(name).size
    if size > _MOST_POSITIONS:
        return f"{size} numbers"
    with np.errstate(invalid="ignore"):  # not a number is a wrong number
        numbers = weights[name].real.reshape(-1).astype(np.int64)
    wrong = sorted(set(range(size)) - set(numbers.tolist()))[:SHOWN]
    return None if np.array_equal(numbers, np.arange(size)) else f"missing: {wrong}"


def _mixture(view: View) -> Iterator[Problem]:
    parts = _precisions(view)
    if len(view.components) > 1 and len(parts) > 1:
        listing = ", ".join(f"{dtype} in {' and '.join(where)}" for dtype, where in parts.items())
        why = "Some programs refuse a mixture, and full precision takes twice the room."
        fix = command("convert", view.path, "-fp16", "--dtype", "fp16")
        yield Problem("mixed-precision", f"Its numbers stand in several formats: {listing}.", why, fix)


def _precisions(view: View) -> dict[str, list[str]]:
    """Return the parts in which each number format occurs, counting only what pictures need."""
    found: dict[str, list[str]] = {}
    for part, names in view.components.items():
        needed = [name for name in names if name not in view.junk and not checkpoint.is_schedule(name)]
        for dtype in dtypes(view.weights, needed):
            found.setdefault(dtype, []).append(part)
    return found


def _unknown(view: View) -> list[str]:
    if not view.components:
        return []
    known = {name for names in view.components.values() for name in names} | view.junk | checkpoint.MARKERS
    return [name for name in view.weights if name not in known and not name.startswith("model_ema.")]
