"""What a source stands for: the files to bring, where they are, and what is told of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pochade.library.downloads.access import OPEN, Access
from pochade.library.downloads.patience import Patience

Format = Literal["safetensors", "ckpt"]
Precision = Literal["fp32", "fp16", "bf16", "fp8"]
Extent = Literal["full", "pruned"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """How to download. `file`, `format`, `precision` and `extent` choose among several files of one source.

    Without `to` a model goes to the place of its kind in the first of the `models` folders, else into the current
    folder. `token` is sent to the source's own site alone, in place of the one in the environment. `strict` refuses
    what is only suspicious. `allow_private` is for addresses that the user types; servers leave it off.
    """

    to: Path | None = None
    models: tuple[Path, ...] = ()
    file: str = ""
    format: Format | None = None
    precision: Precision | None = None
    extent: Extent | None = None
    sha256: str = ""
    token: str = field(default="", repr=False)
    strict: bool = False
    sidecars: bool = True
    allow_private: bool = True
    patience: Patience = field(default_factory=Patience)


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Remote:
    """One file somewhere else, and what it is to be called; in a package of several, with folders before its name.

    `sha256` and `git`, the hash that git gives small files, are what the site announces, each empty if it does not.
    """

    address: str = field(repr=False)
    name: str
    size: int | None = None
    sha256: str = ""
    git: str = ""

    @property
    def part_name(self) -> str:
        """What it is called on its way: another file of the same name has another one."""
        return f"{self.name}.{(self.sha256 or _mark(self.address))[:8]}.part"


@dataclass(frozen=True)
class Package:
    """What one source stands for: one file, or several that make the folder of a model.

    `source` and `page` are fit to be shown; `kind` is what the site calls it, in Pochade's words, empty if it does
    not; `version` is Civitai's own description.
    """

    source: str
    page: str
    files: tuple[Remote, ...]
    folder: str = ""
    access: Access = OPEN
    kind: str = ""
    revision: str = ""
    version: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What the file or the folder is to be called."""
        return self.folder or self.files[0].name

    @property
    def part_name(self) -> str:
        """What it is called on its way."""
        marks = " ".join(each.part_name for each in self.files)
        return f"{self.folder}.{_mark(marks)[:8]}.part" if self.folder else self.files[0].part_name


@dataclass(frozen=True)
class Offer:
    """A file that a source has; `is_chosen` tells whether it would be downloaded."""

    name: str
    bytes: int | None
    sha256: str
    is_chosen: bool
