"""Drawings from pictures: what is darker than its surroundings, as light lines on black."""

import numpy as np

from pochade.preprocessors.filters import gaussian
from pochade.preprocessors.pictures import Picture, grey

_LINE, _AREA = 0.5, 5.0  # pixels over which a scribbled line and its surroundings are averaged
_WIDE = 6.0  # the same for the surroundings of line art
_FAINT = 8  # a difference up to this is no line
_LEAST = 16  # a typical line's difference counts as this at least, or a blank sheet's grain would become lines
_TYPICAL = 127  # the brightness that a typical line gets


def scribble_xdog(picture: Picture, threshold: float = 32) -> Picture:
    """White strokes where every colour is darker than around it, by more than half of `threshold`."""
    darker = (gaussian(picture, _AREA) - gaussian(picture, _LINE)).min(axis=2)
    return grey(2 * darker > threshold)


def lineart_standard(picture: Picture) -> Picture:
    """Grey lines, the brighter the darker a line is than its surroundings."""
    darker = (gaussian(picture, _WIDE) - picture).min(axis=2).clip(0, 255)
    lines = darker[darker > _FAINT]
    typical = max(_LEAST, float(np.median(lines))) if lines.size else _LEAST
    return grey(darker * (_TYPICAL / typical))
