"""ComfyUI's other form of a graph, that of its editor, brought into the form of its API.

There a node's plain values stand in a list without names, so only the usual nodes can be read.
"""

from collections.abc import Iterator
from typing import Any

from pochade.generation.foreign.values import rows, table, word

_NO_NAME = ""  # of a value that matters only to the editor, such as "randomize"
_MUTED, _BYPASSED = 2, 4  # modes of nodes that give nothing, or only what they are given

_WIDGETS = {
    "KSampler": ("seed", _NO_NAME, "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", _NO_NAME, "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", _NO_NAME, "cfg"),
    "RandomNoise": ("noise_seed",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "KarrasScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "CFGGuider": ("cfg",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (
        *("width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"),
    ),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "VAELoader": ("vae_name",),
    "LoadImage": ("image",),
    "PrimitiveNode": ("value",),
    "ControlNetLoader": ("control_net_name",),
    "ControlNetApply": ("strength",),
    "ControlNetApplyAdvanced": ("strength", "start_percent", "end_percent"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
}


def as_prompt(workflow: Any) -> dict[str, Any]:
    """The graph of the editor's form as the API's form has it; empty if this is none."""
    links = dict(_links(workflow))
    return dict(_nodes(workflow, links))


def _links(workflow: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Where each link comes from: [key of the node, slot]."""
    for link in rows(table(workflow).get("links")):
        parts = rows(link)
        if len(parts) >= 5 and word(parts[0]):
            yield word(parts[0]), [word(parts[1]), parts[2]]


def _nodes(workflow: Any, links: dict[Any, list[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in rows(table(workflow).get("nodes")):
        node = table(entry)
        kind, key = word(node.get("type")), word(node.get("id"))
        if not kind or not key or node.get("mode") == _MUTED:
            continue
        is_bypassed = node.get("mode") == _BYPASSED
        kind, values = ("Bypassed", []) if is_bypassed else (kind, rows(node.get("widgets_values")))
        inputs = {name: value for name, value in zip(_WIDGETS.get(kind, ()), values, strict=False) if name}
        for socket in map(table, rows(node.get("inputs"))):
            if source := links.get(word(socket.get("link"))):
                inputs[word(socket.get("name"))] = source
        yield key, {"class_type": kind, "inputs": inputs}
