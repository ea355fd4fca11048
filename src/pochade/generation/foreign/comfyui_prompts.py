"""The prompts of a ComfyUI graph: conditions are followed back to their texts, and joined in A1111's language."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pochade.generation.foreign.comfyui_graph import Graph, Node

_TEXTS = ("text", "text_g", "text_l", "prompt", "wildcard_text")
_ONWARD = ("conditioning", "conditioning_to", "conditioning_1", "positive", "negative", "base_positive", "cond")
_MOST_NODES = 200  # that are looked at for one prompt
_BRACKET = re.compile(r"(?<!\\)[\[\]]")
_EMBEDDING = re.compile(r"\bembedding:([^\s,:()]+)")
_ENDING = re.compile(r"\.(pt|bin|safetensors)$", re.IGNORECASE)

# Nodes on the way that change nothing Pochade draws by, or that the text tells of already.
_PLAIN = ("Reroute", "Bypassed")


@dataclass(frozen=True)
class Prompt:
    """A prompt in A1111's language, and the nodes on its way that are not followed."""

    text: str = ""
    left_out: tuple[str, ...] = ()


def prompt_of(graph: Graph, node: Node, role: str) -> Prompt:
    """The prompt behind the `role`, e.g. positive or negative, of a sampler or guider.

    ComfyUI takes the mean of combined conditions, as A1111 does of prompts that are joined by AND with equal weights.
    """
    walk = _Walk(graph, role)
    texts = list(walk.texts(graph.source(node, role)))
    left_out = [f"the node {kind} of the {role} prompt" for kind in walk.passed]
    if not texts:
        return Prompt("", (f"its {role} prompt, which is not held as text", *left_out))
    if len(texts) > 1 and role == "negative":
        left_out.append("all of its negative prompts but the first")
        texts = texts[:1]
    joint = " AND ".join(f"{text} :{1 / len(texts):.4g}" for text in texts) if len(texts) > 1 else texts[0]
    return Prompt(joint, tuple(left_out))


@dataclass
class _Walk:
    """A walk from a sampler back to texts. `passed` notes nodes with an effect of their own."""

    graph: Graph
    role: str
    passed: dict[str, None] = field(default_factory=dict)
    nodes_left: int = _MOST_NODES

    def texts(self, node: Node | None) -> Iterator[str]:
        """The texts of a condition, several where such are combined."""
        self.nodes_left -= 1
        if node is None or self.nodes_left < 0:
            return
        if node.kind == "ConditioningCombine":
            for name in ("conditioning_1", "conditioning_2"):
                yield from self.texts(self.graph.source(node, name))
        elif node.kind == "ConditioningConcat":
            sources = (self.graph.source(node, name) for name in ("conditioning_to", "conditioning_from"))
            yield " BREAK ".join(text for each in sources for text in self.texts(each))
        elif (text := self._own_text(node)) is not None:
            yield text
        elif node.kind == "ConditioningZeroOut":
            yield ""
        else:
            self.passed |= {} if node.kind in _PLAIN else {node.kind: None}
            yield from self.texts(self.graph.source(node, self.role, *_ONWARD) or _only_link(self.graph, node))

    def _own_text(self, node: Node) -> str | None:
        """The text that a node turns into a condition; loaders with prompts of their own name them by role."""
        names = [name for name in _TEXTS if name in node.inputs]
        if not names:
            own = node.inputs.get(self.role)
            return as_a1111(own) if isinstance(own, str) else None
        texts = {name: self.graph.value(node, name) for name in names}
        for name, text in texts.items():
            maker = self.graph.source(node, name)
            if maker and not text:
                self.passed[maker.kind] = None
        if len(set(filter(None, texts.values()))) > 1:
            self.passed[f"{node.kind} with a second text"] = None
        return as_a1111(next(filter(None, texts.values()), ""))


def _only_link(graph: Graph, node: Node) -> Node | None:
    """What a node is linked to, if that is one node."""
    found = [each for value in node.inputs.values() if (each := graph.linked(value))]
    return found[0] if len(found) == 1 else None


def as_a1111(text: str) -> str:
    """A text for ComfyUI's encoder in A1111's language: embeddings go by their bare names, [] mean nothing.

    >>> as_a1111("(cat:1.2), embedding:ink.pt, [night]")
    '(cat:1.2), ink, \\\\[night\\\\]'
    """
    bare = _EMBEDDING.sub(lambda match: _ENDING.sub("", match[1]), text)
    return _BRACKET.sub(lambda match: f"\\{match[0]}", bare).strip()
