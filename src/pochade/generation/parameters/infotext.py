"""A1111's text block: the prompt, the negative prompt and one line of parameters, as most pictures carry it.

Layout: prompt lines; optionally "Negative prompt: ..." which may run over lines; then "Key: value, Key: value".
"""

import json
import re
from collections.abc import Iterable, Mapping
from math import ceil, sqrt
from typing import Any

from pochade.generation.parameters import templates
from pochade.generation.parameters.versions import compatibility, hires_prompts_have_styles
from pochade.prompts import attention
from pochade.prompts.styles import Style, extract

# The order in which A1111 1.10 writes its parameters. Others follow as they come; these two close the line.
ORDER = (
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Image CFG scale", "Seed", "Face restoration", "Size"),
    *("Model hash", "Model", "FP8 weight", "Cache FP16 weight for LoRA", "VAE hash", "VAE"),
    *("Variation seed", "Variation seed strength", "Seed resize from", "Denoising strength"),
    *("Conditional mask weight", "Clip skip", "ENSD", "Token merging ratio", "Token merging ratio hr"),
    *("Init image hash", "RNG", "Tiling"),
)
LAST = ("Version", "User")

# What a parameter means when the text does not mention it.
MISSING: dict[str, Any] = {
    "Clip skip": "1",
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
    "Refiner switch by sampling steps": False,
}

_NEGATIVE = "Negative prompt:"
# A key is tried only where its run of characters begins, so that a long line takes no more than linear time.
_KEY = r"(?<![\w \-/])[ \-/]*(?P<key>\w[\w \-/]+):"
_VALUE = r'\s*(?P<value>"(?:\\.|[^\\"])+"|[^,]*)(?:,|$)'
_PAIR = re.compile(_KEY + _VALUE)
_SIZE = re.compile(r"^(\d+)x(\d+)$")
_MOST_DIGITS = 6  # of the side of a picture
_FEWEST_PAIRS = 3  # a last line with fewer is part of the prompt


def quote(value: Any) -> Any:
    """Put a value in JSON quotes if a comma, colon or line break would end it early."""
    if not any(mark in str(value) for mark in ",:\n"):
        return value
    return json.dumps(value, ensure_ascii=False)


def unquote(text: str) -> str:
    """Undo `quote`; text that is not properly quoted stays as it is."""
    if len(text) < 2 or not (text[0] == text[-1] == '"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def write(prompt: str, negative_prompt: str, parameters: Mapping[str, Any]) -> str:
    """Write the text block. Parameters that are None are left out; known ones take A1111's order.

    >>> write("a cat", "", {"Seed": 1, "Steps": 20})
    'a cat\\nSteps: 20, Seed: 1'
    """
    extras = [key for key in parameters if key not in ORDER and key not in LAST]
    ordered = [key for key in (*ORDER, *extras, *LAST) if parameters.get(key) is not None]
    line = ", ".join(_pair(key, parameters[key]) for key in ordered)
    negative = f"\n{_NEGATIVE} {negative_prompt}" if negative_prompt else ""
    return f"{prompt}{negative}\n{line}".strip()


def _pair(key: str, value: Any) -> str:
    return key if key == value else f"{key}: {quote(value)}"


def read(text: str) -> tuple[str, str, dict[str, str]]:
    """Split a text block into prompt, negative prompt and the parameters that it mentions."""
    lines, parameters = templates.split_off(text.strip().split("\n"), lambda line: bool(_pairs(line)))
    pairs = _pairs(lines[-1])
    prompt, negative_prompt = _prompts(lines[:-1] if pairs else lines)
    for pair in pairs:
        parameters |= _parameter(pair["key"], pair["value"])
    return prompt, negative_prompt, parameters


def _pairs(line: str) -> list[re.Match[str]]:
    """The parameters in a line; none where there are so few that it is part of the prompt."""
    pairs = list(_PAIR.finditer(line))
    return pairs if len(pairs) >= _FEWEST_PAIRS else []


def _prompts(lines: Iterable[str]) -> tuple[str, str]:
    parts: tuple[list[str], list[str]] = ([], [])
    which = 0
    for line in map(str.strip, lines):
        if line.startswith(_NEGATIVE):
            which = 1
        _append(parts[which], line.removeprefix(_NEGATIVE).strip() if which else line)
    return "\n".join(parts[0]), "\n".join(parts[1])


def _append(lines: list[str], line: str) -> None:
    """Add a line; empty ones at the start do not count."""
    if line or lines:
        lines.append(line)


def _parameter(key: str, written: str) -> dict[str, str]:
    if not written:
        return {}
    return parted(key, unquote(written))


def parted(key: str, value: str) -> dict[str, str]:
    """A parameter as `read` gives it: a size becomes two, Size-1 and Size-2."""
    size = _SIZE.match(value)
    return {f"{key}-1": size[1], f"{key}-2": size[2]} if size else {key: value}


def joined(parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters that `read` gave with sizes in one piece, as `write` takes them."""
    found: dict[str, str] = {}
    for key, value in parameters.items():
        name, _, side = key.rpartition("-")
        if side == "1" and f"{name}-2" in parameters:
            found[name] = f"{value}x{parameters[f'{name}-2']}"
        elif not (side == "2" and f"{name}-1" in parameters):
            found[key] = value
    return found


def parse(text: str, styles: Iterable[Style] = ()) -> dict[str, Any]:
    """Every field of a text block, with A1111's meaning for those that are missing; styles found are taken out.

    >>> parse("a cat\\nSteps: 20, Seed: 1, Size: 64x96")["Size-2"]
    '96'
    """
    return completed(*read(text), styles)


def completed(
    prompt: str, negative_prompt: str, mentioned: Mapping[str, str], styles: Iterable[Style] = ()
) -> dict[str, Any]:
    """What `read` gave as every field, as `parse` gives them."""
    found: dict[str, Any] = dict(mentioned)
    prompt, negative_prompt = _without_styles(found, prompt, negative_prompt, list(styles))
    found |= {"Prompt": prompt, "Negative prompt": negative_prompt}
    if "Hypernet" in found:
        found["Prompt"] += f"<hypernet:{found['Hypernet']}:{found.get('Hypernet strength', '1.0')}>"
    found = MISSING | found
    _restore_first_pass(found)
    if found["FP8 weight"] != "Disable":
        found.setdefault("Cache FP16 weight for LoRA", False)
    if _uses_emphasis(prompt) or _uses_emphasis(negative_prompt):
        found.setdefault("Emphasis", "Original")
    return found | compatibility(found)


def _restore_first_pass(found: dict[str, Any]) -> None:
    """Old texts give the size after the second pass, and that of the first one apart."""
    first, size = _sides(found, "First pass size"), _sides(found, "Size") or (512, 512)
    if first is None:
        return
    if 0 in first:
        scale = sqrt(512 * 512 / max(size[0] * size[1], 1))
        first = ceil(scale * size[0] / 64) * 64, ceil(scale * size[1] / 64) * 64
    found["Size-1"], found["Size-2"] = first
    found["Hires resize-1"], found["Hires resize-2"] = size


def _sides(found: dict[str, Any], key: str) -> tuple[int, int] | None:
    sides = [str(found.get(f"{key}-{side}", "")) for side in (1, 2)]
    if not all(side.isdecimal() and len(side) <= _MOST_DIGITS for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def _uses_emphasis(text: str) -> bool:
    """Whether some word of a prompt is weighted."""
    return any(weight != 1.0 and words != "BREAK" for words, weight in attention.parse(text))


def _without_styles(found: dict[str, Any], prompt: str, negative: str, styles: list[Style]) -> tuple[str, str]:
    names, bare, bare_negative = strip_styles(prompt, negative, styles)
    if ("Hires prompt" in found or "Hires negative prompt" in found) and hires_prompts_have_styles(found):
        hires = found.get("Hires prompt", prompt), found.get("Hires negative prompt", negative)
        hires_names, *hires_bare = strip_styles(*hires, styles)
        if hires_names != names:
            return prompt, negative
        found["Hires prompt"] = "" if hires_bare[0] == bare else hires_bare[0]
        found["Hires negative prompt"] = "" if hires_bare[1] == bare_negative else hires_bare[1]
    if names:
        found["Styles array"] = names
    return bare, bare_negative


def strip_styles(prompt: str, negative: str, styles: Iterable[Style]) -> tuple[list[str], str, str]:
    """Undo the styles that were applied to both prompts: their names in the order of application, and what is left."""
    left = [style for style in styles if style.prompt or style.negative_prompt]
    names: list[str] = []
    while True:
        for style in left:
            is_in_prompt, bare = extract(style.prompt, prompt)
            is_in_negative, bare_negative = extract(style.negative_prompt, negative)
            if is_in_prompt and is_in_negative:
                break
        else:
            return names[::-1], prompt, negative
        prompt, negative = bare, bare_negative
        left.remove(style)
        names.append(style.name)
