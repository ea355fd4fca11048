"""ComfyUI's graph: nodes by their keys, and what their inputs are linked to."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pochade.generation.foreign.values import rows, table, word

# Where nodes that only hold a value keep it.
_VALUES = ("value", "text", "string", "String", "int", "float", "number", "Number", "seed", "Text", "populated_text")
_MOST_NODES = 5000
_DEEPEST = 50  # links that are followed for one value


@dataclass(frozen=True, eq=False)
class Node:
    """One node: its class, and its inputs, each a plain value or a link [key, slot]."""

    key: str
    kind: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """The nodes of a graph by their keys."""

    nodes: Mapping[str, Node]

    @classmethod
    def of(cls, value: Any) -> "Graph":
        """The graph in the form of ComfyUI's API; entries that are no nodes are passed over."""
        found = {}
        for key, entry in list(table(value).items())[:_MOST_NODES]:
            kind = table(entry).get("class_type")
            if isinstance(kind, str):
                found[key] = Node(key, kind, table(table(entry).get("inputs")))
        return cls(found)

    def linked(self, value: Any) -> Node | None:
        """The node that a link leads to; None if it is no link, or leads nowhere."""
        parts = rows(value)
        return self.nodes.get(word(parts[0])) if len(parts) == 2 else None

    def source(self, node: Node | None, *names: str) -> Node | None:
        """The node behind the first of the inputs `names` that is linked."""
        for name in names if node else ():
            assert node is not None
            if found := self.linked(node.inputs.get(name)):
                return found
        return None

    def value(self, node: Node | None, *names: str) -> str:
        """The first of the inputs `names` that has a value; a link is followed to the node that holds it."""
        for name in names if node else ():
            assert node is not None
            value = node.inputs.get(name)
            for _ in range(_DEEPEST):
                holder = self.linked(value)
                if holder is None:
                    break
                value = next((holder.inputs[each] for each in _VALUES if each in holder.inputs), None)
            if text := word(value):
                return text
        return ""

    def upstream(self, *starts: Node | None) -> Iterator[Node]:
        """The nodes themselves and all that they depend on, each once, the nearest first."""
        waiting = deque(node for node in starts if node)
        seen = {node.key for node in waiting}
        while waiting:
            node = waiting.popleft()
            yield node
            for value in node.inputs.values():
                found = self.linked(value)
                if found and found.key not in seen:
                    seen.add(found.key)
                    waiting.append(found)
