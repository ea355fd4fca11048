"""Prompt matrices: "a house|at night|in snow" is the house alone and with every choice of the rest, as A1111 has it."""

from dataclasses import dataclass

from pochade.errors import UsageError

BAR = "|"
JOINTS = {"comma": ", ", "space": " "}
MOST_OPTIONS = 12


@dataclass(frozen=True)
class Matrix:
    """What every prompt holds, and the options that it may hold too.

    >>> Matrix("a house", ("at night", "in snow")).prompts()
    ['a house', 'a house, at night', 'a house, in snow', 'a house, at night, in snow']
    """

    base: str
    options: tuple[str, ...]

    @classmethod
    def read(cls, prompt: str) -> "Matrix":
        """Take a prompt apart at its bars; those inside of square brackets alternate words and stay."""
        base, *options = _parts(prompt)
        if not options:
            raise UsageError(f"There is no {BAR} in the prompt; a matrix is written as 'always{BAR}option{BAR}option'.")
        if len(options) > MOST_OPTIONS:
            raise UsageError(f"The prompt has {len(options)} options; a matrix of more than {MOST_OPTIONS} never ends.")
        return cls(base.strip(), tuple(option.strip(" ,") for option in options))

    @property
    def across(self) -> tuple[str, ...]:
        """The options that change from column to column of a grid; the others change from row to row."""
        return self.options[: (len(self.options) + 1) // 2]

    @property
    def down(self) -> tuple[str, ...]:
        """The options that change from row to row."""
        return self.options[len(self.across) :]

    def prompts(self, joint: str = ", ", options_first: bool = False) -> list[str]:
        """Every choice of the options, in the order of a binary count whose lowest digit is the first option."""
        return [joint.join(self._words(number, options_first)) for number in range(1 << len(self.options))]

    def _words(self, number: int, options_first: bool) -> list[str]:
        chosen = [option for option, on in zip(self.options, choice(number, len(self.options)), strict=True) if on]
        return [*chosen, self.base] if options_first else [self.base, *chosen]


def choice(number: int, options: int) -> list[bool]:
    """Which options choice `number` takes: its binary digits, the lowest first."""
    return [bool(number >> place & 1) for place in range(options)]


def has_bars(prompt: str) -> bool:
    """Whether a prompt is a matrix."""
    return len(_parts(prompt)) > 1


def _parts(prompt: str) -> list[str]:
    parts, depth, escaped = [""], 0, False
    for letter in prompt:
        if letter == BAR and not depth and not escaped:
            parts.append("")
            continue
        parts[-1] += letter
        if not escaped:
            depth = max(depth + (letter == "[") - (letter == "]"), 0)
        escaped = letter == "\\" and not escaped
    return parts
