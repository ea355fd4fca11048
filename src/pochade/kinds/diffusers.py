"""A checkpoint as diffusers lays it out: parts in folders, names, and what says how each part is built."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pochade import families, files, layouts
from pochade.errors import MalformedFileError
from pochade.families import SD1, Family, TextEncoder
from pochade.families.family import Prediction
from pochade.files import LazyArray, Weights
from pochade.files.folders import INDEX
from pochade.kinds import checkpoint, controlnet
from pochade.kinds.components import CONTROLNET, UNET, VAE, components
from pochade.kinds.descriptions import Table, describe
from pochade.kinds.prediction import STATED, ZERO_SNR_MARKER, marker
from pochade.kinds.recognition import recognise

_NEEDLESS = "safety_checker/"
_MARKS = ("down_blocks.", "encoder.down_blocks.", "controlnet_down_blocks.")
_LAYOUTS = {UNET: layouts.unet, CONTROLNET: layouts.controlnet}
_PREDICTIONS: dict[str, Prediction] = {"v_prediction": "v", "epsilon": "epsilon"}
_PADS = {"clip": "<|endoftext|>", "openclip": "!"}
_PROJECTING = {"text_encoder_2"}
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")


def open_model(path: Path | str) -> Weights:
    """Open a model file or a diffusers folder; tensors of networks have the names of the original.

    Raises FileError as files.open() does.
    """
    weights = files.open(path)
    if weights.format == "diffusers" and any("/" in name for name in weights):
        return _checkpoint(weights)
    return _part_alone(weights) if any(name.startswith(_MARKS) for name in weights) else weights


def _part_alone(weights: Weights) -> Weights:
    """Return a network of its own file or folder in the original's names."""
    kind = recognise(weights.shapes())
    if kind == VAE:
        return layouts.vae.in_original_names(weights)
    return _renamed(weights, _LAYOUTS[kind].to_original(weights)) if kind in _LAYOUTS else weights


def _renamed(weights: Weights, names: Mapping[str, str]) -> Weights:
    arrays = {new: weights.lazy(old) for old, new in names.items()}
    return Weights(arrays, weights.metadata, weights.path, weights.format, weights.extra)


def _checkpoint(folder: Weights) -> Weights:
    """Return the checkpoint that a whole folder holds. What the original has no name for keeps its part's name."""
    parts = _split(folder)
    family = families.recognise(parts[UNET].shapes()) if UNET in parts else None
    if family is None:
        raise MalformedFileError(folder.path or "", "has no UNet of a known family; open its parts one by one")
    rest = parts.pop("", Weights({}))
    tensors = {name: rest.lazy(name) for name in rest}
    unet = parts.pop(UNET)
    tensors |= _placed(family.unet_prefix, unet, layouts.unet.to_original(unet))
    if VAE in parts:
        vae = layouts.vae.in_original_names(parts.pop(VAE))
        tensors |= _placed(family.vae_prefix, vae, {name: name for name in vae})
    for encoder in family.encoders:
        if encoder.folder in parts:
            try:
                inner = _text_in_original_names(parts.pop(encoder.folder), encoder)
            except ValueError as error:
                raise MalformedFileError(folder.path or "", f"has a broken {encoder.folder}: {error}") from error
            tensors |= _placed(encoder.prefix, inner, {name: name for name in inner})
    for part, weights in parts.items():
        tensors |= _placed(f"{part}/", weights, {name: name for name in weights})
    stated, markers = _scheduled(folder)
    return Weights(tensors | markers, folder.metadata | stated, folder.path, folder.format, folder.extra)


def _split(folder: Weights) -> dict[str, Weights]:
    parts: dict[str, dict[str, LazyArray]] = defaultdict(dict)
    for name in folder:
        part, _, inner = name.rpartition("/")
        if not name.startswith(_NEEDLESS):
            parts[part][inner] = folder.lazy(name)
    return {part: Weights(arrays) for part, arrays in parts.items()}


def _placed(prefix: str, weights: Weights, names: Mapping[str, str]) -> dict[str, LazyArray]:
    return {prefix + new: weights.lazy(old) for old, new in names.items()}


def _text_in_original_names(weights: Weights, encoder: TextEncoder) -> Weights:
    full = _renamed(weights, layouts.text.to_diffusers(weights))
    return full if encoder.layout == "clip" else layouts.openclip.in_original_names(full)


def _scheduled(folder: Weights) -> tuple[dict[str, str], dict[str, LazyArray]]:
    """What the folder's scheduler says, as a file's metadata and marker tensors say it."""
    configs = folder.extra.get("configs")
    scheduler = configs.get("scheduler", {}) if isinstance(configs, dict) else {}
    stated = _PREDICTIONS.get(str(scheduler.get("prediction_type", "epsilon")))
    reaches_zero = scheduler.get("rescale_betas_zero_snr") is True
    return {STATED: stated} if stated else {}, marker(ZERO_SNR_MARKER) if reaches_zero else {}


@dataclass(frozen=True)
class Folder:
    """What to write: every part's weights, what has no place, each part's description and each tokenizer's padding."""

    parts: dict[str, Weights]
    unplaced: Weights
    descriptions: dict[str, Table]
    tokenizers: dict[str, str]


def as_folder(weights: Weights, prediction: Prediction | None) -> Folder:
    """Return a checkpoint, or a UNet, VAE or ControlNet alone, as diffusers lays it out; an unknown `prediction`
    becomes epsilon.

    Raises MalformedFileError for what is neither.
    """
    family = _family(weights)
    parts = {name: each for name, each in _parts(weights, family).items() if each}
    placed = {old for names in parts.values() for old in names.values()}
    unplaced = Weights({name: weights.lazy(name) for name in weights if name not in placed})
    try:
        inner = {part: _in_diffusers_names(part, weights, names, family) for part, names in parts.items()}
        described = describe(inner, family, weights, prediction or "epsilon")
    except KeyError as error:
        raise MalformedFileError(weights.path or "", f"lacks {error}, so that it cannot be described") from error
    except (IndexError, ValueError) as error:
        problem = "has tensors of other shapes than its networks, so that it cannot be described"
        raise MalformedFileError(weights.path or "", problem) from error
    pads = {each.folder.replace("text_encoder", "tokenizer"): _PADS[each.layout] for each in family.encoders}
    return Folder(inner, unplaced, described, pads if INDEX in described else {})


def _family(weights: Weights) -> Family:
    """Return the family by which to lay a model out; a VAE alone, which families share, goes by the first."""
    family = families.recognise(weights.shapes())
    if controlnet.form(weights.shapes()):
        problem = "is a ControlNet in a form that diffusers' layout has no place for"
        raise MalformedFileError(weights.path or "", problem)
    if family is None and set(components(weights)) != {VAE}:
        problem = "is no checkpoint of a known family, nor a UNet, VAE or ControlNet"
        raise MalformedFileError(weights.path or "", problem)
    return family or SD1


def _parts(weights: Weights, family: Family) -> dict[str, dict[str, str]]:
    """Return for every part the names that it takes, without their prefix, and in the file."""
    found = components(weights)
    prefixes = {UNET: family.unet_prefix, VAE: family.vae_prefix, CONTROLNET: "control_model."}
    parts = {
        part: _below(found[part], prefix) or dict(zip(found[part], found[part], strict=True))
        for part, prefix in prefixes.items()
        if part in found
    }
    for encoder in family.encoders:
        names = _below(weights, encoder.prefix)
        parts[encoder.folder] = {name: old for name, old in names.items() if _is_text(name, encoder)}
    return parts


def _below(names: Iterable[str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}


def _is_text(name: str, encoder: TextEncoder) -> bool:
    """Tell whether diffusers has a place for a tensor: not for layers that nobody uses, nor for what can be derived."""
    if encoder.layout == "clip":
        return next(iter(layouts.text.to_diffusers([name]).values())).startswith("text_model.") and not name.endswith(
            checkpoint.POSITIONS
        )
    new = next(iter(layouts.openclip.to_diffusers([name]).values()), ("",))[0]
    layer = _LAYER.search(new)
    if layer and int(layer[1]) >= encoder.layers:
        return False
    return bool(new) and (encoder.folder in _PROJECTING or not new.startswith("text_projection"))


def _in_diffusers_names(part: str, weights: Weights, names: Mapping[str, str], family: Family) -> Weights:
    inner = Weights({name: weights.lazy(old) for name, old in names.items()})
    if part in _LAYOUTS:
        return _renamed(inner, _LAYOUTS[part].to_diffusers(inner))
    if part == VAE:
        return layouts.vae.in_diffusers_names(inner)
    encoder = next(each for each in family.encoders if each.folder == part)
    if encoder.layout == "openclip":
        return layouts.openclip.in_diffusers_names(inner)
    return _renamed(inner, layouts.text.to_diffusers(inner))
