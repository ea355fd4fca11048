"""The pictures that a request begins with and looks at, in memory."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import Image

from pochade.generation.request import Request

_CONTROL = re.compile(r"control (\d{1,2})( mask)?")


@dataclass(frozen=True)
class Inputs:
    """The pictures that a request begins with and looks at. Picture number i begins with image i, over and over.

    `controls` and `control_masks` belong to the request's controls in turn; None stands for those without. `notes` are
    sentences about what was not taken of their files.
    """

    images: tuple[Image.Image, ...] = ()
    mask: Image.Image | None = None
    depth: Image.Image | None = None
    controls: tuple[Image.Image | None, ...] = ()
    control_masks: tuple[Image.Image | None, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Request) -> "Inputs":
        """Open those that a request names by path; raises FileError for one that is no picture."""
        notes: list[str] = []
        opened = partial(_opened, tell=notes.append)
        image, mask, depth = map(opened, (request.image, request.mask, request.depth))
        controls = tuple(opened(unit.image) for unit in request.controls)
        masks = tuple(opened(unit.mask) for unit in request.controls)
        return cls((image,) if image else (), mask, depth, controls, masks, tuple(notes))

    def beginning_with(self, number: int) -> "Inputs":
        """These pictures for a run that begins with picture `number` of another one."""
        first = number % max(len(self.images), 1)
        return replace(self, images=self.images[first:] + self.images[:first]) if first else self

    def named(self) -> dict[str, Image.Image]:
        """Each picture by the field that names it; of several to begin with, each by its number too."""
        images = {"image" if index == 0 else f"image {index + 1}": each for index, each in enumerate(self.images)}
        others = {"mask": self.mask, "depth": self.depth}
        others |= {f"control {number}": each for number, each in enumerate(self.controls, 1)}
        others |= {f"control {number} mask": each for number, each in enumerate(self.control_masks, 1)}
        return images | {name: each for name, each in others.items() if each}

    @classmethod
    def of_named(cls, pictures: Mapping[str, Image.Image]) -> "Inputs":
        """What `named` gave."""
        images = tuple(each for name, each in pictures.items() if name.startswith("image"))
        count = max((int(found[1]) for found in map(_CONTROL.fullmatch, pictures) if found), default=0)
        controls, masks = (
            tuple(pictures.get(f"control {number}{suffix}") for number in range(1, count + 1))
            for suffix in ("", " mask")
        )
        return cls(images, pictures.get("mask"), pictures.get("depth"), controls, masks)

    def hashes(self) -> dict[str, str]:
        """What tells these pictures from others, by the field that names them."""
        found = {"image": self.images, "mask": [self.mask], "depth": [self.depth]}
        return {field: pixel_hash(*[each for each in images if each]) for field, images in found.items()}


def _opened(name: str, tell: Callable[[str], None]) -> Image.Image | None:
    from pochade.generation.pictures.input_picture import (
        open_picture,  # deferred: what a file tells is read without numpy
    )

    return open_picture(Path(name), tell) if name else None


def pixel_hash(*images: Image.Image) -> str:
    """First 10 hex digits of the SHA-256 of pictures' sizes and pixels; empty without a picture."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.mode} {image.width}x{image.height} ".encode())
        digest.update(image.tobytes())
    return digest.hexdigest()[:10] if images else ""
