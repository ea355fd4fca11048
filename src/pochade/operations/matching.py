"""Which models can be merged: of one kind and family, told the same beside the latents, and predicting the same."""

from collections.abc import Sequence

from pochade import families, kinds
from pochade.errors import UsageError
from pochade.families import Family
from pochade.families.marks import marks_of
from pochade.files import Weights
from pochade.kinds.prediction import prediction_of

_NO_SHARE = 1e-6


def check_alike(models: Sequence[Weights], factors: Sequence[float] = ()) -> None:
    """Refuse models that do not mix, before anything is read; `factors` are those of a sum.

    Raises UsageError.
    """
    first = models[0]
    kind, family = kinds.recognise(first.shapes()), families.recognise(first.shapes())
    for other in models[1:]:
        its_kind, its_family = kinds.recognise(other.shapes()), families.recognise(other.shapes())
        if (its_kind, its_family) != (kind, family):
            one, two = _described(first, kind, family), _described(other, its_kind, its_family)
            raise UsageError(f"{one} and {two} do not mix: their tensors mean different things.")
    _check_channels(models, (family or families.SD1).latent_channels)
    if family:
        _check_predictions(models, family, factors)


def _check_channels(models: Sequence[Weights], plain: int) -> None:
    """Refuse UNets that are told different things beside the latents; models that are told nothing go with any."""
    first, *others = (marks.channels if (marks := marks_of(each.shapes())) else None for each in models)
    for model, channels in zip(models[1:], others, strict=True):
        if channels in (first, plain):
            continue
        both = f"{_named(models[0])} takes {first} channels and {_named(model)} {channels}"
        if first == plain:
            raise UsageError(
                f"{both}: an inpainting, depth or instruct-pix2pix model must be the first one, as in "
                '"special + 1.0*(plain - base)".'
            )
        raise UsageError(f"{both}: these do not mix, since what they see beside the latents is not the same.")


def _check_predictions(models: Sequence[Weights], family: Family, factors: Sequence[float]) -> None:
    """Refuse a mixture of what predicts the noise with what predicts v; a sum may take a difference of the others."""
    found = [prediction_of(each, family) for each in models]
    first = next((each for each in found if each), None)
    other = next((each for each in found if each not in (None, first)), None)
    share = sum(factor for factor, each in zip(factors, found, strict=True) if each == other) if factors else 1
    if other is None or abs(share) < _NO_SHARE:
        return
    one, two = (_named(models[found.index(each)]) for each in (first, other))
    raise UsageError(
        f"{one} predicts {first} and {two} predicts {other}: a mixture would predict neither. If one says so wrongly, "
        "write parameterization: v (or eps) into a .yaml of its name beside it."
    )


def _described(weights: Weights, kind: str, family: Family | None) -> str:
    return f"{_named(weights)} ({family.title if family else 'no known family'}, {kind})"


def _named(weights: Weights) -> str:
    return weights.path.name if weights.path else "one model"
