"""From a picture to the hint that a ControlNet wants: edges, lines, colours, and what else needs no network.

Pictures are arrays [H, W, 3] of 8 bits in RGB, and so are hints, but that for inpainting. The names are the web UI's;
what it calls threshold A and threshold B are the options that may be given by their place. A new preprocessor is one
function and its name in PREPROCESSORS.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from pochade.errors import UnknownNameError, UsageError
from pochade.preprocessors import absent
from pochade.preprocessors.canny import canny
from pochade.preprocessors.coarse import blur_gaussian, color, tile_colorfix, tile_colorfix_sharp, tile_resample
from pochade.preprocessors.depth import depth_midas, normal_midas
from pochade.preprocessors.inpainting import inpaint_only
from pochade.preprocessors.lines import lineart_standard, scribble_xdog
from pochade.preprocessors.pictures import checked
from pochade.preprocessors.shuffling import shuffle
from pochade.preprocessors.tones import invert, none, recolor_intensity, recolor_luminance, threshold

__all__ = ["ALIASES", "PREPROCESSORS", "UNSCALED", "canonical", "options_of", "preprocess", "thresholds_of"]

PREPROCESSORS: Mapping[str, Callable[..., NDArray[Any]]] = {
    "none": none,
    "canny": canny,
    "lineart_standard": lineart_standard,
    "scribble_xdog": scribble_xdog,
    "invert": invert,
    "threshold": threshold,
    "blur_gaussian": blur_gaussian,
    "tile_resample": tile_resample,
    "tile_colorfix": tile_colorfix,
    "tile_colorfix+sharp": tile_colorfix_sharp,
    "color": color,
    "shuffle": shuffle,
    "recolor_luminance": recolor_luminance,
    "recolor_intensity": recolor_intensity,
    "depth_midas": depth_midas,
    "normal_midas": normal_midas,
    "inpaint_only": inpaint_only,
    "inpaint_global_harmonious": inpaint_only,  # the two differ only in what becomes of the rest of the picture
}

UNSCALED = frozenset(
    {
        *("none", "invert", "tile_resample", "tile_colorfix", "tile_colorfix+sharp"),
        *("recolor_luminance", "recolor_intensity", "inpaint_only", "inpaint_global_harmonious"),
    }
)
"""Preprocessors that take a picture at the size that it has, and not at a resolution."""

ALIASES: Mapping[str, str] = {
    "depth": "depth_midas",
    "normal_map": "normal_midas",
    "t2ia_color_grid": "color",
    "tile_gaussian": "blur_gaussian",
    "inpaint": "inpaint_global_harmonious",
    "fake_scribble": "scribble_hed",
    "hed": "softedge_hed",
    "hed_safe": "softedge_hedsafe",
    "pidinet": "softedge_pidinet",
    "pidinet_safe": "softedge_pidisafe",
    "pidinet_scribble": "scribble_pidinet",
    "pidinet_sketch": "t2ia_sketch_pidi",
    "lineart": "lineart_realistic",
    "segmentation": "seg_ufade20k",
    "oneformer_ade20k": "seg_ofade20k",
    "oneformer_coco": "seg_ofcoco",
    "anime_face_segment": "seg_anime_face",
}
"""Names that the web UI's API takes, or older versions of it."""


def canonical(name: str) -> str:
    """The one name of a preprocessor, without the remark that the web UI shows behind it in brackets.

    Raises UsageError for one that needs a network, UnknownNameError for one that nobody knows.
    """
    plain = name.partition(" (")[0].strip().casefold() or "none"
    plain = ALIASES.get(plain, plain)
    absent.refuse(plain)
    if plain not in PREPROCESSORS:
        raise UnknownNameError("preprocessor", name, [*PREPROCESSORS, *absent.FILES])
    return plain


def options_of(name: str) -> dict[str, Any]:
    """The options of a preprocessor with their defaults; one that must be given has `inspect.Parameter.empty`."""
    _, *options = inspect.signature(PREPROCESSORS[canonical(name)]).parameters.values()
    return {each.name: each.default for each in options}


def thresholds_of(name: str) -> dict[str, float]:
    """The options that the web UI calls threshold A and threshold B, with their defaults."""
    _, *options = inspect.signature(PREPROCESSORS[canonical(name)]).parameters.values()
    return {each.name: float(each.default) for each in options if each.kind is each.POSITIONAL_OR_KEYWORD}


def preprocess(name: str, picture: NDArray[Any], **options: Any) -> NDArray[Any]:
    """The hint that a preprocessor makes of a picture. Raises UsageError for options that it does not have."""
    known = options_of(name)
    missing = [each for each, default in known.items() if default is inspect.Parameter.empty and each not in options]
    if unknown := [*(options.keys() - known.keys()), *missing]:
        has = ", ".join(known) or "none"
        problem = "needs" if missing else "has no option"
        raise UsageError(f"The preprocessor {name!r} {problem} {unknown[0]!r}; its options are: {has}.")
    return PREPROCESSORS[canonical(name)](checked(picture), **options)
