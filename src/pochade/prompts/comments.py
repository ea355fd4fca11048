"""Comments in prompts: everything from a # to the end of its line is a note to oneself."""

import re

_WHOLE_LINE = re.compile(r"(^|\n)#[^\n]*(\n|$)")
_REST_OF_LINE = re.compile(r"#[^\n]*(\n|$)")


def strip(text: str) -> str:
    """The prompt without comments; a line break stays where one was."""
    return _REST_OF_LINE.sub("\n", _WHOLE_LINE.sub("\n", text))
