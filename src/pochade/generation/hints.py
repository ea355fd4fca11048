"""Gentle hints: where a request does otherwise than the files that it uses ask for."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from pochade import files
from pochade.errors import shown
from pochade.generation.passes import Voice
from pochade.generation.request import Request
from pochade.generation.usage import Range, Usage
from pochade.prompts import extra_networks

_MOST = 5  # hints about one request
_WORDS = 3  # that one of them lists
_FAR = 2.5  # times more or less pixels than the model was made for
_NEAR = 0.3  # of a weight, which nobody is told about
_BETWEEN_WORDS = re.compile(r"[\\()\[\]{}_\s]+")


@dataclass(frozen=True)
class Used:
    """A file that takes part, by the name that messages call it; networks beside the model have a weight."""

    title: str
    usage: Usage
    weight: float | None = None


@dataclass(frozen=True)
class Scope:
    """What is true of the model: the size that it was made for, and whether clip skip changes what it reads."""

    resolution: tuple[int, int]
    heeds_clip_skip: bool = True


def hints_about(request: Request, voice: Voice) -> list[str]:
    """What there is to say of a resolved request, by the files of the voice that draws it."""
    model, chosen = voice.model, voice.loras.chosen
    used = [
        Used(f"the LoRA '{shown(path.stem)}'", _usage(path), unit.weight or unit.text_strength) for unit, path in chosen
    ]
    used.append(Used(shown(model.path.name), _usage(model.path)))
    skips = [[each.skip_for(skip, request.clip_l_skip) for each in model.family.encoders] for skip in (1, 2)]
    return hints(request, used, Scope(model.resolution_for(request.prediction), heeds_clip_skip=skips[0] != skips[1]))


def hints(request: Request, used: Sequence[Used], scope: Scope) -> list[str]:
    """Sentences about a resolved request, each once and few; only what files say, and the model's size, lead to one."""
    return list(islice(dict.fromkeys(_found(request, used, scope)), _MOST))


def _found(request: Request, used: Sequence[Used], scope: Scope) -> Iterator[str]:
    words = _plain(extra_networks.extract(request.prompt)[0])
    for each in used:
        if each.weight and each.weight > 0:
            yield from _unheard(each, words)
            yield from _weights(each, each.weight)
    for each in used:
        if each.weight != 0:
            yield from _guidance(each, request.cfg)
            yield from _layer(each, request.clip_skip or 1, scope)
    yield from _size(request, scope.resolution)


def _unheard(used: Used, prompt: str) -> Iterator[str]:
    known = used.usage.trigger_words
    if known and not any(_plain(word) in prompt for word in known):
        words = " or ".join(repr(shown(word)) for word in known[:_WORDS])
        title = _begun(used.title)
        yield f"{title} goes with {words}, of which nothing is in the prompt; add it if the effect is missed."


def _weights(used: Used, weight: float) -> Iterator[str]:
    wanted = used.usage.weight
    if wanted and not wanted[0] - _NEAR <= weight <= wanted[1] + _NEAR:
        yield f"{_begun(used.title)} has the weight {weight:g}; {_told(wanted)} is what its notes ask for."


def _guidance(used: Used, cfg: float) -> Iterator[str]:
    wanted = used.usage.cfg
    if wanted and not wanted[0] <= cfg <= wanted[1]:
        yield f"cfg is {cfg:g}; {used.title} asks for {_told(wanted)}."


def _layer(used: Used, clip_skip: int, scope: Scope) -> Iterator[str]:
    wanted = used.usage.clip_skip
    if wanted and wanted != clip_skip and scope.heeds_clip_skip:
        yield f"clip_skip is {clip_skip}; {used.title} was made with {wanted}."


def _size(request: Request, resolution: tuple[int, int]) -> Iterator[str]:
    """Pictures from nothing fall apart far from the model's size; one that begins with a picture holds together."""
    if request.image or request.image_hash or not request.width or not request.height:
        return
    times = request.width * request.height / (resolution[0] * resolution[1])
    sizes = (
        f"The picture is {request.width}x{request.height}, and the model was made for {resolution[0]}x{resolution[1]}"
    )
    if times > _FAR:
        yield f"{sizes}: things may come twice; draw smaller, and enlarge with --hires."
    elif times < 1 / _FAR:
        yield f"{sizes}: things may be cut off or come out coarse; draw larger."


def _plain(text: str) -> str:
    """Text by which words are compared: in small letters, without brackets."""
    return _BETWEEN_WORDS.sub(" ", text).strip().casefold()


def _begun(title: str) -> str:
    """A title at the beginning of a sentence."""
    return title[:1].upper() + title[1:]


def _told(wanted: Range) -> str:
    return f"{wanted[0]:g}" if wanted[0] == wanted[1] else f"{wanted[0]:g} to {wanted[1]:g}"


def _usage(path: Path) -> Usage:
    return Usage.of(path, _metadata(path, os.stat(path).st_mtime_ns))


@lru_cache(maxsize=64)
def _metadata(path: Path, time: int) -> Mapping[str, str]:
    """What the file says that a path names at some time."""
    return files.open(path).metadata
