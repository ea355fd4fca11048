"""Hypernetworks: small networks on the keys and values of attention, named by the width they work on."""

import re
from dataclasses import dataclass

from pochade.families import FAMILIES, Family, Shapes
from pochade.files import Weights

OF_PICTURES = {"320", "640", "1280"}
"""Widths of attention to the picture, in several families."""

_NAME = re.compile(r"(?P<side>\d+\.[01])\.linear(?P<index>\.\d+|[12])(?P<rest>\..+)")
_OLD = {"1": ".0", "2": ".1"}  # what layers were called before they had numbers


@dataclass(frozen=True)
class Manner:
    """What a file's tensors do not tell: the activation behind each layer, and whether one follows the last layer."""

    activation: str = "linear"
    activates_output: bool = True


def family_of(shapes: Shapes) -> Family | None:
    """Return the family whose text has one of the widths; those of the picture are common to several families."""
    widths = {name.partition(".")[0] for name in shapes} - OF_PICTURES
    return next((family for family in FAMILIES if str(family.context_width) in widths), None)


def manner_of(weights: Weights) -> Manner:
    """Return how a hypernetwork works, as stated beside its tensors."""
    told = {**weights.metadata, **weights.extra}
    activation = told.get("activation_func")
    return Manner(
        activation=str(activation or "linear").lower(),
        activates_output=str(told.get("activate_output", True)).lower() == "true",
    )


def layers_of(weights: Weights) -> Weights:
    """Return the tensors of the networks alone, layers by number."""
    found = {}
    for name in weights:
        if match := _NAME.fullmatch(name):
            index = _OLD.get(match["index"], match["index"])
            found[f"{match['side']}.linear{index}{match['rest']}"] = weights.lazy(name)
    return Weights(found, path=weights.path)
