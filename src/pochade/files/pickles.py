"""Read pickles by interpreting their opcodes. Nothing is imported and nothing is called but makers of an allow-list.

The machine knows stack, marks and memo as the format has them, so what it sees is what any loader would see. Names
are resolved by the caller's `resolve`, which refuses unknown ones; persistent ids (torch's storages) by `persistent`.
"""

import codecs
import mmap
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from pochade.errors import MalformedFileError, UnsafeFileError

MOST_OPCODES = 5_000_000
_MARK = object()
_BREAKS: dict[type[Exception], str] = {
    IndexError: "it is cut",
    KeyError: "an unknown opcode or reference",
    struct.error: "it is cut",
}
_ATOMS = (str, bytes, float, bool, type(None))
_TEXT_PER_STEP = 16
_STEPS_PER_CALL, _STEPS_PER_SET = 3, 4  # what they make takes more memory than other values
_BIGGEST_INT_KEY = 1 << 60  # larger ones could all fall on one hash
_NEWEST_PROTOCOL = 5


@dataclass(frozen=True, eq=False)
class Known:
    """A name of the allow-list; calling it in a pickle means `make(arguments)`, which builds a plain value."""

    name: str
    make: Callable[..., object]


@dataclass(eq=False, slots=True)
class Stub:
    """An object of an inert foreign class, kept as data: nothing of its class is ever run."""

    name: str
    arguments: tuple[object, ...] = ()
    state: object = None
    items: dict[Any, object] = field(default_factory=dict)


Resolve: TypeAlias = Callable[[str, str], object]


@dataclass
class Machine:
    """The state of reading one pickle from `data`, beginning at `position` and reaching `end` at most."""

    path: Path
    data: bytes | bytearray | mmap.mmap
    resolve: Resolve
    persistent: Callable[[object], object]
    position: int = 0
    end: int = sys.maxsize
    where: str = ""  # the member of an archive that `data` is
    budget: int = MOST_OPCODES
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.end = min(self.end, len(self.data))

    def run(self) -> Any:
        """Return the pickled value; `position` is then the byte after it."""
        began = self.position
        try:
            data = self.data
            while (code := data[self.position]) != _STOP:
                began = self.position
                self.position += 1
                self.budget -= 1
                _OPCODES[code](self)
                if self.budget < 0:
                    self.spend(0)
            self.position += 1
            if self.position > self.end:
                raise IndexError
            return self.pop()
        except UnsafeFileError as error:
            error.where = f"{self.where} at byte {began}".lstrip()
            raise
        except (IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error) as error:
            what = _BREAKS.get(type(error), str(error))
            raise MalformedFileError(self.path, f"its pickle breaks at byte {began}: {what}") from error

    def spend(self, count: int) -> None:
        """Count work, so that a small file cannot ask for much of it."""
        self.budget -= count
        if self.budget < 0:
            raise ValueError(f"it asks for more than {MOST_OPCODES} steps")

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        end = self.position + count
        if count < 0 or end > self.end:
            raise IndexError
        taken = bytes(self.data[self.position : end])
        self.position = end
        return taken

    def line(self) -> bytes:
        """Return the bytes up to the next line feed."""
        end = self.data.find(b"\n", self.position, self.end)
        line = self.take(end - self.position)
        self.position += 1
        return line

    def pop(self) -> Any:
        """Take the top of the stack, which may not be a mark."""
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value should be")
        return value

    def top(self, *kinds: type) -> Any:
        """Look at the top of the stack, which must be one of these kinds."""
        value = self.stack[-1]
        if value is _MARK or not isinstance(value, kinds):
            raise TypeError(f"it uses a value of type {type(value).__name__} where none can be")
        return value

    def since_mark(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        values.reverse()
        return values

    def call(self, callee: object, arguments: object) -> object:
        """Make the value that a call stands for."""
        if not isinstance(callee, Known) or not isinstance(arguments, tuple):
            raise TypeError("it calls something that cannot be called")
        steps = _STEPS_PER_CALL
        for each in arguments:
            if isinstance(each, (list, tuple, dict, set, frozenset)):
                steps += len(each)
            elif isinstance(each, (str, bytes)):
                steps += len(each) // _TEXT_PER_STEP
        self.spend(steps)
        return callee.make(*arguments)

    def fill(self, target: Any, pairs: list[Any]) -> None:
        """Put keys and values, which alternate, into a dictionary or stub."""
        table = target.items if isinstance(target, Stub) else target
        if len(pairs) % 2:
            raise ValueError("a key without a value")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            table[checked_key(key)] = value

    def extend(self, target: Any, values: list[Any]) -> None:
        """Append values to a list or stub."""
        if isinstance(target, Stub):
            target.items.update(enumerate(values, len(target.items)))
        else:
            target.extend(values)


def checked_key(key: Any) -> Any:
    """Return a key that hashes quickly and shallowly; TypeError for others."""
    if isinstance(key, tuple):
        if any(isinstance(each, tuple) for each in key):
            raise TypeError("a nested tuple as a key")
        for each in key:
            checked_key(each)
    elif isinstance(key, int):
        if abs(key) > _BIGGEST_INT_KEY:
            raise TypeError("a huge number as a key")
    elif not isinstance(key, (*_ATOMS, Known)):
        raise TypeError(f"a key of type {type(key).__name__}")
    return key


def _constant(value: object) -> "Opcode":
    return lambda machine: machine.stack.append(value)


def _fresh(kind: type) -> "Opcode":
    return lambda machine: machine.stack.append(kind())


def _fresh_set(machine: Machine) -> None:
    machine.spend(_STEPS_PER_SET)
    machine.stack.append(set())


def _reader(form: str) -> Callable[[Machine], Any]:
    """Return what takes the next number of this form."""
    unpack, size = struct.Struct(form).unpack_from, struct.calcsize(form)

    def read(machine: Machine) -> Any:
        value = unpack(machine.data, machine.position)[0]
        machine.position += size
        return value

    return read


_BYTE, _SHORT, _UNSIGNED, _WIDE = map(_reader, ("<B", "<H", "<I", "<Q"))
_SIGNED, _DOUBLE = map(_reader, ("<i", ">d"))


def _number(read: Callable[[Machine], Any]) -> "Opcode":
    return lambda machine: machine.stack.append(read(machine))


def _text(read: Callable[[Machine], int]) -> "Opcode":
    return lambda machine: machine.stack.append(machine.take(read(machine)).decode("utf-8", "surrogatepass"))


def _latin(read: Callable[[Machine], int]) -> "Opcode":
    return lambda machine: machine.stack.append(machine.take(read(machine)).decode("latin-1"))


def _raw(read: Callable[[Machine], int]) -> "Opcode":
    return lambda machine: machine.stack.append(machine.take(read(machine)))


def _long(read: Callable[[Machine], int]) -> "Opcode":
    return lambda machine: machine.stack.append(int.from_bytes(machine.take(read(machine)), "little", signed=True))


def _skip(read: Callable[[Machine], int]) -> "Opcode":
    return lambda machine: read(machine) and None


def _tuple_of(count: int) -> "Opcode":
    def build(machine: Machine) -> None:
        values = tuple(machine.stack[-count:])
        if len(values) < count or _MARK in values:
            raise IndexError
        machine.stack[-count:] = [values]

    return build


def _collect(kind: Callable[[list[Any]], object]) -> "Opcode":
    return lambda machine: machine.stack.append(kind(machine.since_mark()))


def _dictionary(values: list[Any]) -> dict[Any, Any]:
    return {checked_key(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def _put(read: Callable[[Machine], int]) -> "Opcode":
    def remember(machine: Machine) -> None:
        machine.memo[read(machine)] = machine.top(object)

    return remember


def _get(read: Callable[[Machine], int]) -> "Opcode":
    return lambda machine: machine.stack.append(machine.memo[read(machine)])


def _put_line(machine: Machine) -> None:
    machine.memo[int(machine.line())] = machine.top(object)


def _get_line(machine: Machine) -> None:
    machine.stack.append(machine.memo[int(machine.line())])


def _int(machine: Machine) -> None:
    line = machine.line()
    machine.stack.append(line == b"01" if line in (b"00", b"01") else int(line))


def _long_line(machine: Machine) -> None:
    machine.stack.append(int(machine.line().removesuffix(b"L")))


def _float_line(machine: Machine) -> None:
    machine.stack.append(float(machine.line()))


def _string_line(machine: Machine) -> None:
    line = machine.line()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise ValueError("a text without quotes")
    machine.stack.append(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))


def _unicode_line(machine: Machine) -> None:
    machine.stack.append(machine.line().decode("raw-unicode-escape"))


def _protocol(machine: Machine) -> None:
    if _BYTE(machine) > _NEWEST_PROTOCOL:
        raise ValueError("an unknown protocol")


def _global(machine: Machine) -> None:
    module, name = machine.line().decode(), machine.line().decode()
    machine.stack.append(machine.resolve(module, name))


def _stack_global(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise TypeError("a name that is no text")
    machine.stack.append(machine.resolve(module, name))


def _reduce(machine: Machine) -> None:
    arguments, callee = machine.pop(), machine.pop()
    machine.stack.append(machine.call(callee, arguments))


def _new_with_keywords(machine: Machine) -> None:
    keywords, arguments, callee = machine.pop(), machine.pop(), machine.pop()
    if keywords:
        raise ValueError("it makes an object with keywords")
    machine.stack.append(machine.call(callee, arguments))


def _inst(machine: Machine) -> None:
    module, name = machine.line().decode(), machine.line().decode()
    callee = machine.resolve(module, name)
    machine.stack.append(machine.call(callee, tuple(machine.since_mark())))


def _obj(machine: Machine) -> None:
    callee, *arguments = machine.since_mark()
    machine.stack.append(machine.call(callee, tuple(arguments)))


def _build(machine: Machine) -> None:
    """Keep the state of a stub; that of plain containers, e.g. `_metadata` of a state_dict, is not needed."""
    state = machine.pop()
    target = machine.top(Stub, dict, list, set)
    if isinstance(target, Stub):
        target.state = state


def _persistent(machine: Machine) -> None:
    machine.stack.append(machine.persistent(machine.pop()))


def _persistent_line(machine: Machine) -> None:
    machine.stack.append(machine.persistent(machine.line().decode()))


def _append(machine: Machine) -> None:
    value = machine.pop()
    machine.extend(machine.top(list, Stub), [value])


def _appends(machine: Machine) -> None:
    values = machine.since_mark()
    machine.extend(machine.top(list, Stub), values)


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.fill(machine.top(dict, Stub), [key, value])


def _set_items(machine: Machine) -> None:
    pairs = machine.since_mark()
    machine.fill(machine.top(dict, Stub), pairs)


def _add_items(machine: Machine) -> None:
    values = machine.since_mark()
    machine.top(set).update(checked_key(each) for each in values)


def _frozen(values: list[Any]) -> frozenset[Any]:
    return frozenset(checked_key(each) for each in values)


def _extension(machine: Machine) -> None:
    raise UnsafeFileError(machine.path, "its pickle names code by a registry number")


def _buffer(machine: Machine) -> None:
    raise ValueError("it needs bytes from outside")


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.top(object)


Opcode: TypeAlias = Callable[[Machine], object]
_STOP = ord(".")
_OPCODES: dict[int, Opcode] = {
    code[0]: run
    for code, run in {
        b"(": _constant(_MARK),
        b"N": _constant(None),
        b"\x88": _constant(True),
        b"\x89": _constant(False),
        b"]": _fresh(list),
        b")": _fresh(tuple),
        b"}": _fresh(dict),
        b"\x8f": _fresh_set,
        b"I": _int,
        b"L": _long_line,
        b"F": _float_line,
        b"S": _string_line,
        b"V": _unicode_line,
        b"J": _number(_SIGNED),
        b"K": _number(_BYTE),
        b"M": _number(_SHORT),
        b"G": _number(_DOUBLE),
        b"\x8a": _long(_BYTE),
        b"\x8b": _long(_SIGNED),
        b"X": _text(_UNSIGNED),
        b"\x8c": _text(_BYTE),
        b"\x8d": _text(_WIDE),
        b"T": _latin(_SIGNED),
        b"U": _latin(_BYTE),
        b"B": _raw(_UNSIGNED),
        b"C": _raw(_BYTE),
        b"\x8e": _raw(_WIDE),
        b"\x96": _raw(_WIDE),
        b"\x85": _tuple_of(1),
        b"\x86": _tuple_of(2),
        b"\x87": _tuple_of(3),
        b"t": _collect(tuple),
        b"l": _collect(list),
        b"d": _collect(_dictionary),
        b"\x91": _collect(_frozen),
        b"a": _append,
        b"e": _appends,
        b"s": _set_item,
        b"u": _set_items,
        b"\x90": _add_items,
        b"p": _put_line,
        b"q": _put(_BYTE),
        b"r": _put(_UNSIGNED),
        b"\x94": _memoize,
        b"g": _get_line,
        b"h": _get(_BYTE),
        b"j": _get(_UNSIGNED),
        b"0": lambda machine: machine.stack.pop(),
        b"1": Machine.since_mark,
        b"2": lambda machine: machine.stack.append(machine.top(object)),
        b"\x80": _protocol,
        b"\x95": _skip(_WIDE),
        b"c": _global,
        b"\x93": _stack_global,
        b"R": _reduce,
        b"\x81": _reduce,
        b"\x92": _new_with_keywords,
        b"i": _inst,
        b"o": _obj,
        b"b": _build,
        b"P": _persistent_line,
        b"Q": _persistent,
        b"\x82": _extension,
        b"\x83": _extension,
        b"\x84": _extension,
        b"\x97": _buffer,
        b"\x98": _buffer,
    }.items()
}
