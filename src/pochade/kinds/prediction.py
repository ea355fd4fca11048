"""What a model's UNet predicts, the noise or v, which its tensors seldom tell."""

import os
import re
from pathlib import Path

import numpy as np

from pochade.families import Family
from pochade.families.family import Prediction
from pochade.files import LazyArray, Weights

STATED = "modelspec.prediction_type"
V_MARKER = "v_pred"
"""The name of an empty tensor that says v."""
ZERO_SNR_MARKER = "ztsnr"
"""The name of an empty tensor that says: trained up to noise alone."""
# YAML may be written as JSON too, with quotes around the names
_PARAMETERIZATION = re.compile(rb"""^[ \t]*["']?parameterization["']?:\s*["']?(v|eps)\b""", re.MULTILINE)
_MOST_CONFIG = 1_000_000
_STEPS_OF_SD2_BASE = 875_000  # no other release stopped there


def marker(name: str) -> dict[str, LazyArray]:
    """Return an empty tensor that says something by its name alone."""
    return {name: LazyArray.of(np.zeros(0, np.float32))}


def prediction_of(weights: Weights, family: Family) -> Prediction | None:
    """Return it by marker, metadata, the configuration beside the file, else as its branch does; None if all are
    silent.
    """
    stated = weights.metadata.get(STATED) or _stated_beside(weights.path)
    if V_MARKER in weights or stated.startswith("v"):
        return "v"
    if stated.startswith("eps") or weights.extra.get("global_step") == _STEPS_OF_SD2_BASE:
        return "epsilon"
    branch = family.branch(weights.shapes())
    return branch.prediction if branch else None


def _stated_beside(path: Path | None) -> str:
    """Return the `parameterization` that a YAML file beside a checkpoint names, or nothing."""
    if path is None or os.path.isdir(path):
        return ""
    try:
        with path.with_suffix(".yaml").open("rb") as file:
            found = _PARAMETERIZATION.search(file.read(_MOST_CONFIG))
    except OSError:
        return ""
    return str(found[1], "ascii") if found else ""
