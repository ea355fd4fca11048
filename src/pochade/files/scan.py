"""Is a file safe to load? What is scanned is what would be read: the same readers, the same allow-list.

safe        everything in it is known and inert
suspicious  nothing in it acts by itself, but it is not what it pretends to be, or it is a program
malicious   it holds something that could act when it is loaded
corrupt     it cannot be read, so that nothing can be promised
"""

import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pochade.errors import FileError, MalformedFileError, MissingFileError, UnsafeFileError
from pochade.files import pictures, plain, torch_tar, torch_zip, zips
from pochade.files.allowed import resolver
from pochade.files.containers import HEAD, container_of
from pochade.files.mapped import MappedFile, mapped
from pochade.files.pickles import Machine

Answer = Literal["safe", "suspicious", "malicious", "corrupt"]
_WORST_FIRST: tuple[Answer, ...] = ("malicious", "corrupt", "suspicious", "safe")
_PICKLED = {"ckpt", "ckpt-legacy"}
_LOADED = (b"\x80", b"PK")  # what torch loads, whatever the file is called
_DEEPEST = 3
_MOST_MEMBERS = 100_000
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Finding:
    """What was found, at which place in the file, and why it matters."""

    where: str
    what: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """The answer for one file. An archive has the worst one of its members."""

    path: Path
    verdict: Answer
    findings: tuple[Finding, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The verdict as plain values."""
        return asdict(self) | {"path": str(self.path), "findings": [asdict(each) for each in self.findings]}


def scan(path: Path | str) -> Iterator[Verdict]:
    """Yield the verdict on a file, or on every file below a folder in order of their names.

    Raises MissingFileError when there is nothing of this name; no file below it, however broken, raises anything.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(path, "there is no such file or folder")
    if not path.is_dir():
        yield _verdict(path, 0)
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            yield _verdict(Path(folder) / name, 0)


def _verdict(path: Path, depth: int) -> Verdict:
    try:
        with mapped(path) as file:
            return _look(file, depth)
    except UnsafeFileError as error:
        return Verdict(path, "malicious", (Finding(error.where, error.what, error.problem),))
    except FileError as error:
        if (hidden := _hidden(path)) is not None:
            return Verdict(path, "malicious", (hidden,))
        problem = str(error).removeprefix(f"{error.path}: ")
        return Verdict(path, "corrupt", (Finding("", "", problem),))


def _look(file: MappedFile, depth: int) -> Verdict:
    """Read a file as what its content says it is."""
    head = bytes(file.data[:HEAD])
    if torch_zip.recognises(head) and not torch_zip.is_checkpoint(file):
        return _archive(file, depth, _unzipped(file))
    if torch_tar.recognises(head) and not torch_tar.is_checkpoint(file):
        return _archive(file, depth, _untarred(file))
    if pictures.recognises(head):
        plain.check_picture(file)
        return Verdict(file.path, "safe")
    if plain.is_array(head):
        plain.check_array(file)
        return Verdict(file.path, "safe")
    suffix = file.path.suffix.lower()
    if suffix in plain.PROGRAMS:
        return Verdict(file.path, "suspicious", (Finding("", suffix, "is a program; no model needs one"),))
    container = container_of(head)
    if container is None or (plain.is_companion(file.path) and not head.startswith(_LOADED)):
        plain.check_other(file)
        return Verdict(file.path, "safe")
    container.read(file)
    if container.name in _PICKLED and suffix == ".safetensors":
        why = "is a pickle that calls itself safetensors; this one is harmless, but its maker hides what it is"
        return Verdict(file.path, "suspicious", (Finding("", container.name, why),))
    return Verdict(file.path, "safe")


def _hidden(path: Path) -> Finding | None:
    """What a broken zip holds that acts all the same: other readers forgive what ours refuses."""
    try:
        with mapped(path) as file:
            for name, content in zips.salvaged(file, ".pkl"):
                with suppress(MalformedFileError):  # the next one may be whole
                    Machine(path, content, resolver(path), _anything, where=name).run()
    except UnsafeFileError as error:
        return Finding(error.where, error.what, error.problem)
    except FileError:
        return None
    return None


def _anything(identity: object) -> object:
    return identity


def _archive(file: MappedFile, depth: int, members: Iterator[tuple[str, Path]]) -> Verdict:
    """The worst verdict on the members of an archive."""
    if depth >= _DEEPEST:
        raise file.malformed("is an archive inside archives; unpack it first")
    verdicts = {name: _verdict(path, depth + 1) for name, path in members}
    if not verdicts:
        raise file.malformed("is an empty archive")
    worst = min((each.verdict for each in verdicts.values()), key=_WORST_FIRST.index)
    findings = [
        Finding(f"{name}: {finding.where}".rstrip(": "), finding.what, finding.why)
        for name, each in verdicts.items()
        for finding in each.findings
    ]
    return Verdict(file.path, worst, tuple(findings))


def _unzipped(file: MappedFile) -> Iterator[tuple[str, Path]]:
    """Yield every member of a zip by name, as a file of its own for as long as it is looked at."""
    for name, member in zips.members(file).items():
        if name.endswith("/"):
            continue
        yield from _copied(name, member.blocks(file, _BLOCK))


def _untarred(file: MappedFile) -> Iterator[tuple[str, Path]]:
    """The same for a tar."""
    try:
        with tarfile.open(fileobj=file.stream(), mode="r:") as tar:
            for count, member in enumerate(tar):
                if count > _MOST_MEMBERS or not (member.isreg() or member.isdir()):
                    raise UnsafeFileError(
                        file.path, f"holds {member.name[:200]!r}, which is no plain file", member.name
                    )
                if source := tar.extractfile(member):
                    yield from _copied(member.name, iter(partial(source.read, _BLOCK), b""))
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise MalformedFileError(file.path, f"is a broken tar: {error}") from error


def _copied(name: str, blocks: Iterator[bytes]) -> Iterator[tuple[str, Path]]:
    """Yield a member as a file of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _plain_name(name)
        with path.open("wb") as copy:
            copy.writelines(blocks)
        yield name, path


def _plain_name(name: str) -> str:
    """A name for the copy of a member: its suffix counts, its folders never."""
    suffix = PurePosixPath(name.replace("\\", "/")).suffix
    return f"member{suffix}" if suffix.isascii() and suffix[1:].isalnum() and len(suffix) < 20 else "member"
