"""Tags such as `<lora:name:0.8>` that ask for further networks."""

import re
from dataclasses import dataclass

# A tag that is never closed runs to the end of the text: nothing behind it can be one, and time stays linear.
_TAG = re.compile(r"<(?P<kind>\w+):(?P<items>[^>]+)(?P<close>>|\Z)")


@dataclass(frozen=True)
class Tag:
    """One tag: its kind, e.g. lora, and everything between the colons behind it."""

    kind: str
    items: tuple[str, ...]

    @property
    def positional(self) -> tuple[str, ...]:
        """The items without a name; the first is the network's name."""
        return tuple(item for item in self.items if item.count("=") != 1)

    @property
    def named(self) -> dict[str, str]:
        """The items of the form name=value."""
        pairs = (item.partition("=") for item in self.items if item.count("=") == 1)
        return {name: value for name, _, value in pairs}


def extract(text: str) -> tuple[str, list[Tag]]:
    """The prompt without its tags, and the tags: kinds in order of first use, tags of a kind in order of place."""
    by_kind: dict[str, list[Tag]] = {}
    for match in _TAG.finditer(text):
        if match["close"]:
            by_kind.setdefault(match["kind"], []).append(Tag(match["kind"], tuple(match["items"].split(":"))))
    left = _TAG.sub(lambda match: "" if match["close"] else match[0], text)
    return left, [tag for tags in by_kind.values() for tag in tags]
