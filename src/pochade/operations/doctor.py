"""What is wrong with a model file, why it matters, and the command that mends it: in words for people who draw."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pochade.errors import FileError, MissingFileError
from pochade.events import Event, Made, Step
from pochade.kinds import checkpoint
from pochade.library.find import models_below
from pochade.operations.findings import Problem, command, findings, unreadable
from pochade.operations.survey import PUT_ON_A_BASE, Survey, beside, surveying
from pochade.operations.values import broken_values
from pochade.operations.view import View


@dataclass(frozen=True)
class Diagnosis:
    """A file with what is wrong with it; nothing, if it is in order."""

    path: Path
    what: str
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis as plain values."""
        return {"path": str(self.path), "what": self.what, "problems": [vars(each) for each in self.problems]}


def diagnosing(path: Path | str, deep: bool = True, base: Path | None = None) -> Iterator[Event]:
    """Examine a model file or diffusers folder, or all below a folder; yields Made with each Diagnosis, and Steps.

    What is put on a checkpoint is compared with `base`, else with the checkpoints in the folder. `deep` reads every
    number, to find those that are none, and looks for copies. Raises FileError when `path` or `base` cannot be used.
    """
    path = Path(path)
    found = list(models_below(path)) if path.is_dir() else [path]
    survey = (yield from surveying(found, deep)) if len(found) > 1 else Survey()
    if base:
        survey = replace(survey, bases=beside(base).bases)
    for done, each in enumerate(found, 1):
        yield Made(diagnose(each, deep, survey))
        yield Step(done, len(found), "files")


def diagnose(path: Path, deep: bool = True, survey: Survey | None = None) -> Diagnosis:
    """Examine one file, beside others if there is a survey of them.

    One that cannot be read has that problem; one that is not there raises MissingFileError.
    """
    try:
        view = View.of(path)
        problems = [*findings(view), *_waste(view), *_traps(view)]
        problems += (survey or Survey()).problems(view)
        problems += _told_once(broken_values(view)) if deep else ()
    except FileError as error:
        if isinstance(error, MissingFileError) and not path.is_symlink():  # in a library, links may lead nowhere
            raise
        return Diagnosis(path, "unknown", (unreadable(path, error),))
    return Diagnosis(path, _what(view), tuple(problems))


def _what(view: View) -> str:
    family = view.family.name if view.family else None
    words = " ".join(filter(None, (family, view.variant, view.kind)))
    return words if family or view.kind not in PUT_ON_A_BASE else f"{words} of no known family"


def _told_once(problems: Iterable[Problem]) -> list[Problem]:
    """Return the findings on numbers; where it is the VAE alone that is broken, only the one that says so."""
    found = list(problems)
    cures = {each.fix for each in found if each.code == "vae-broken"}
    return [each for each in found if each.code != "nan-or-inf" or each.fix not in cures]


def _waste(view: View) -> Iterator[Problem]:
    """What takes room or asks for trust without need."""
    ema = checkpoint.ema_state(view.weights)
    if ema == "both":
        why = "The moving averages are only for training on; drawing needs one of the two."
        fix = command("convert", view.path, "-small", "--ema", "drop")
        yield Problem("ema", "It holds its UNet twice: live, and as moving average.", why, fix)
    if ema == "only":
        why = "Most programs look for the live UNet and find none."
        fix = command("convert", view.path, "-usable", "--ema", "use")
        yield Problem("ema-only", "Its UNet is there as moving average only.", why, fix)
    if view.weights.format in ("ckpt", "ckpt-legacy") and view.kind != "hypernetwork":  # web UIs know no other form
        why = "A pickle can hold code, and loads several times slower."
        yield Problem("pickle", "It is a pickle; this one is harmless.", why, command("convert", view.path, ""))


def _traps(view: View) -> Iterator[Problem]:
    """Models that plain loaders take for something else."""
    variant = str(view.variant)
    if variant.startswith("unclip"):
        why = "A plain loader stops at 'label_emb': it also needs an image to begin from."
        yield Problem("unclip", "It is an unCLIP model.", why, "draw with it from a picture")
    if variant == "difference":
        why = "Its numbers mean nothing until those of the model's UNet are added, which few programs do."
        fix = "get the whole ControlNet, or draw with Pochade, which adds it to the model itself"
        yield Problem("controlnet-difference", "It is the difference of a ControlNet to Stable Diffusion.", why, fix)
    if variant == "base" and view.prediction is None:
        why = "Such models predict the noise (SD 2 base, 512) or v (768); read the wrong way, pictures are noise."
        fix = "put a YAML with `parameterization: v` beside it if it is one that predicts v"
        yield Problem("prediction-unknown", "Its tensors do not tell what it predicts.", why, fix)
