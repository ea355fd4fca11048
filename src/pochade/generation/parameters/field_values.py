"""What the text of a parameter means as a value of a Request's field."""

from collections.abc import Mapping
from typing import Any

from pochade.generation.request import kind_of, rules
from pochade.generation.rules import Rule, canonical

_BOOLEANS = {"true": True, "false": False}


def value_of(field: str, text: Any) -> Any:
    """A parameter's text as the field's value; None if it cannot be one."""
    if text is None:
        return None
    kind, rule = kind_of(field)[0], rules()[field]
    if kind is bool:
        return _BOOLEANS.get(str(text).casefold())
    if kind is str:
        value = canonical(str(text), kind, rule)
        return value if not rule.choices or value in rule.choices else None
    return _number(text, kind, rule)


def size_of(field: str, parameters: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    """Two sides as a size field's value, from the two parameters into which a text block's size is parsed."""
    width, height = (_number(parameters.get(f"{name}-{side}", ""), int, rules()[field]) for side in (1, 2))
    return None if width is None or height is None else (width, height)


def _number(text: Any, kind: type, rule: Rule) -> Any:
    """A number within the limits of a rule; multiples do not matter."""
    try:
        number = kind(text)
    except ValueError:
        return None
    least, most = rule.least, rule.most
    return number if least is not None and most is not None and least <= number <= most else None
