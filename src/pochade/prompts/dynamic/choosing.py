"""Templates written out: by lot, so that a seed always draws the same, or in every way that there is."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from random import Random
from typing import Protocol, TypeAlias

from pochade.errors import UsageError
from pochade.prompts import comments
from pochade.prompts.dynamic.grammar import Choice, Node, Setting, Template, Variable, Wildcard, read
from pochade.prompts.dynamic.wildcards import Value

_LONGEST = 100_000  # letters that come out, and pieces of templates that are looked at
_DEEPEST = 100  # templates inside of one another

Choose: TypeAlias = Callable[[Sequence[float]], int]
"""Which of several things is taken, told by their weights."""

Pool: TypeAlias = list[tuple[float, Callable[[], str]]]


class Values(Protocol):
    """Where the values of wildcards come from."""

    def values(self, name: str) -> Sequence[Value]:
        """All values of a wildcard."""
        ...


def by_lot(texts: Sequence[str], values: Values, seed: int) -> tuple[str, ...]:
    """Templates written out as the seed has it; variables of one are known in those behind it."""
    return _written(texts, values, _lot(seed))


def every(texts: Sequence[str], values: Values) -> Iterator[tuple[str, ...]]:
    """Templates written out in every way, whose last choice changes first."""
    path = _Path()
    while True:
        yield _written(texts, values, path.choose)
        if not path.advance():
            return


def _written(texts: Sequence[str], values: Values, choose: Choose) -> tuple[str, ...]:
    writer = _Writer(values, choose)
    return tuple(writer.write(read(comments.strip(text))) for text in texts)


def _lot(seed: int) -> Choose:
    chance = Random(seed)

    def choose(weights: Sequence[float]) -> int:
        bounds = list(accumulate(weights))
        return min(bisect_right(bounds, chance.random() * bounds[-1]), len(bounds) - 1)

    return choose


class _Path:
    """One way through the choices of a template: which were taken, and how many there were at each."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.numbers: list[int] = []
        self.at = 0

    def choose(self, weights: Sequence[float]) -> int:
        """Go on as before; where the way is new, take the first."""
        if self.at == len(self.taken):
            self.taken.append(0)
            self.numbers.append(len(weights))
        self.at += 1
        return self.taken[self.at - 1]

    def advance(self) -> bool:
        """Turn to the next way; False behind the last one."""
        while self.taken and self.taken[-1] + 1 == self.numbers[-1]:
            self.taken.pop()
            self.numbers.pop()
        if self.taken:
            self.taken[-1] += 1
        self.at = 0
        return bool(self.taken)


class _Writer:
    """Writes templates out, with the variables set so far and the names that are being followed."""

    def __init__(self, values: Values, choose: Choose) -> None:
        self._values = values
        self._choose = choose
        self._variables: dict[str, Template] = {}
        self._followed: list[str] = []
        self._left = _LONGEST
        self._depth = 0

    def write(self, template: Template) -> str:
        """The text that comes of a template."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UsageError(f"More than {_DEEPEST} of the prompt's choices and wildcards lie inside one another.")
        text = "".join(map(self._piece, template))
        self._depth -= 1
        return text

    def _piece(self, node: Node) -> str:
        self._spend(len(node) if isinstance(node, str) else 1)
        match node:
            case str():
                return node
            case Choice():
                return self._some(node)
            case Wildcard():
                return self._one_of(node)
            case Variable():
                return self._value_of(node)
            case Setting():
                self._set(node)
                return ""

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise UsageError(
                f"More than {_LONGEST:,} letters would come of the prompt's choices; let its wildcards hold less."
            )

    def _some(self, choice: Choice) -> str:
        pool = self._pool(choice)
        most = int(min(choice.most, len(pool)))
        least = min(choice.least, most)
        count = least + (self._choose([1.0] * (most - least + 1)) if most > least else 0)
        return choice.joint.join(self._taken(pool) for _ in range(count))

    def _pool(self, choice: Choice) -> Pool:
        """What a choice takes from: its options, or the values of the one wildcard that it holds."""
        match choice.options[0].template:
            case (Wildcard() as only,) if len(choice.options) == 1:
                values = self._values.values(only.name)
                return [(value.weight, partial(self._follow, value, only.given)) for value in values]
        return [(option.weight, partial(self.write, option.template)) for option in choice.options]

    def _one_of(self, wildcard: Wildcard) -> str:
        values = self._values.values(wildcard.name)
        return self._follow(values[self._choose([value.weight for value in values])], wildcard.given)

    def _taken(self, pool: Pool) -> str:
        """One of the pool, which it leaves."""
        write = pool.pop(self._choose([weight for weight, _ in pool]))[1]
        return write()

    def _follow(self, value: Value, given: Sequence[Setting]) -> str:
        """The text of a wildcard's value, which may be a template itself."""
        outside = self._variables
        if given:
            inside = {setting.name: (self.write(setting.value),) for setting in given}
            self._variables = outside | inside
        text = self._named(f"__{value.wildcard}__", value.template())
        self._variables = outside if given else self._variables
        return text

    def _value_of(self, variable: Variable) -> str:
        value = self._variables.get(variable.name, variable.default)
        if value is None:
            name = variable.name
            raise UsageError(
                f"The variable {name} is used before it has a value; put ${{{name}=...}} before it, or ${{{name}:...}}."
            )
        return self._named(f"${{{variable.name}}}", value)

    def _named(self, name: str, template: Template) -> str:
        """The text of what a name stands for. Raises UsageError where it stands for itself."""
        if name in self._followed:
            circle = " → ".join([*self._followed[self._followed.index(name) :], name])
            raise UsageError(f"{name} leads back to itself ({circle}); take one of them out.")
        self._followed.append(name)
        text = self.write(template)
        self._followed.pop()
        return text

    def _set(self, setting: Setting) -> None:
        if setting.if_unset and setting.name in self._variables:
            return
        value = (self.write(setting.value),) if setting.at_once else setting.value
        self._variables[setting.name] = value
