"""The models of a ComfyUI graph: checkpoint, LoRAs on the way to the sampler, clip skip and VAE."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pochade.generation.foreign.comfyui_graph import Graph, Node
from pochade.generation.foreign.values import lora_tag, number, stem, table, word
from pochade.generation.record import file_name

_CHECKPOINTS = ("ckpt_name", "unet_name", "model_name")
_MOST_ON_THE_WAY = 200
_PLAIN = ("Reroute", "Bypassed")


@dataclass(frozen=True)
class Models:
    """A1111's parameters, the tags that ask for LoRAs, and what is not followed."""

    parameters: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def models_of(graph: Graph, sampler: Node) -> Models:
    """What the way from a sampler's model back to the checkpoint tells."""
    tags: list[str] = []
    left_out: dict[str, None] = {}
    fields: dict[str, Any] = {}
    checkpoint = ""
    for node in _way(graph, sampler):
        checkpoint = graph.value(node, *_CHECKPOINTS)
        loras = [*_loras(graph, node)]
        tags[:0] = loras
        if node.kind == "ModelSamplingDiscrete":
            fields |= _sampling(graph, node)
        elif not loras and not checkpoint and node.kind not in _PLAIN:
            left_out[f"the node {node.kind} of the model"] = None
        if checkpoint:
            break
    if not checkpoint:
        left_out["its model, which no loader names"] = None
    parameters = {"Model": stem(checkpoint), "Clip skip": _clip_skip(graph), "VAE": _vae(graph)}
    return Models(parameters, tuple(tags), fields, tuple(left_out))


def _way(graph: Graph, sampler: Node) -> Iterator[Node]:
    """The nodes that the model comes through, from the sampler on."""
    node = graph.source(sampler, "model", "basic_pipe")
    for _ in range(_MOST_ON_THE_WAY):
        if node is None:
            return
        yield node
        node = graph.source(node, "model", "MODEL", *node.inputs)


def _loras(graph: Graph, node: Node) -> Iterator[str]:
    """A1111's tags for the LoRAs that a node puts on."""
    name = graph.value(node, "lora_name")
    if name and name != "None":
        model = graph.value(node, "strength_model", "lora_model_strength", "model_strength") or "1"
        clip = graph.value(node, "strength_clip", "lora_clip_strength", "clip_strength") or model
        yield _tag(name, model, clip)
    for value in node.inputs.values():  # several on one node, as {"on": true, "lora": name, "strength": 1}
        entry = table(value) if isinstance(value, dict) else {}
        if entry.get("on") and word(entry.get("lora")):
            weight = word(entry.get("strength")) or "1"
            yield _tag(word(entry["lora"]), weight, word(entry.get("strengthTwo")) or weight)


def _tag(name: str, model: str, clip: str) -> str:
    """The text encoder's weight comes first in A1111's tags."""
    weights = model if number(model) == number(clip) else f"{clip}:{model}"
    return lora_tag(name, weights)


def _sampling(graph: Graph, node: Node) -> dict[str, Any]:
    kinds = {"v_prediction": "v", "eps": "epsilon"}
    kind = kinds.get(graph.value(node, "sampling"))
    return ({"prediction": kind} if kind else {}) | {"zero_terminal_snr": node.inputs.get("zsnr") is True}


def _clip_skip(graph: Graph) -> str:
    nodes = (node for node in graph.nodes.values() if node.kind == "CLIPSetLastLayer")
    layer = next((number(graph.value(node, "stop_at_clip_layer")) for node in nodes), 0)
    return f"{-layer:.0f}" if layer < 0 else ""


def _vae(graph: Graph) -> str:
    """The VAE that the picture is decoded with, if it has a file of its own."""
    nodes = (node for node in graph.nodes.values() if node.kind.startswith("VAEDecode"))
    loaders = (graph.source(node, "vae") for node in nodes)
    return next((file_name(name) for each in loaders if (name := graph.value(each, "vae_name"))), "")
