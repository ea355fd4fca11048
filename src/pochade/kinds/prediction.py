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
_ARCHITECTURE = "modelspec.architecture"
_ARCHITECTURE_OF_V = "-768-v"
# YAML may be written as JSON too, with quotes around the names and all in one line; comments do not count
_PARAMETERIZATION = re.compile(rb"""^[^#\n]*?\bparameterization["']?[ \t]*:\s*["']?(v|eps)\b""", re.MULTILINE)
_MOST_CONFIG = 1_000_000
_STEPS_OF_SD2_BASE = 875_000  # no other release stopped there


def marker(name: str) -> dict[str, LazyArray]:
    """Return an empty tensor that says something by its name alone."""
    return {name: LazyArray.of(np.zeros(0, np.float32))}


def prediction_of(weights: Weights, family: Family) -> Prediction | None:
    """Return it by marker, metadata, the configuration beside the file, else as its branch does; None if all are
    silent.
    """
    stated = weights.metadata.get(STATED, "").lower() or _stated_beside(weights.path)
    architecture = weights.metadata.get(_ARCHITECTURE, "").lower()
    if V_MARKER in weights or stated.startswith("v") or (not stated and architecture.endswith(_ARCHITECTURE_OF_V)):
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
