"""The templates that the extension sd-dynamic-prompts writes in lines of their own behind A1111's parameters."""

from collections.abc import Callable, Sequence

NAMES = {"prompt_template": "Template", "negative_template": "Negative Template"}
_STARTS = tuple(f"{name}:" for name in NAMES.values())


def split_off(lines: Sequence[str], is_parameters: Callable[[str], bool]) -> tuple[Sequence[str], dict[str, str]]:
    """The lines of a text up to its parameters, and the templates behind those."""
    for number, line in enumerate(lines[1:], 1):
        if line.startswith(_STARTS) and is_parameters(lines[number - 1]):
            return lines[:number], _named(lines[number:])
    return lines, {}


def _named(lines: Sequence[str]) -> dict[str, str]:
    """The templates by name; a line without a name goes on with the one before."""
    parts: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if line.startswith(_STARTS):
            name, _, line = line.partition(":")
        parts.setdefault(name, []).append(line)
    return {name: "\n".join(part).strip() for name, part in parts.items()}
