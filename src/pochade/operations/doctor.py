"""What is wrong with a model file, why it matters, and the command that mends it: in words for people who draw."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pochade import kinds
from pochade.errors import FileError, MalformedFileError, UnsafeFileError
from pochade.events import Event, Made, Step
from pochade.files import Weights
from pochade.files.weights import Array
from pochade.kinds.components import VAE, components
from pochade.library.find import models_below
from pochade.operations.inspect import describe

_WHY = {
    "vae-missing": "Without a VAE the program uses another one, or the pictures come out grey.",
    "text-encoder-missing": "Without its text encoder the model cannot read prompts.",
    "clip-position-ids": "Words at some places of a prompt are read as if they stood elsewhere.",
    "mixed-precision": "Some programs refuse a mixture, and full precision takes twice the room.",
    "junk": "It only takes room on the disk and time when loading.",
    "unknown-keys": "Strict programs refuse a file with tensors that they do not expect.",
    "wrong-extension": "Programs that go by the name read it with the wrong reader.",
}
_EXPONENTS: dict[str, tuple[type, int]] = {
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
    "F32": (np.uint32, 0x7F800000),
    "F64": (np.uint64, 0x7FF0000000000000),
}
_SHOWN = 3


@dataclass(frozen=True)
class Problem:
    """A finding: its code, what was found, why it matters and what mends it."""

    code: str
    message: str
    why: str
    fix: str


@dataclass(frozen=True)
class Diagnosis:
    """A file with what is wrong with it; nothing, if it is in order."""

    path: Path
    what: str
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis as plain values."""
        return {"path": str(self.path), "what": self.what, "problems": [vars(each) for each in self.problems]}


def diagnosing(path: Path | str, deep: bool = True) -> Iterator[Event]:
    """Examine a model file or diffusers folder, or all below a folder; yields a Step per file and Made with each Diagnosis.

    `deep` reads every number to find those that are none.
    """
    path = Path(path)
    found = list(models_below(path)) if path.is_dir() else [path]
    for done, each in enumerate(found, 1):
        yield Made(diagnose(each, deep))
        yield Step(done, len(found), "files")


def diagnose(path: Path, deep: bool = True) -> Diagnosis:
    """Examine one file. One that cannot be read has that problem; one that is not there raises MissingFileError."""
    try:
        weights = kinds.open_model(path)
    except UnsafeFileError as error:
        why = "Loading it in another program could run that code on your machine."
        return Diagnosis(
            path, "unknown", (Problem("unsafe-pickle", _told(error), why, "delete it; get a safetensors"),)
        )
    except MalformedFileError as error:
        return Diagnosis(path, "unknown", (_unreadable(error),))
    report = describe(weights, path)
    what = " ".join(str(report[name]) for name in ("family", "variant", "kind") if report[name])
    problems = [Problem(**each, why=_WHY.get(each["code"], "")) for each in report["problems"]]
    problems += _waste(path, report)
    problems += _traps(report)
    problems += _bad_numbers(weights) if deep else ()
    return Diagnosis(path, what, tuple(problems))


def _told(error: FileError) -> str:
    text = str(error).removeprefix(f"{error.path}: ")
    return text[:1].upper() + text[1:]


def _unreadable(error: MalformedFileError) -> Problem:
    """A broken file: cut, overlapping, or no model at all."""
    text = _told(error)
    if any(mark in text.lower() for mark in ("is cut", "is empty")):
        return Problem("truncated", text, "The download or copy did not finish.", "download it again")
    code = "duplicate-offsets" if "overlaps" in text else "unreadable"
    return Problem(code, text, "No program can load it as it is.", "download it again")


def _waste(path: Path, report: dict[str, Any]) -> Iterator[Problem]:
    """What takes room or asks for trust without need."""
    if report["ema"] == "both":
        why = "The moving averages are only for training on; drawing needs one of the two."
        fix = f"pochade convert {path.name} small.safetensors --ema drop"
        yield Problem("ema", "It holds its UNet twice: live, and as moving average.", why, fix)
    if report["ema"] == "only":
        why = "Most programs look for the live UNet and find none."
        fix = f"pochade convert {path.name} usable.safetensors --ema use"
        yield Problem("ema-only", "Its UNet is there as moving average only.", why, fix)
    if report["format"] in ("ckpt", "ckpt-legacy"):
        why = "A pickle can hold code, and loads several times slower."
        fix = f"pochade convert {path.name} {path.stem}.safetensors"
        yield Problem("pickle", "It is a pickle; this one is harmless.", why, fix)


def _traps(report: dict[str, Any]) -> Iterator[Problem]:
    """Models that plain loaders take for something else."""
    variant = str(report["variant"])
    if variant.startswith("unclip"):
        why = "A plain loader stops at 'label_emb': it also needs an image to begin from."
        yield Problem("unclip", "It is an unCLIP model.", why, "draw with it from a picture")
    if variant == "base" and report["prediction"] is None:
        why = "Such models predict the noise (SD 2 base, 512) or v (768); read the wrong way, pictures are noise."
        fix = "put a YAML with `parameterization: v` beside it if it is one that predicts v"
        yield Problem("prediction-unknown", "Its tensors do not tell what it predicts.", why, fix)


def _bad_numbers(weights: Weights) -> Iterator[Problem]:
    """Numbers that are none, by part: in a VAE they make pictures black."""
    bad = [name for name in weights if _has_bad(weights, name)]
    if not bad:
        return
    in_vae = set(components(weights).get(VAE, ())) & set(bad)
    shown = ", ".join(bad[:_SHOWN])
    message = f"{len(bad)} tensors hold NaN or infinity, e.g. {shown}."
    if in_vae:
        yield Problem("vae-broken", message, "Pictures come out black.", "pochade bake MODEL --vae FILE")
    if len(in_vae) < len(bad):
        yield Problem("nan-or-inf", message, "Pictures come out black or as noise.", "get another copy of the model")


def _has_bad(weights: Weights, name: str) -> bool:
    """Tell whether a number has an exponent of ones alone, which says NaN or infinity."""
    if weights.info(name).dtype not in _EXPONENTS:
        return False
    kind, exponent = _EXPONENTS[weights.info(name).dtype]
    return any(_any_exponent(block.view(kind), exponent) for block in weights.lazy(name).blocks())


def _any_exponent(bits: Array, exponent: int) -> bool:
    return bool(((bits & bits.dtype.type(exponent)) == exponent).any())
