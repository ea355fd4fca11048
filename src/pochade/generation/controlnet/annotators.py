"""The networks that a control's preprocessor looks with, at work on a picture."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pochade.errors import NumericalError
from pochade.generation.controlnet.control_unit import NO_ANNOTATOR, ControlUnit
from pochade.library import short_hash
from pochade.library.annotators import annotator_files
from pochade.networks.annotators import load_annotator
from pochade.preprocessors import networks_of
from pochade.preprocessors.filters import Floats
from pochade.preprocessors.learned import Network
from pochade.preprocessors.pictures import Picture


def networks_for(unit: ControlUnit, device: torch.device) -> dict[str, Network]:
    """The networks of a unit's preprocessor on a device, by the option that each is given as.

    Raises UsageError where one is missing that it needs, FileError for a file that holds no such network.
    """
    kinds = networks_of(unit.preprocessor)
    files = _files(unit)
    return {
        option: partial(_seen, load_annotator(kinds[option], files[option], device), files[option]) for option in files
    }


def annotator_hash(unit: ControlUnit) -> str:
    """What tells the networks of a unit's preprocessor from others; empty where it has none."""
    return "+".join(map(short_hash, _files(unit).values()))


def _files(unit: ControlUnit) -> dict[str, Path]:
    if not networks_of(unit.preprocessor):
        return {}
    return annotator_files(unit.preprocessor, "" if unit.annotator == NO_ANNOTATOR else unit.annotator)


@torch.inference_mode()
def _seen(network: nn.Module, path: Path, picture: Picture) -> Floats:
    """The maps [C, h, w] that a network sees in a picture [H, W, 3]."""
    device = next(network.parameters()).device
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].to(device, torch.float32)
    maps: Floats = network(pixels)[0].cpu().numpy()
    if not np.isfinite(maps).all():
        raise NumericalError(f"{path.name} gave NaN or infinity; take an undamaged copy of the file.")
    return maps
