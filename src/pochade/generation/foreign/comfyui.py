"""Pictures by ComfyUI: what can be known from the graph of nodes that drew them.

ComfyUI draws all noise on the CPU, and writes the whole graph: `prompt` in the form of its API, `workflow` as its
editor has it. WEBP files hold them as "prompt:{...}" among their Exif texts.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pochade.generation.foreign.comfyui_graph import Graph, Node
from pochade.generation.foreign.comfyui_models import models_of
from pochade.generation.foreign.comfyui_prompts import Prompt, prompt_of
from pochade.generation.foreign.comfyui_workflow import as_prompt
from pochade.generation.foreign.names import named
from pochade.generation.foreign.values import known, number, size, with_tags
from pochade.generation.parameters.settings import Settings

PROGRAM = "ComfyUI"

_IN_EXIF = ("Make", "Model", "ImageDescription")
_NAMED = re.compile(r"(prompt|workflow):\s*(?=\{)", re.IGNORECASE)
_MOST = 50  # outputs and samplers that are looked at
_CUSTOM_SAMPLERS = {"SamplerCustom", "SamplerCustomAdvanced"}
_LATENTS = ("latent_image", "latent", "samples")
_MASKED = {"pixels", "samples"}  # what a mask is put on at the start
_ALSO_CALLED = {"ddim": "euler", "uni_pc_bh2": "uni_pc"}  # what ComfyUI really runs under these names
_SIGMAS = {
    "KarrasScheduler": "karras",
    "ExponentialScheduler": "exponential",
    "PolyexponentialScheduler": "polyexponential",
    "BetaSamplingScheduler": "beta",
    "AlignYourStepsScheduler": "align_your_steps",
}


def read(texts: Mapping[str, str]) -> Settings | None:
    """What a picture's texts tell if they hold a graph of ComfyUI; None if they do not."""
    texts = dict(texts)
    for name in _IN_EXIF:
        if match := _NAMED.match(texts.get(name, "")):
            texts.setdefault(match[1].casefold(), texts[name][match.end() :])
    graph = Graph.of(texts.get("prompt"))
    graph = graph if graph.nodes else Graph.of(as_prompt(texts.get("workflow")))
    if not graph.nodes:
        return None
    samplers, is_one_of_several = _samplers(graph)
    if not samplers:
        return Settings(PROGRAM, left_out=("its graph, in which there is no sampler that Pochade knows",))
    found = _settings(graph, _Pass.of(graph, samplers[0]), samplers[1:])
    several = ("that the graph draws several pictures, of which this may be another",) if is_one_of_several else ()
    return replace(found, left_out=found.left_out + several)


@dataclass(frozen=True)
class _Pass:
    """One sampler with the nodes that hold its settings."""

    graph: Graph
    sampler: Node
    guider: Node
    parts: tuple[Node, ...]

    @classmethod
    def of(cls, graph: Graph, sampler: Node) -> "_Pass":
        found = (graph.source(sampler, name) for name in ("noise", "guider", "sampler", "sigmas"))
        parts = (sampler, *filter(None, found))
        return cls(graph, sampler, graph.source(sampler, "guider") or sampler, parts)

    def value(self, *names: str) -> str:
        """The first of these settings, on whichever node it is."""
        return next((text for part in self.parts if (text := self.graph.value(part, *names))), "")

    @property
    def latent(self) -> Node | None:
        """What it begins with."""
        return self.graph.source(self.sampler, *_LATENTS)

    @property
    def schedule(self) -> str:
        """ComfyUI's name of the schedule; for some it is a node of its own."""
        own = next((_SIGMAS[part.kind] for part in self.parts if part.kind in _SIGMAS), "")
        return own or self.value("scheduler")


def _samplers(graph: Graph) -> tuple[list[Node], bool]:
    """The samplers behind the first picture that is saved, in the order of drawing; whether others draw others."""
    outputs = sorted(
        (node for node in graph.nodes.values() if graph.source(node, "images")),
        key=lambda node: not node.kind.startswith("Save"),
    )
    reached = [found for each in outputs[:_MOST] if (found := _among(graph.upstream(each)))]
    found = reached[0] if reached else _among(graph.nodes.values())
    order = {node.key: len(_among(graph.upstream(graph.source(node, *_LATENTS)))) for node in found[:_MOST]}
    is_one_of_several = any(node.key not in order for each in reached for node in each)
    return sorted(found[:_MOST], key=lambda node: order[node.key]), is_one_of_several


def _among(nodes: Any) -> list[Node]:
    return [node for node in nodes if _is_sampler(node)]


def _is_sampler(node: Node) -> bool:
    return node.kind in _CUSTOM_SAMPLERS or (node.kind.startswith("KSampler") and node.kind != "KSamplerSelect")


def _settings(graph: Graph, first: _Pass, others: list[Node]) -> Settings:
    role = "conditioning" if "conditioning" in first.guider.inputs else "positive"
    prompt = prompt_of(graph, first.guider, role)
    negative = prompt_of(graph, first.guider, "negative") if "negative" in first.guider.inputs else Prompt()
    models = models_of(graph, first.guider if "model" in first.guider.inputs else first.sampler)
    sampler = first.value("sampler_name")
    labels = named(_ALSO_CALLED.get(sampler, sampler), first.schedule)
    is_weighted = re.search(r"(?<!\\)\(", prompt.text + negative.text)
    parameters: dict[str, Any] = {
        "Steps": first.value("steps"),
        "Sampler": labels.sampler,
        "Schedule type": labels.schedule,
        "CFG scale": first.value("cfg") or ("1" if first.guider.kind == "BasicGuider" else ""),
        "Seed": first.value("seed", "noise_seed"),
        **_canvas(first),
        **models.parameters,
        "RNG": "CPU",
        "Emphasis": "No norm" if is_weighted else "",
        **_curve(first),
        "UniPC variant": "bh2" if sampler == "uni_pc_bh2" else "",
        "Version": PROGRAM,
    }
    left_out = [*prompt.left_out, *negative.left_out, *models.left_out, *labels.left_out, *_left_out(first, others)]
    if is_weighted:
        left_out.append("its own way to weigh words, to which emphasis without normalising comes nearest")
    fields = models.fields | ({"exact_steps": True} if "Denoising strength" in parameters else {})
    text = with_tags(prompt.text, models.tags)
    return Settings(PROGRAM, text, negative.text, known(parameters), tuple(dict.fromkeys(left_out)), fields)


def _canvas(first: _Pass) -> dict[str, str]:
    """The size of an empty start, or how much of the picture at the start is drawn anew."""
    behind = list(first.graph.upstream(first.latent))
    over = [node for node in behind if first.graph.source(node, "pixels")]
    found = {"Denoising strength": first.value("denoise") or "1"} if over else {}
    if any("mask" in node.inputs and _MASKED & node.inputs.keys() for node in behind):
        found["Mask blur"] = "0"
    empty = next((node for node in behind if {"width", "height"} <= node.inputs.keys() and not over), None)
    value = first.graph.value
    return found | {"Size": size(value(empty, "width"), value(empty, "height")) if empty else ""}


def _curve(first: _Pass) -> dict[str, str]:
    """The ends and the bend of a schedule that is a node of its own."""
    names = {"sigma_min": "Schedule min sigma", "sigma_max": "Schedule max sigma", "rho": "Schedule rho"}
    return {label: first.value(name) for name, label in names.items()}


def _left_out(first: _Pass, others: list[Node]) -> Iterator[str]:
    """What a sampler does that one pass of Pochade does not."""
    for node in others:
        count = first.graph.value(node, "steps")
        yield f"its further pass by {node.kind}" + (f" of {count} steps" if count else "")
    steps, end = number(first.value("steps")), number(first.value("end_at_step"), 10_000)
    if number(first.value("start_at_step")) > 0 or (end < steps and not others):
        yield "that only a part of the steps was made"
    behind = first.graph.upstream(first.latent)
    together = max((number(first.graph.value(node, "batch_size")) for node in behind), default=1)
    if together > 1:
        yield f"that it may be a later one of {together:.0f} pictures, whose noise no seed of its own gives"
