"""What an old version number in a picture's text says about how A1111 drew it."""

import re
from collections.abc import Mapping
from typing import Any

Version = tuple[tuple[int, ...], int]  # the release, then -1 for a preview, 0, or 1 + commits since

_VERSION = re.compile(
    r"""v?(?P<release>\d{1,9}(?:\.\d{1,9})*)
    (?P<preview>[-_.]?(?:alpha|beta|preview|pre|rc|a|b|c)[-_.]?\d*)?
    (?:-(?P<commits>\d{1,9}))?""",
    re.IGNORECASE | re.VERBOSE,
)
_NEW_PROMPT_EDITING = ((1, 6), 0)
_FLOAT_ALPHAS = ((1, 7), 226)  # 225 commits after 1.7.0
_REFINER_BY_SIGMA = ((1, 8), 0)
_HIRES_STYLES = ((1, 8), 140)  # 139 commits after 1.8.0
_SCHEDULE_TYPES = ((1, 9), 0)


def version_of(text: str | None) -> Version | None:
    """Read "v1.7.0-225-gabc123" and the like; None if it is no version of A1111.

    >>> version_of("v1.7.0-225-gabc123")
    ((1, 7), 226)
    """
    if text is None:
        return None
    described = "-".join(text.strip().split("-")[:2])
    match = _VERSION.fullmatch(described)
    if match is None:
        return None
    release = [int(number) for number in match["release"].split(".")]
    while release and release[-1] == 0:
        release.pop()
    stage = -1 if match["preview"] else 0
    return tuple(release), int(match["commits"]) + 1 if match["commits"] else stage


def compatibility(found: Mapping[str, Any]) -> dict[str, bool]:
    """The old behaviours that the version in a parsed text block stands for."""
    version = version_of(found.get("Version"))
    if version is None:
        return {}
    is_old_editing = version < _NEW_PROMPT_EDITING
    old = {
        "Old prompt editing timelines": is_old_editing and "[" in found.get("Prompt", ""),
        "Pad conds v0": is_old_editing and found.get("Sampler") in ("DDIM", "PLMS"),
        "Downcast alphas_cumprod": version < _FLOAT_ALPHAS,
        "Refiner switch by sampling steps": version < _REFINER_BY_SIGMA and bool(found.get("Refiner")),
    }
    return {name: True for name, applies in old.items() if applies}


def hires_prompts_have_styles(found: Mapping[str, Any]) -> bool:
    """Whether styles are part of the prompts of the second pass."""
    version = version_of(found.get("Version"))
    return version is None or version > _HIRES_STYLES


def unwritten_schedule(found: Mapping[str, Any], sampler: str) -> str | None:
    """The schedule of a sampler where none is written: None for its own; before 1.9 every sampler's own was Uniform."""
    version = version_of(found.get("Version"))
    if version is None or version >= _SCHEDULE_TYPES or _names_schedule(sampler):
        return None
    return "Uniform"


def _names_schedule(sampler: str) -> bool:
    """Whether an old sampler name says the schedule itself, as "DPM++ 2M Karras" does, or is tied to one."""
    return sampler == "Restart" or sampler.endswith((" Karras", " Exponential", " Polyexponential", " SGMUniform"))
