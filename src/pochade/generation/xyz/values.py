"""The values of an axis as A1111 writes them: "10, 20", "1-5", "1-5 (+2)", "1-10 [5]"."""

import csv
import re
from collections.abc import Callable, Sequence
from io import StringIO
from itertools import permutations
from math import factorial
from typing import Any, TypeVar

import numpy as np

from pochade.errors import UsageError
from pochade.generation.pictures.sizes import parse_size
from pochade.generation.rules import shown

MOST_VALUES = 10_000
_WHOLE, _BROKEN = r"[+-]?\s*\d+", r"[+-]?\s*\d+(?:\.\d*)?"
_RANGE = r"({number})\s*-\s*({number})\s*(?:\(([+-]{digits})\s*\)|\[(\d+)\s*\])?"
_WHOLE_RANGE = re.compile(_RANGE.format(number=_WHOLE, digits=r"\d+"))
_BROKEN_RANGE = re.compile(_RANGE.format(number=_BROKEN, digits=r"\d+(?:\.\d*)?"))
_BROKEN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE]\+?\d+)?")
_SIGN = re.compile(r"^([+-])\s+")
_SWITCHES = {"true": True, "false": False}
_Number = TypeVar("_Number", int, float)


def words(text: str) -> list[str]:
    """The parts between commas, of one row of CSV: quotes keep a comma inside. Empty ones do not count.

    >>> words('"a, b", c')
    ['a, b', 'c']
    """
    return list(filter(None, _parts(text)))


def replacements(text: str) -> list[str]:
    """What is to replace, and what takes its place; that may be empty, which takes words out.

    >>> replacements("red,,blue")
    ['red', '', 'blue']
    """
    found = _parts(text)
    if found and not found[0]:
        raise UsageError(f"the first of {shown(text)} is empty; it must be words of the prompt, which are replaced.")
    return found


def _parts(text: str) -> list[str]:
    try:
        return [part.strip() for row in csv.reader(StringIO(text), skipinitialspace=True) for part in row]
    except csv.Error as error:
        raise UsageError(f"{shown(text)} is no list with commas between: {error}.") from error


def whole_numbers(text: str) -> list[int]:
    """Whole numbers and ranges of them.

    >>> whole_numbers("1-3, 10-5 (-3), 1-10 [4]")
    [1, 2, 3, 10, 7, 1, 4, 7, 10]
    """
    return _numbers(text, _WHOLE_RANGE, _whole, lambda start, end, step: range(start, end + 1, step))


def numbers(text: str) -> list[float]:
    """Numbers and ranges of them; a step goes on beyond the end, as far as the next one.

    >>> numbers("0-1 [3], 0-1 (+0.4)")
    [0.0, 0.5, 1.0, 0.0, 0.4, 0.8, 1.2000000000000002]
    """
    return _numbers(text, _BROKEN_RANGE, _broken, lambda start, end, step: np.arange(start, end + step, step).tolist())


def switches(text: str) -> list[bool]:
    """True and false, in any case of letters."""
    found = [(word, _SWITCHES.get(word.casefold())) for word in words(text)]
    for word, value in found:
        if value is None:
            raise UsageError(f"{shown(word)} is neither true nor false.")
    return [value for _, value in found if value is not None]


def sizes(text: str) -> list[tuple[int, int]]:
    """Widths with heights.

    >>> sizes("512x768, 768x512")
    [(512, 768), (768, 512)]
    """
    return list(map(parse_size, words(text)))


def orders(text: str) -> list[tuple[str, ...]]:
    """Every order of the words.

    >>> orders("a, b")
    [('a', 'b'), ('b', 'a')]
    """
    given = words(text)
    _check_count(text, factorial(min(len(given), 20)))
    return list(permutations(given))


def _numbers(
    text: str,
    pattern: re.Pattern[str],
    read: Callable[[str], _Number],
    expand: Callable[[_Number, _Number, _Number], Sequence[_Number]],
) -> list[_Number]:
    found: list[_Number] = []
    for word in words(text):
        match = pattern.fullmatch(word)
        found += _range(word, match, read, expand) if match else [_number(word, read)]
        _check_count(text, len(found))
    return found


def _range(
    word: str,
    match: re.Match[str],
    read: Callable[[str], _Number],
    expand: Callable[[_Number, _Number, _Number], Sequence[_Number]],
) -> list[_Number]:
    start, end = read(match[1]), read(match[2])
    if match[4]:
        _check_count(word, int(match[4]))
        return [type(start)(each) for each in np.linspace(start, end, int(match[4])).tolist()]
    step = read(match[3] or "1")
    if not step:
        raise UsageError(f"{shown(word)} never ends, for its step is 0.")
    _check_count(word, int(abs((end - start) / step)))
    return list(expand(start, end, step))


def _number(word: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(word)
    except ValueError as error:
        what = "whole number" if read is _whole else "number"
        raise UsageError(f"{shown(word)} is no {what} and no range, such as 1-5, 1-5 (+2) or 1-10 [5].") from error


def _whole(text: str) -> int:
    """A whole number, between whose sign and digits blanks may stand."""
    return int(_SIGN.sub(r"\1", text))


def _broken(text: str) -> float:
    """A number; small ones are written out, because a minus inside of one would be that of a range."""
    text = _SIGN.sub(r"\1", text)
    if not _BROKEN_NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _check_count(text: str, count: int) -> None:
    if count > MOST_VALUES:
        raise UsageError(f"{shown(text)} stands for {count} values; at most {MOST_VALUES} are possible.")
