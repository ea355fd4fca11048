"""What a field of a record may hold, said once: validation, CLI options and forms are made from the same rule."""

import math
from dataclasses import dataclass, field
from typing import Any

from pochade.errors import UnknownNameError, UsageError

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class Rule:
    """The help text of a field, the group it is shown in, and its limits."""

    help: str
    group: str = ""
    least: float | None = None
    most: float | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()


def option(default: Any, help: str, **limits: Any) -> Any:
    """Declare one dataclass field together with its rule."""
    return field(default=default, metadata={"rule": Rule(help, **limits)})


def canonical(value: Any, kind: type, rule: Rule) -> Any:
    """Give equal values one form: floats are floats, sizes are tuples, a choice has its one spelling."""
    if kind is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if kind in (tuple, list) and isinstance(value, list):
        return tuple(value)
    if rule.choices and isinstance(value, str):
        return next((each for each in rule.choices if each.casefold() == value.casefold()), value)
    return value


def check(name: str, value: Any, kind: tuple[type, bool], rule: Rule) -> None:
    """Raise UsageError unless `value` is of the kind (type, may be None) and keeps the rule."""
    expected, optional = kind
    if value is None and optional:
        return
    if expected is list:
        _check_texts(name, value, rule)
    elif expected is tuple:
        _check_size(name, value, rule)
    elif type(value) is not expected:
        raise UsageError(f"{name} is {shown(value)}; it must be {_wanted(expected, rule)}.")
    elif isinstance(value, str):
        _check_text(name, value, rule)
    elif isinstance(value, int | float) and expected is not bool and not is_within(value, rule):
        raise UsageError(f"{name} is {shown(value)}; it must be {_wanted(expected, rule)}{_nearest(value, rule)}.")


def shown(value: object) -> str:
    """The value as a message quotes it: never long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_within(value: float, rule: Rule) -> bool:
    """Whether a number keeps the limits of a rule."""
    least = -math.inf if rule.least is None else rule.least
    most = math.inf if rule.most is None else rule.most
    return math.isfinite(value) and least <= value <= most and not (rule.multiple_of and value % rule.multiple_of)


def _check_text(name: str, value: str, rule: Rule) -> None:
    if rule.choices and value not in rule.choices:
        raise UnknownNameError(f"choice of {name}", value, rule.choices)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} holds bytes that are no text; it must be Unicode: check the encoding.") from error


def _check_texts(name: str, value: Any, rule: Rule) -> None:
    if not isinstance(value, tuple) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"{name} is {shown(value)}; it must be a list of texts.")
    for each in value:
        _check_text(name, each, rule)


def _check_size(name: str, value: Any, rule: Rule) -> None:
    is_pair = isinstance(value, tuple) and len(value) == 2 and all(type(side) is int for side in value)
    if not is_pair or not all(is_within(side, rule) for side in value):
        raise UsageError(f"{name} is {shown(value)}; it must be two sides, each {_wanted(int, rule)}.")


def _nearest(value: float, rule: Rule) -> str:
    if not rule.multiple_of or not math.isfinite(value):
        return ""
    below = int(value // rule.multiple_of) * rule.multiple_of
    near = [str(each) for each in (below, below + rule.multiple_of) if is_within(each, rule)]
    return f" (nearest: {' or '.join(near)})" if near else ""


def _wanted(kind: type, rule: Rule) -> str:
    what = f"a multiple of {rule.multiple_of}" if rule.multiple_of else _NAMES[kind]
    return what if rule.least is None else f"{what} from {rule.least} to {rule.most}"
