"""Merges as sums: `0.7*a.safetensors + 0.3*b.safetensors`, `a + 1.0*(b - c)`.

A name is a file's path or its name in the models folder. A name with + * ( ) or blanks in it needs quotes around it; -
and / count as part of a name unless a blank stands before them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pochade.errors import UsageError

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)(?![^\s()*+/-])"""
    r"""|"(?P<double>[^"]+)"|'(?P<single>[^']+)'|(?P<sign>[-+*/()])|(?P<name>[^\s()*+"'-][^\s()*+"']*))"""
)
_PATH = re.compile(r"""\s*(?P<name>/[^\s()*+"']+)""")  # where no number or model stands before it, / divides nothing
_DEEPEST = 50


@dataclass(frozen=True)
class Sum:
    """A constant and a factor for every name."""

    constant: float = 0.0
    factors: Mapping[str, float] = field(default_factory=dict)

    def plus(self, other: "Sum", sign: float) -> "Sum":
        """This sum with `sign` times another one added."""
        factors = dict(self.factors)
        for name, factor in other.factors.items():
            factors[name] = factors.get(name, 0.0) + sign * factor
        return Sum(self.constant + sign * other.constant, factors)

    def times(self, factor: float) -> "Sum":
        """This sum multiplied."""
        return Sum(self.constant * factor, {name: each * factor for name, each in self.factors.items()})


def parse(text: str) -> dict[str, float]:
    """Return the factor of every name, in the order in which they occur. Raises UsageError where it is no such sum."""
    reader = _Reader(text, _tokens(text))
    found = reader.sum(0)
    if reader.tokens:
        raise UsageError(f"{text!r}: {reader.tokens[0][1]!r} stands where + or - was expected.")
    if found.constant or not found.factors:
        raise UsageError(f"{text!r} is no sum of models; write it like 0.7*a.safetensors + 0.3*b.safetensors.")
    return dict(found.factors)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        is_operand_next = not tokens or (tokens[-1][0] == "sign" and tokens[-1][1] != ")")
        found = (_PATH.match(text, position) if is_operand_next else None) or _TOKEN.match(text, position)
        if found is None:
            raise UsageError(f"{text!r}: {text[position:]!r} cannot be read; put names with odd signs in quotes.")
        kind = str(found.lastgroup)
        tokens.append(("name" if kind in ("double", "single") else kind, found[kind]))
        position = found.end()
    return tokens


@dataclass
class _Reader:
    text: str
    tokens: list[tuple[str, str]]

    def sum(self, depth: int) -> Sum:
        """A sum of products."""
        total = self.product(depth)
        while sign := self.take("+", "-"):
            total = total.plus(self.product(depth), 1.0 if sign == "+" else -1.0)
        return total

    def product(self, depth: int) -> Sum:
        """Factors, of which one at most names models."""
        total = self.factor(depth)
        while sign := self.take("*", "/"):
            other = self.factor(depth)
            if sign == "/":
                if other.factors or not other.constant:
                    raise UsageError(f"{self.text!r}: only a number other than zero can stand behind /.")
                total = total.times(1 / other.constant)
            elif total.factors and other.factors:
                raise UsageError(f"{self.text!r}: models can be multiplied by numbers only.")
            else:
                total = total.times(other.constant) if total.factors else other.times(total.constant)
        return total

    def factor(self, depth: int) -> Sum:
        """A number, a name, something in brackets, or one of these with its sign turned."""
        if depth > _DEEPEST:
            raise UsageError(f"{self.text[:80]!r}... has too many brackets or signs.")
        if self.take("-"):
            return self.factor(depth + 1).times(-1.0)
        if self.take("("):
            inner = self.sum(depth + 1)
            if not self.take(")"):
                raise UsageError(f"{self.text!r}: a bracket is not closed.")
            return inner
        if self.tokens and self.tokens[0][0] in ("number", "name"):
            kind, value = self.tokens.pop(0)
            return Sum(float(value)) if kind == "number" else Sum(0.0, {value: 1.0})
        found = f"{self.tokens[0][1]!r} stands" if self.tokens else "it ends"
        raise UsageError(f"{self.text!r}: {found} where a model or number was expected.")

    def take(self, *signs: str) -> str:
        """Take the next token if it is one of these signs."""
        if self.tokens and self.tokens[0][0] == "sign" and self.tokens[0][1] in signs:
            return self.tokens.pop(0)[1]
        return ""
