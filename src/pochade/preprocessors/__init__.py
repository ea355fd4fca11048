"""From a picture to the hint that a ControlNet wants: edges, lines, colours, depth, poses.

Pictures are arrays [H, W, 3] of 8 bits in RGB, and so are hints, but that for inpainting. The names are the web UI's;
what it calls threshold A and threshold B are the options that may be given by their place. Those that look with
networks are given them as options, too. A new preprocessor is one function and its name in PREPROCESSORS.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from numpy.typing import NDArray

from pochade.errors import UnknownNameError, UsageError
from pochade.preprocessors import absent, learned
from pochade.preprocessors.canny import canny
from pochade.preprocessors.coarse import blur_gaussian, color, tile_colorfix, tile_colorfix_sharp, tile_resample
from pochade.preprocessors.depth import depth_midas, normal_midas
from pochade.preprocessors.inpainting import inpaint_only
from pochade.preprocessors.lines import lineart_standard, scribble_xdog
from pochade.preprocessors.pictures import checked
from pochade.preprocessors.poses import openpose, openpose_face, openpose_faceonly, openpose_full, openpose_hand
from pochade.preprocessors.shuffling import shuffle
from pochade.preprocessors.soft_edges import lineart, mlsd, scribble, sketch, softedge, softedge_safe
from pochade.preprocessors.tones import invert, none, recolor_intensity, recolor_luminance, threshold

__all__ = [
    "ALIASES",
    "PREPROCESSORS",
    "UNSCALED",
    "canonical",
    "check_networks",
    "networks_of",
    "options_of",
    "preprocess",
    "thresholds_of",
]

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
    "softedge_hed": softedge,
    "softedge_hedsafe": softedge_safe,
    "scribble_hed": scribble,
    "softedge_pidinet": softedge,
    "softedge_pidisafe": softedge_safe,
    "scribble_pidinet": scribble,
    "t2ia_sketch_pidi": sketch,
    "lineart_realistic": lineart,
    "lineart_coarse": lineart,
    "lineart_anime": lineart,
    "mlsd": mlsd,
    "openpose": openpose,
    "openpose_hand": openpose_hand,
    "openpose_face": openpose_face,
    "openpose_faceonly": openpose_faceonly,
    "openpose_full": openpose_full,
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

    Raises UsageError for one that needs a network which is not known here, UnknownNameError for one that nobody knows.
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


def networks_of(name: str) -> Mapping[str, str]:
    """What a preprocessor looks with, by option: the names in `learned.FILES`."""
    return learned.NETWORKS.get(canonical(name), {})


def check_networks(name: str, given: Collection[str]) -> None:
    """Raise UsageError for a preprocessor without networks that it needs, and say what to get.

    `given` are the options of those that it has.
    """
    options = options_of(name)
    wanted = {option: each for option, each in networks_of(name).items() if options[option] is inspect.Parameter.empty}
    if missing := [each for option, each in wanted.items() if option not in given]:
        advice = learned.what_to_get(missing)
        raise UsageError(f"The preprocessor {name!r} is a network with weights of its own: {advice}.")


def thresholds_of(name: str) -> dict[str, float]:
    """The options that the web UI calls threshold A and threshold B, with their defaults."""
    _, *options = inspect.signature(PREPROCESSORS[canonical(name)]).parameters.values()
    return {each.name: float(each.default) for each in options if each.kind is each.POSITIONAL_OR_KEYWORD}


def preprocess(name: str, picture: NDArray[Any], **options: Any) -> NDArray[Any]:
    """The hint that a preprocessor makes of a picture. Raises UsageError for options that it does not have."""
    check_networks(name, options)
    known = options_of(name)
    missing = [each for each, default in known.items() if default is inspect.Parameter.empty and each not in options]
    if unknown := [*(options.keys() - known.keys()), *missing]:
        has = ", ".join(known) or "none"
        problem = "needs" if missing else "has no option"
        raise UsageError(f"The preprocessor {name!r} {problem} {unknown[0]!r}; its options are: {has}.")
    height, width = checked(picture).shape[:2]
    if options.keys() & networks_of(name).keys():
        picture = learned.in_cells(picture)
    return PREPROCESSORS[canonical(name)](picture, **options)[:height, :width]
