"""Is a file safe to load? What is scanned is what would be read: the same readers, the same allow-list.

safe        everything in it is known and inert
suspicious  nothing in it acts by itself, but it is not what it pretends to be, or it is or needs a program
malicious   it holds something that could act when it is loaded
corrupt     it cannot be read, so that nothing can be promised
"""

import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pochade.errors import FileError, MalformedFileError, MissingFileError, UnsafeFileError
from pochade.files import pictures, plain, probing, torch_tar, torch_zip, zips
from pochade.files.containers import HEAD, container_of
from pochade.files.mapped import MappedFile, mapped, reading
from pochade.files.walking import walked

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

    Folders behind links come last, each once, then those that cannot be listed. Raises FileError when there is nothing
    of this name, or it cannot be told; no file below it, however broken, raises anything.
    """
    path = Path(path)
    with reading(path):
        is_there, is_folder = path.exists(), path.is_dir()
    if not is_there:
        raise MissingFileError(path, "there is no such file or folder")
    if not is_folder:
        yield _verdict(path, 0)
        return
    refused: list[OSError] = []
    for folder, _, names in walked(path, refused.append):
        for name in names:
            yield _verdict(folder / name, 0)
    for error in refused:
        yield _corrupt(
            Path(error.filename or path), f"cannot be listed, so that nothing in it is known: {error.strerror}"
        )


def unread(path: Path, error: FileError) -> Verdict:
    """The verdict on what cannot be read, in the words of its error."""
    return _corrupt(path, str(error).removeprefix(f"{error.path}: "))


def _corrupt(path: Path, problem: str) -> Verdict:
    return Verdict(path, "corrupt", (Finding("", "", problem),))


def _verdict(path: Path, depth: int) -> Verdict:
    try:
        with mapped(path) as file:
            return _beyond_readers(file, depth)
    except UnsafeFileError as error:
        return Verdict(path, "malicious", (Finding(error.where, error.what, error.problem),))
    except FileError as error:
        return Verdict(path, "safe") if plain.is_placeholder(path) else unread(path, error)


def _beyond_readers(file: MappedFile, depth: int) -> Verdict:
    """What our readers say; what they refuse is looked at once more, as other programs would read it."""
    try:
        return _look(file, depth)
    except UnsafeFileError as error:
        if not probing.is_network(file, error):
            raise
        why = (
            f"its pickle names the class {error.what!r}, which its own program has to run; it is no model for pictures"
        )
        return Verdict(file.path, "suspicious", (Finding(error.where, error.what, why),))
    except FileError:
        probing.refuse_hidden(file)
        raise


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
    container, kind = container_of(head), plain.foreign(file.path, head)
    if container is None or kind or (plain.is_companion(file.path) and not head.startswith(_LOADED)):
        probing.refuse_calls(file)
        if kind:
            return Verdict(file.path, "safe", (Finding("", "", f"is {kind}: no model, and safe to leave where it is"),))
        plain.check_other(file)
        return Verdict(file.path, "safe")
    container.read(file)
    if container.name in _PICKLED and suffix == ".safetensors":
        why = "is a pickle that calls itself safetensors; this one is harmless, but its maker hides what it is"
        return Verdict(file.path, "suspicious", (Finding("", container.name, why),))
    return Verdict(file.path, "safe")


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
