"""Which characters are letters and numbers, the same under every Python version."""

from bisect import bisect_right


def _ranges(text: str) -> tuple[list[int], list[int]]:
    """First and last code points of ranges written in hexadecimal."""
    pairs = [(part.split("-") * 2)[:2] for part in text.split()]
    return [int(first, 16) for first, _ in pairs], [int(last, 16) for _, last in pairs]


# What Unicode has added since version 14, which the oldest supported Python knows.
_NEWER_LETTERS = _ranges(
    """
    558 58b-58c 88f c5c cdc 1c89-1c8a 208f 209d-209f a7cb-a7cf a7d2 a7d4 a7da-a7dd a7e2 a7f1 ab6c-ab6d
    105c0-105f3 107bb-107bf 10940-10959 10d4a-10d65 10d6f-10d85 10ec2-10ec7 10ed9-10eee 1123f-11240 11380-11389
    1138b 1138e 11390-113b5 113b7 113d1 113d3 11b0a 11bc0-11be0 11db0-11ddb 11df1 11f02 11f04-11f10 11f12-11f33
    1342f 13441-13446 13460-143fa 16100-1611d 16d40-16d6c 16ea0-16eb8 16ebb-16ed3 16ff2-16ff3 187f8-187ff
    18cd6-18cda 18cff 18d09-18d20 18d80-18df2 18e00-19191 191a0-191d2 1b123-1b128 1b132 1b155 1b168 1d6a6
    1df1f-1df81 1df90-1df96 1dfcd-1dfff 1e030-1e06d 1e4d0-1e4eb 1e5d0-1e5ed 1e5f0 1e6c0-1e6de 1e6e0-1e6e2
    1e6e4-1e6e5 1e6e7-1e6ed 1e6f0-1e6f4 1e6fe-1e6ff 2b739-2b73f 2b81e 2cea2-2cead 2ebf0-2ee5d 31350-33479
    3d000-3fc3f
    """
)
_NEWER_NUMBERS = _ranges(
    """
    10d40-10d49 116d0-116e3 11bf0-11bf9 11de0-11de9 11f50-11f59 1246f 12475-1247f 12550-12686 16130-16139
    16d70-16d79 16ff4-16ff6 1ccf0-1ccf9 1d2c0-1d2d3 1e4f0-1e4f9 1e5f1-1e5fa
    """
)


def _within(code: int, ranges: tuple[list[int], list[int]]) -> bool:
    firsts, lasts = ranges
    index = bisect_right(firsts, code) - 1
    return index >= 0 and code <= lasts[index]


def is_letter(character: str) -> bool:
    """Whether Unicode files the character under L."""
    return character.isalpha() or _within(ord(character), _NEWER_LETTERS)


def is_number(character: str) -> bool:
    """Whether Unicode files the character under N; ideographs that mean a number are letters."""
    if character.isnumeric():
        return not character.isalpha()
    return _within(ord(character), _NEWER_NUMBERS)


class _Stand(dict[int, str]):
    """Code point to its stand-in: ASCII and ſ stand for themselves, other letters é, other numbers ², the rest ¤."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if code < 0x80 or character == "ſ":
            stand_in = character
        elif is_letter(character):
            stand_in = "é"
        else:
            stand_in = "²" if is_number(character) else "¤"
        self[code] = stand_in
        return stand_in


# U+0345 folds to a letter but is none: the case-blind pattern of the original finds it in no class and drops it.
_STAND = _Stand({0x345: " "})


def shadow(text: str) -> str:
    """`text` with one stand-in per character, so that a pattern over a small alphabet finds its words."""
    return text if text.isascii() else text.translate(_STAND)
