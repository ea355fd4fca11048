"""A checkpoint as diffusers lays it out: parts in folders, names, and what says how each part is built."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pochade import families, files, layouts
from pochade.errors import MalformedFileError
from pochade.families import SD1, Family, TextEncoder, Variant
from pochade.families.family import Prediction
from pochade.files import LazyArray, Weights
from pochade.files.folders import INDEX
from pochade.kinds import checkpoint, controlnet, image_parts
from pochade.kinds.components import CONTROLNET, IN_CHECKPOINT, UNET, VAE, components
from pochade.kinds.descriptions import Table, describe
from pochade.kinds.image_descriptions import embedding_width, needs_statistics, with_image_parts
from pochade.kinds.image_parts import ENCODER, NORMALIZER, STATISTICS, ImagePart, image_part_of
from pochade.kinds.prediction import STATED, ZERO_SNR_MARKER, marker
from pochade.kinds.recognition import recognise
from pochade.layouts.packing import Names, packed, unpacked

_NEEDLESS = "safety_checker/"
_FIRST_TEXT = "conditioner.embedders.0."
_MARKS = ("down_blocks.", "encoder.down_blocks.", "controlnet_down_blocks.")
_LAYOUTS = {UNET: layouts.unet, CONTROLNET: layouts.controlnet}
_PREDICTIONS: dict[str, Prediction] = {"v_prediction": "v", "epsilon": "epsilon"}
_PADS = {"clip": "<|endoftext|>", "openclip": "!"}
_PROJECTING = {"text_encoder_2"}
_BARE = "pochade.bare_text_names"
_CONTROL_PREFIX = "control_model."
_BARE_CONTROL = "pochade.bare_controlnet_names"
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")


def open_model(path: Path | str) -> Weights:
    """Open a model file or a diffusers folder; tensors of networks have the names of the original.

    Raises FileError as files.open() does.
    """
    weights = files.open(path)
    if weights.format == "diffusers" and any("/" in name for name in weights):
        return _checkpoint(weights)
    if any(name.startswith(_FIRST_TEXT) for name in weights):
        return _text_in_place(weights)
    return _part_alone(weights) if any(name.startswith(_MARKS) for name in weights) else weights


def _text_in_place(weights: Weights) -> Weights:
    """Return a checkpoint with its text encoder where its UNet's family has it; SD2-Turbo has it where SDXL does."""
    shapes = weights.shapes()
    family = families.recognise({name: shapes[name] for name in shapes if name.startswith(IN_CHECKPOINT)})
    if family is None or family.has_text(shapes):
        return weights
    place = family.encoders[0].prefix
    found = _FIRST_TEXT + place.split(".", 1)[1]
    return _renamed(
        weights, {name: place + name.removeprefix(found) if name.startswith(found) else name for name in weights}
    )


def _part_alone(weights: Weights) -> Weights:
    """Return a network of its own file or folder in the original's names."""
    kind = recognise(weights.shapes())
    if kind == VAE:
        return layouts.vae.in_original_names(weights)
    if kind == CONTROLNET and not controlnet.form(weights.shapes()):
        return _control(weights)
    return _renamed(weights, _LAYOUTS[kind].to_original(weights)) if kind in _LAYOUTS else weights


def _control(weights: Weights) -> Weights:
    """Return a ControlNet as published: with a prefix, unless it is known to come from a file without."""
    metadata = dict(weights.metadata)
    prefix = "" if metadata.pop(_BARE_CONTROL, None) is not None else _CONTROL_PREFIX
    tensors = _placed(prefix, weights, layouts.controlnet.to_original(weights))
    return Weights(tensors, metadata, weights.path, weights.format, weights.extra)


def _renamed(weights: Weights, names: Mapping[str, str]) -> Weights:
    arrays = {new: weights.lazy(old) for old, new in names.items()}
    return Weights(arrays, weights.metadata, weights.path, weights.format, weights.extra)


def _checkpoint(folder: Weights) -> Weights:
    """Return the checkpoint that a whole folder holds. What the original has no name for keeps its part's name."""
    parts = _split(folder)
    family = families.recognise(parts[UNET].shapes()) if UNET in parts else None
    if family is None:
        raise MalformedFileError(folder.path or "", "has no UNet of a known family; open its parts one by one")
    branch = family.branch(parts[UNET].shapes())
    rest = parts.pop("", Weights({}))
    tensors = {name: rest.lazy(name) for name in rest}
    unet = parts.pop(UNET)
    tensors |= _placed(family.unet_prefix, unet, layouts.unet.to_original(unet))
    if VAE in parts:
        vae = layouts.vae.in_original_names(parts.pop(VAE))
        tensors |= _placed(family.vae_prefix, vae, {name: name for name in vae})
    if CONTROLNET in parts:
        inner = parts.pop(CONTROLNET)
        tensors |= _placed(_CONTROL_PREFIX, inner, layouts.controlnet.to_original(inner))
    metadata = dict(folder.metadata)
    bare = metadata.pop(_BARE, None) is not None
    for part, weights in parts.items():
        try:
            tensors |= _encoder(part, weights, family, branch, bare)
        except ValueError as error:
            raise MalformedFileError(folder.path or "", f"has a broken {part}: {error}") from error
    stated, markers = _scheduled(folder, branch)
    return Weights(tensors | markers, metadata | stated, folder.path, folder.format, folder.extra)


def _split(folder: Weights) -> dict[str, Weights]:
    parts: dict[str, dict[str, LazyArray]] = defaultdict(dict)
    for name in folder:
        part, _, inner = name.rpartition("/")
        if not name.startswith(_NEEDLESS):
            parts[part][inner] = folder.lazy(name)
    return {part: Weights(arrays) for part, arrays in parts.items()}


def _placed(prefix: str, weights: Weights, names: Mapping[str, str]) -> dict[str, LazyArray]:
    return {prefix + new: weights.lazy(old) for old, new in names.items()}


def _encoder(part: str, weights: Weights, family: Family, branch: Variant | None, bare: bool) -> dict[str, LazyArray]:
    """Return what reads text or looks at pictures, in the original's names, or in NovelAI's `bare` ones for CLIP.

    Raises ValueError for a broken one.
    """
    image = image_part_of(branch)
    if image and part == image.folder:
        return _packed(part, image.prefix, weights, image.to_original(weights))
    if image is ENCODER and part == NORMALIZER:
        return _statistics(weights)
    encoder = next((each for each in family.encoders if each.folder == part), None)
    if encoder is None:
        return _placed(f"{part}/", weights, {name: name for name in weights})
    full = _renamed(weights, layouts.text.to_diffusers(weights))
    if encoder.layout == "clip":
        return _placed(encoder.prefix, full, {name: layouts.text.bare(name) if bare else name for name in full})
    return _packed(part, encoder.prefix, full, layouts.openclip.to_original(full))


def _packed(part: str, prefix: str, weights: Weights, names: Names) -> dict[str, LazyArray]:
    """Return a part in the original's names; what these have no place for keeps its part's, but for what follows."""
    inner = packed(weights, names)
    used = {name for new in names.values() for name in new}
    rest = {name: name for name in weights if name not in used and not name.endswith(checkpoint.POSITIONS)}
    return _placed(prefix, inner, {name: name for name in inner}) | _placed(f"{part}/", weights, rest)


def _statistics(weights: Weights) -> dict[str, LazyArray]:
    """Return the mean and the spread of embeddings in the original's names; none where they say nothing."""
    names = {new: old for old, new in STATISTICS.items()}
    if set(weights) == set(names) and image_parts.says_nothing(*(weights[name] for name in names)):
        return {}
    return {names.get(name, f"{NORMALIZER}/{name}"): weights.lazy(name) for name in weights}


def _scheduled(folder: Weights, branch: Variant | None) -> tuple[dict[str, str], dict[str, LazyArray]]:
    """What the folder's scheduler says beyond its UNet's branch, as a file's metadata and marker tensors say it."""
    configs = folder.extra.get("configs")
    scheduler = configs.get("scheduler") if isinstance(configs, dict) else None
    if not isinstance(scheduler, dict):
        return {}, {}
    stated = _PREDICTIONS.get(str(scheduler.get("prediction_type", "epsilon")))
    reaches_zero = scheduler.get("rescale_betas_zero_snr") is True
    told = branch is not None and branch.prediction == stated
    return {STATED: stated} if stated and not told else {}, marker(ZERO_SNR_MARKER) if reaches_zero else {}


@dataclass(frozen=True)
class Folder:
    """What to write: every part's weights, what has no place, each part's description and each tokenizer's padding.

    `metadata` goes with what has no place, for the way back. `lacks_statistics` tells that an image encoder's
    embeddings should be measured by numbers that the file has not.
    """

    parts: dict[str, Weights]
    unplaced: Weights
    descriptions: dict[str, Table]
    tokenizers: dict[str, str]
    metadata: dict[str, str]
    lacks_statistics: bool


def as_folder(weights: Weights, prediction: Prediction | None) -> Folder:
    """Return a checkpoint, or a UNet, VAE or ControlNet alone, as diffusers lays it out; an unknown `prediction`
    becomes epsilon.

    Raises MalformedFileError for what is neither.
    """
    family = _family(weights)
    branch = family.branch(weights.shapes())
    image = image_part_of(branch)
    parts = {name: each for name, each in _parts(weights, family, image).items() if each}
    _check_blocks(weights, parts)
    placed = {old for names in parts.values() for old in names.values()}
    unplaced = Weights({name: weights.lazy(name) for name in weights if name not in placed})
    try:
        inner = {part: _in_diffusers_names(part, weights, names, family, image) for part, names in parts.items()}
        if image is ENCODER and ENCODER.folder in inner:
            inner = {NORMALIZER: image_parts.plain_statistics(embedding_width(inner[ENCODER.folder].shapes()))} | inner
        described = with_image_parts(describe(inner, family, weights, prediction or "epsilon"), inner, branch)
    except KeyError as error:
        raise MalformedFileError(weights.path or "", f"lacks {error}, so that it cannot be described") from error
    except (IndexError, ValueError) as error:
        problem = "has tensors of other shapes than its networks, so that it cannot be described"
        raise MalformedFileError(weights.path or "", problem) from error
    pads = {each.folder.replace("text_encoder", "tokenizer"): _PADS[each.layout] for each in family.encoders}
    guessed = NORMALIZER in inner.keys() - parts.keys() and needs_statistics(described)
    bare = {_BARE: _has_bare_names(parts, family), _BARE_CONTROL: _is_bare_control(parts)}
    metadata = {name: "true" for name, holds in bare.items() if holds}
    return Folder(inner, unplaced, described, pads if INDEX in described else {}, metadata, guessed)


def _check_blocks(weights: Weights, parts: Mapping[str, Iterable[str]]) -> None:
    """Refuse networks whose names would not come back: with a block missing, later ones are counted otherwise."""
    for part in _LAYOUTS.keys() & parts.keys():
        new = _LAYOUTS[part].to_diffusers(parts[part])
        if _LAYOUTS[part].to_original(new.values()) != {name: old for old, name in new.items()}:
            problem = f"has a {part} of which blocks are missing, so that diffusers' layout has no place for the others"
            raise MalformedFileError(weights.path or "", problem)


def _has_bare_names(parts: Mapping[str, Mapping[str, str]], family: Family) -> bool:
    """Tell whether CLIP's text encoder has NovelAI's names."""
    names = [name for each in family.encoders if each.layout == "clip" for name in parts.get(each.folder, ())]
    return bool(names) and all(map(layouts.text.is_bare, names))


def _is_bare_control(parts: Mapping[str, Mapping[str, str]]) -> bool:
    """Tell whether a ControlNet has the original's names without their prefix."""
    return any(not name.startswith(_CONTROL_PREFIX) for name in parts.get(CONTROLNET, {}).values())


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


def _parts(weights: Weights, family: Family, image: ImagePart | None) -> dict[str, dict[str, str]]:
    """Return for every part the names that it takes, without their prefix, and in the file."""
    found = components(weights)
    prefixes = {UNET: family.unet_prefix, VAE: family.vae_prefix, CONTROLNET: _CONTROL_PREFIX}
    parts = {
        part: _below(found[part], prefix) or dict(zip(found[part], found[part], strict=True))
        for part, prefix in prefixes.items()
        if part in found
    }
    for encoder in family.encoders:
        names = _below(weights, encoder.prefix)
        parts[encoder.folder] = {name: old for name, old in names.items() if _is_text(name, encoder)}
    if image:
        names = _below(weights, image.prefix)
        parts[image.folder] = {name: names[name] for name in image.to_diffusers(names)}
    if image is ENCODER and _has_statistics(weights):
        parts[NORMALIZER] = {name: name for name in STATISTICS}
    return parts


def _has_statistics(weights: Weights) -> bool:
    known = all(name in weights for name in STATISTICS)
    return known and not image_parts.says_nothing(*(weights[name] for name in STATISTICS))


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


def _in_diffusers_names(
    part: str, weights: Weights, names: Mapping[str, str], family: Family, image: ImagePart | None
) -> Weights:
    inner = Weights({name: weights.lazy(old) for name, old in names.items()})
    if part in _LAYOUTS:
        return _renamed(inner, _LAYOUTS[part].to_diffusers(inner))
    if part == VAE:
        return layouts.vae.in_diffusers_names(inner)
    if part == NORMALIZER:
        return _renamed(inner, STATISTICS)
    if image and part == image.folder:
        return unpacked(inner, image.to_diffusers(inner))
    encoder = next(each for each in family.encoders if each.folder == part)
    if encoder.layout == "openclip":
        return unpacked(inner, layouts.openclip.to_diffusers(inner))
    return _renamed(inner, layouts.text.to_diffusers(inner))
