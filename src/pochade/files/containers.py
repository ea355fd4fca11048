"""Open a model file: what it is follows from its first bytes, never from its name.

A new container is one reader module with `recognises` and `read`, and one line in CONTAINERS.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pochade.files import folders, pictures, safetensors, torch_legacy, torch_tar, torch_zip
from pochade.files.mapped import MappedFile, mapped
from pochade.files.weights import Weights

HEAD = 512
"""How many first bytes tell a container."""


@dataclass(frozen=True)
class Container:
    """One way to lay tensors into a file."""

    name: str
    recognises: Callable[[bytes], bool]
    read: Callable[[MappedFile], Weights]


def _refusing(why: str) -> Callable[[MappedFile], Weights]:
    def refuse(file: MappedFile) -> Weights:
        raise file.malformed(why)

    return refuse


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _is_html(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<svg"))


CONTAINERS = (
    Container("ckpt", torch_zip.recognises, torch_zip.read),
    Container("image", pictures.recognises, pictures.read),
    Container(
        "git-lfs",
        _starts(b"version https://git-lfs"),
        _refusing("is a git-lfs pointer, not the model: run `git lfs pull` or download the file itself"),
    ),
    Container("html", _is_html, _refusing("is a web page, not a model: the download needs a login or a direct link")),
    Container("7z", _starts(b"7z\xbc\xaf", b"Rar!", b"\x1f\x8b"), _refusing("is an archive; unpack it first")),
    Container("safetensors", safetensors.recognises, safetensors.read),
    Container("ckpt-legacy", torch_tar.recognises, torch_tar.read),
    Container("ckpt-legacy", torch_legacy.recognises, torch_legacy.read),
)


def open(path: Path | str) -> Weights:
    """Open a model file, or a diffusers folder, as Weights; nothing but directories of tensors is read."""
    path = Path(path)
    if os.path.isdir(path):
        return folders.read(path, open)
    with mapped(path) as file:
        container = container_of(bytes(file.data[:HEAD]))
        if container is None:
            raise file.malformed("is not a model file: neither safetensors nor a torch checkpoint")
        return container.read(file)


def container_of(head: bytes) -> Container | None:
    """Return the container that begins with these bytes."""
    return next((each for each in CONTAINERS if each.recognises(head)), None)
