"""The directory of a zip file, read strictly: every byte must belong to a member that both of its records describe.

Tools that disagree about a zip are how code slips past scanners, so whatever is unusual is refused.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pochade.files.mapped import MappedFile

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")
END64 = struct.Struct("<4sQHHIIQQQQ")
LOCATOR64 = struct.Struct("<4sIQI")
_DESCRIPTOR_SIZES = {0, 12, 16, 20, 24}
_SIZE_LATER, _UTF8 = 0x0008, 0x0800
_STORED, _DEFLATED = 0, 8
MAX32, MAX16 = 0xFFFFFFFF, 0xFFFF
WIDE = 1
_MOST_MEMBERS = 2_000_000
_MOST_INFLATION = 200
_SALVAGED_BYTES, _MOST_SALVAGED = 4_000_000, 64_000_000


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside a zip; its bytes, as they lie in the archive, are [start, start + packed)."""

    name: str
    start: int
    packed: int
    size: int
    crc: int
    stored: bool

    def read(self, file: MappedFile) -> bytes:
        """Return the member's bytes, inflated if need be."""
        raw = file.data[self.start : self.start + self.packed]
        if self.stored:
            return bytes(raw)
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            inflated = engine.decompress(raw, self.size + 1)
        except zlib.error as error:
            raise file.malformed(f"its member {self.name!r} is damaged: {error}") from error
        if len(inflated) != self.size or not engine.eof:
            raise file.malformed(f"its member {self.name!r} does not inflate to the {self.size} bytes it claims")
        return inflated

    def blocks(self, file: MappedFile, size: int) -> Iterator[bytes]:
        """Yield the member's bytes block by block; its checksum is compared at the end."""
        engine = None if self.stored else zlib.decompressobj(-zlib.MAX_WBITS)
        crc = done = 0
        for start in range(self.start, self.start + self.packed, size):
            block = bytes(file.data[start : min(start + size, self.start + self.packed)])
            while block:
                try:
                    part = engine.decompress(block, size) if engine else block
                except zlib.error as error:
                    raise file.malformed(f"its member {self.name[:200]!r} is damaged: {error}") from error
                block = engine.unconsumed_tail if engine else b""
                crc, done = zlib.crc32(part, crc), done + len(part)
                if done > self.size:
                    raise file.malformed(f"its member {self.name[:200]!r} is longer than it says")
                yield part
        if crc != self.crc or done != self.size:
            raise file.malformed(f"its member {self.name[:200]!r} is damaged: wrong checksum")

    def check(self, file: MappedFile, content: bytes) -> None:
        """Compare the checksum."""
        if zlib.crc32(content) != self.crc:
            raise file.malformed(f"its member {self.name!r} is damaged: wrong checksum")


def members(file: MappedFile) -> dict[str, Member]:
    """Return the members of a zip by name, in the order in which they lie."""
    try:
        count, start, end = _directory(file)
        found: dict[str, Member] = {}
        position, reached = start, 0
        for _ in range(count):
            member, header, position = _entry(file, position, end)
            if member.name in found:
                raise ValueError(f"the name {member.name[:200]!r} stands there twice")
            _check_gap(header - reached)
            reached = member.start + member.packed
            found[member.name] = member
        _check_gap(start - reached)
        if position != end:
            raise ValueError("its directory has a wrong length")
    except (struct.error, ValueError) as error:
        raise file.malformed(f"is a broken zip: {error}") from error
    return found


def salvaged(file: MappedFile, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and first bytes of the members that end so and whose own headers can be found, with no regard for the
    directory.
    """
    position, budget = -1, _MOST_SALVAGED
    while budget > 0:
        position = file.data.find(b"PK\3\4", position + 1)
        if position < 0 or position + LOCAL.size > file.size:
            return
        _, _, _, method, _, _, _, packed, _, name_length, extra_length = LOCAL.unpack_from(file.data, position)
        start = position + LOCAL.size + name_length + extra_length
        name = str(file.data[position + LOCAL.size : position + LOCAL.size + name_length], "utf-8", "replace")
        if not name.endswith(suffix):
            continue
        raw = bytes(file.data[start : start + min(packed or _SALVAGED_BYTES, _SALVAGED_BYTES)])
        budget -= _SALVAGED_BYTES
        try:
            yield (
                name,
                raw if method == _STORED else zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, _SALVAGED_BYTES),
            )
        except zlib.error:
            continue


def _check_gap(gap: int) -> None:
    if gap not in _DESCRIPTOR_SIZES:
        raise ValueError("members overlap" if gap < 0 else "bytes between members belong to nothing")


def _directory(file: MappedFile) -> tuple[int, int, int]:
    """Return count of entries, start and end of the directory, from the record that ends the file."""
    at = file.size - END.size
    if at < 0 or file.data[at : at + 4] != b"PK\5\6":
        raise ValueError("it is cut, or something follows its end")
    _, disk, other, here, count, size, start, comment = END.unpack_from(file.data, at)
    if disk or other or comment or here != count:
        raise ValueError("it has several parts or a comment")
    end = at
    locator = at - LOCATOR64.size
    if locator >= 0 and file.data[locator : locator + 4] == b"PK\6\7":
        end = LOCATOR64.unpack_from(file.data, locator)[2]
        if end + END64.size != locator:
            raise ValueError("its end record is not where it should be")
        mark, _, _, _, _, _, here64, count64, size64, start64 = END64.unpack_from(file.data, end)
        _agree((count, MAX16, count64), (size, MAX32, size64), (start, MAX32, start64), (here64, -1, count64))
        count, size, start = count64, size64, start64
        if mark != b"PK\6\6":
            raise ValueError("its end record is not where it should be")
    if start + size != end or count > min(_MOST_MEMBERS, size // CENTRAL.size):
        raise ValueError("its directory is not where it should be")
    return count, start, end


def _agree(*triples: tuple[int, int, int]) -> None:
    """Each short field must equal the long one, or say by its largest value that the long one counts."""
    if any(short not in (placeholder, long) for short, placeholder, long in triples):
        raise ValueError("its two end records disagree")


def _entry(file: MappedFile, position: int, end: int) -> tuple[Member, int, int]:
    """Return a directory entry: the member, where its own header lies, and where the next entry begins."""
    mark, _, _, flags, method, _, _, crc, packed, size, name_length, extra_length, comment, disk, _, _, header = (
        CENTRAL.unpack_from(file.data, position)
    )
    after_name = position + CENTRAL.size + name_length
    after = after_name + extra_length
    if mark != b"PK\1\2" or after > end or comment or disk:
        raise ValueError("an entry of its directory is broken")
    if method not in (_STORED, _DEFLATED) or flags & ~(_SIZE_LATER | _UTF8 | 0x6):
        raise ValueError("it is encrypted or packed in an unknown way")
    wide = _wide(bytes(file.data[after_name:after]), [size, packed, header])
    size, packed, header = wide
    stored = method == _STORED
    if (stored and packed != size) or size > _MOST_INFLATION * packed + MAX16:
        raise ValueError("a member claims a size that it cannot have")
    name = str(file.data[position + CENTRAL.size : after_name], "utf-8")
    local = file.peek(header, LOCAL.size + name_length)
    member = Member(name, header + _own_size(local), packed, size, crc, stored)
    _check_local(local, member, flags)
    if member.start + member.packed > file.size:
        raise ValueError(f"the member {name[:200]!r} is cut")
    return member, header, after


def _wide(extra: bytes, values: list[int]) -> list[int]:
    """Replace those of [size, packed, header] that did not fit 32 bits by their wide form."""
    if MAX32 not in values:
        return values
    fields = _extra_field(extra, WIDE)
    wide = iter(struct.unpack(f"<{len(fields) // 8}Q", fields[: len(fields) // 8 * 8]))
    filled = [next(wide, -1) if value == MAX32 else value for value in values]
    if min(filled) < 0:
        raise ValueError("an entry of its directory is broken")
    return filled


def _extra_field(extra: bytes, wanted: int) -> bytes:
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == wanted:
            return extra[position + 4 : position + 4 + length]
        position += 4 + length
    return b""


def _own_size(local: bytes) -> int:
    """Return the bytes of a member's own header."""
    *_, name_length, extra_length = LOCAL.unpack_from(local)
    return LOCAL.size + int(name_length) + int(extra_length)


def _check_local(local: bytes, member: Member, flags: int) -> None:
    """A member's own header must tell the same as the directory."""
    mark, _, own_flags, method, _, _, crc, packed, size, name_length, _ = LOCAL.unpack_from(local)
    name = member.name.encode()
    later = {0} if flags & _SIZE_LATER else set()
    same = (
        mark == b"PK\3\4"
        and own_flags == flags
        and (method == _STORED) == member.stored
        and name_length == len(name)
        and local[LOCAL.size :] == name
        and crc in {member.crc, *later}
        and packed in {member.packed, MAX32, *later}
        and size in {member.size, MAX32, *later}
    )
    if not same:
        raise ValueError(f"the two records of {member.name[:200]!r} disagree")
