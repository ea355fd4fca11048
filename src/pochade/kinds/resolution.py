"""The size of picture that a model was trained for."""

import re

from pochade.families import Family
from pochade.families.family import Prediction
from pochade.files import Weights
from pochade.kinds.prediction import prediction_of

_STATED = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


def resolution_of(weights: Weights, family: Family, prediction: Prediction | None = None) -> tuple[int, int]:
    """Return width and height: as the file's modelspec states, else those of its branch, else the family's.

    `prediction` is what the model predicts where that is known better than from the file.
    """
    if stated := _STATED.fullmatch(weights.metadata.get("modelspec.resolution", "")):
        return int(stated[1]), int(stated[2])
    branch = family.branch(weights.shapes())
    if branch and branch.resolution:
        return branch.resolution, branch.resolution
    says_noise = (prediction or prediction_of(weights, family)) == "epsilon"
    side = family.epsilon_resolution if says_noise and family.epsilon_resolution else family.resolution
    return side, side
