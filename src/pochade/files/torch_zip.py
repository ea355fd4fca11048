"""Read the zip files that torch has written since 1.6: one pickle that describes, and one member per storage."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from pochade.errors import UnsafeFileError
from pochade.files import zips
from pochade.files.allowed import Storage, StorageType, resolver
from pochade.files.dtypes import size_of
from pochade.files.mapped import MappedFile
from pochade.files.pickles import Machine
from pochade.files.state_dict import unwrapped
from pochade.files.weights import Array, TensorInfo, Weights, view
from pochade.files.zips import Member

_PICKLE = "data.pkl"
_MOST_PICKLE_BYTES = 64_000_000
_MOST_INFLATED_PICKLE_BYTES = 16_000_000
_SMALL_MEMBERS = {"version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"}


def recognises(head: bytes) -> bool:
    """Tell whether a file begins like a zip."""
    return head.startswith(b"PK\3\4")


def read(file: MappedFile) -> Weights:
    """Open a torch checkpoint; its pickle is interpreted, never run."""
    found = zips.members(file)
    roots = _roots(found)
    if len(roots) != 1:
        raise file.malformed("is a zip, but not a torch checkpoint: it has no data.pkl in a single folder")
    member = found[roots[0] + _PICKLE]
    if member.size > (_MOST_PICKLE_BYTES if member.stored else _MOST_INFLATED_PICKLE_BYTES):
        raise file.malformed(f"its data.pkl has {member.size} bytes; weights need far fewer")
    records = _records(file, found, roots[0])
    content = member.read(file)
    machine = Machine(file.path, content, resolver(file.path), partial(_storage, file, records), where=member.name)
    value = machine.run()
    if machine.position != len(content):
        raise UnsafeFileError(file.path, "something follows the pickle in data.pkl")
    member.check(file, content)
    tensors, extra = unwrapped(file.path, value)
    return Weights(tensors, path=file.path, format="ckpt", extra=extra)


def is_checkpoint(file: MappedFile) -> bool:
    """Tell whether a zip is one of torch, not just any."""
    return bool(_roots(zips.members(file)))


def _roots(found: Iterable[str]) -> list[str]:
    """Return the folders that hold a data.pkl, with their slash."""
    return [name[: -len(_PICKLE)] for name in found if name.endswith("/" + _PICKLE) and name.count("/") == 1]


def _records(file: MappedFile, found: Mapping[str, Member], root: str) -> dict[str, Member]:
    """Return the storages by key; members that torch would not write are refused."""
    records: dict[str, Member] = {}
    for name, member in found.items():
        inner = name.removeprefix(root)
        if not name.startswith(root) or (name.endswith("/") and member.size):
            raise UnsafeFileError(file.path, f"holds {name[:200]!r}, which no weights need", name[:200])
        if inner.startswith("data/") and not name.endswith("/"):
            records[inner.removeprefix("data/")] = member
        elif inner not in _SMALL_MEMBERS | {_PICKLE} and not name.endswith("/"):
            raise UnsafeFileError(file.path, f"holds {name[:200]!r}, which no weights need", name[:200])
    order = found.get(root + "byteorder")
    if order and (order.size > 16 or order.read(file) != b"little"):
        raise file.malformed("was written by a big-endian machine, which is not supported")
    return records


def _storage(file: MappedFile, records: Mapping[str, Member], identity: object) -> Storage:
    """Answer a persistent id: ('storage', class, key, device, count of numbers)."""
    match identity:
        case ("storage", StorageType(dtype=dtype), str(key), str(), int(count)) if key in records:
            member = records[key]
            if count * size_of(dtype or "U8") != member.size:
                raise ValueError(
                    f"storage {key[:40]!r} should have {count} numbers; its record has {member.size} bytes"
                )
            return Storage(dtype, member.size, partial(_look, file, member), _blocks(file, member))
    raise ValueError("a storage that the file does not have")


def _blocks(file: MappedFile, member: Member) -> Callable[[str, int, int], Iterator[Array]] | None:
    """Return how a member is read in pieces, if it is not packed."""
    if not member.stored:
        return None
    return lambda dtype, offset, nbytes: file.blocks(dtype, member.start + offset, nbytes)


def _look(file: MappedFile, member: Member, info: TensorInfo, offset: int, strides: tuple[int, ...]) -> Array:
    if member.stored:
        return view(file.data, info, member.start + offset, strides)
    content = member.read(file)
    member.check(file, content)
    return view(bytearray(content), info, offset, strides)
