"""Read what torch wrote up to 0.1.10: a tar of `storages`, `tensors` and the `pickle` that names them by number."""

import struct
import tarfile
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import NoReturn

from pochade.errors import UnsafeFileError
from pochade.files.allowed import Storage, StorageType, rebuilt, resolver
from pochade.files.dtypes import size_of
from pochade.files.mapped import MappedFile
from pochade.files.pickles import Machine
from pochade.files.state_dict import unwrapped
from pochade.files.weights import Array, LazyArray, TensorInfo, Weights, view

_PARTS = ("storages", "tensors", "pickle")
_MEMBERS = {"sys_info", *_PARTS}
_MOST_PICKLE_BYTES = 64_000_000
_MOST_PADDING = 1 << 20
_MOST_ITEMS = 1_000_000
_INT, _LONG = struct.Struct("<i"), struct.Struct("<q")


def recognises(head: bytes) -> bool:
    """Tell whether a file begins like a tar."""
    return head[257:262] == b"ustar"


def read(file: MappedFile) -> Weights:
    """Open a tar of torch; nothing in its pickles is ever run."""
    places = _places(file)
    storages = dict(_storages(file, *places["storages"]))
    tensors = dict(_tensors(file, storages, *places["tensors"]))

    def answer(identity: object) -> object:
        key = identity[0] if isinstance(identity, tuple) and identity else identity
        return tensors[key] if key in tensors else storages[key]  # KeyError: an unknown reference

    start, end = places["pickle"]
    machine = Machine(file.path, file.data, resolver(file.path), answer, start, end, where="pickle")
    value = machine.run()
    if machine.position != end:
        raise UnsafeFileError(file.path, "something follows the pickle in its tar")
    found, extra = unwrapped(file.path, value)
    return Weights(found, path=file.path, format="ckpt-legacy", extra=extra)


def is_checkpoint(file: MappedFile) -> bool:
    """Tell whether a tar is one of torch, not just any."""
    try:
        with tarfile.open(fileobj=file.stream(), mode="r:") as tar:
            return any(member.name.removeprefix("./") == "pickle" for member in islice(tar, len(_MEMBERS)))
    except (tarfile.TarError, ValueError, EOFError):
        return False


def _places(file: MappedFile) -> dict[str, tuple[int, int]]:
    """Return where each member's bytes begin and end."""
    places: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(fileobj=file.stream(), mode="r:") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name not in _MEMBERS or name in places or not member.isreg() or member.issparse():
                    raise UnsafeFileError(file.path, f"holds {name[:200]!r}, which no weights need", name[:200])
                places[name] = (member.offset_data, member.offset_data + member.size)
            end = tar.offset
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise file.malformed(f"is a broken tar: {error}") from error
    if not places.keys() >= set(_PARTS) or max(end for _, end in places.values()) > file.size:
        raise file.malformed("is a tar, but not a whole one of torch: it needs storages, tensors and pickle")
    if file.size - end > _MOST_PADDING or any(file.data[end:]):
        raise UnsafeFileError(file.path, "something follows the end of its tar")
    return places


def _storages(file: MappedFile, position: int, end: int) -> Iterator[tuple[object, Storage]]:
    """Yield key and storage: (key, device, class) pickled, the count of numbers, their bytes; views at the end."""
    found: dict[object, Storage] = {}
    count, position = _count(file, position, end)
    for _ in range(count):
        described, position = _plain(file, position, end)
        match described:
            case (int() | str() as key, str(), StorageType(dtype=str(dtype))):
                start = position + _LONG.size
                nbytes = _number(file, _LONG, position, end) * size_of(dtype)
            case _:
                raise file.malformed("describes a storage in an unknown way")
        position = start + nbytes
        if nbytes < 0 or position > end:
            raise file.malformed(f"is cut: storage {str(key)[:40]!r} has fewer numbers than it says")
        found[key] = Storage(dtype, nbytes, partial(_look, file, start))
    yield from found.items()
    views, position = _plain(file, position, end)
    if position != end:
        raise UnsafeFileError(file.path, "something follows the storages in its tar")
    for part in views if isinstance(views, list) else ():
        match part:
            case (target, root, int(offset), int(length)) if root in found and offset >= 0 <= length:
                whole = found[root]
                item = size_of(whole.dtype or "U8")
                if (offset + length) * item <= whole.nbytes:
                    yield target, Storage(whole.dtype, length * item, partial(_shifted, whole, offset * item))
                    continue
        raise file.malformed("has a view beyond its storage")


def _tensors(
    file: MappedFile, storages: dict[object, Storage], position: int, end: int
) -> Iterator[tuple[object, LazyArray]]:
    """Yield key and tensor: (key, storage, class) pickled, then dimensions, sizes, strides and offset."""
    count, position = _count(file, position, end)
    for _ in range(count):
        described, position = _plain(file, position, end)
        if not isinstance(described, tuple) or len(described) != 3 or described[1] not in storages:
            raise file.malformed("describes a tensor in an unknown way")
        dimensions = _number(file, _INT, position, end)
        form = struct.Struct(f"<8x{2 * dimensions + 1}q")
        if not 0 <= dimensions <= 64 or position + form.size > end:
            raise file.malformed("is cut, or has a tensor of impossible dimensions")
        numbers = form.unpack_from(file.data, position)
        position += form.size
        try:
            shape, strides, offset = numbers[:dimensions], numbers[dimensions:-1], numbers[-1]
            yield described[0], rebuilt(storages[described[1]], offset, shape, strides)
        except ValueError as error:
            raise file.malformed(f"has {error}") from error
    if position != end:
        raise UnsafeFileError(file.path, "something follows the tensors in its tar")


def _plain(file: MappedFile, position: int, end: int) -> tuple[object, int]:
    """Read one pickle without references."""
    machine = Machine(file.path, file.data, resolver(file.path), _no_reference, position, end)
    return machine.run(), machine.position


def _no_reference(identity: object) -> NoReturn:
    raise ValueError("a reference where none can be")


def _count(file: MappedFile, position: int, end: int) -> tuple[int, int]:
    value, position = _plain(file, position, end)
    if type(value) is not int or not 0 <= value <= _MOST_ITEMS:
        raise file.malformed(f"counts {value!r:.20} items")
    return value, position


def _number(file: MappedFile, form: struct.Struct, position: int, end: int) -> int:
    if position + form.size > end:
        raise file.malformed("is cut in the middle of a number")
    return int(form.unpack_from(file.data, position)[0])


def _look(file: MappedFile, start: int, info: TensorInfo, offset: int, strides: tuple[int, ...]) -> Array:
    return view(file.data, info, start + offset, strides)


def _shifted(storage: Storage, begin: int, info: TensorInfo, offset: int, strides: tuple[int, ...]) -> Array:
    return storage.look(info, begin + offset, strides)
