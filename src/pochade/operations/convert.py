"""Convert a model file: container, precision, moving averages, parts and repairs, in one pass over its tensors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pochade import families, kinds, layouts
from pochade.errors import UsageError
from pochade.events import Event, Saved
from pochade.families import Family
from pochade.files import LazyArray, Weights
from pochade.kinds import checkpoint, lora
from pochade.kinds.components import VAE, components
from pochade.kinds.lora_naming import Naming, in_naming
from pochade.kinds.vae import vae_of
from pochade.operations.casting import cast
from pochade.operations.lineage import Hashing, lineage
from pochade.operations.writing import Format, check_target, writing

Ema = Literal["keep", "drop", "use"]
DTYPES = {"fp32": "F32", "fp16": "F16", "bf16": "BF16"}
_SOON_HASHED = 1 << 29  # bytes; to hash a larger file in full takes longer than to convert it
_INTO_DECODER = "decoder.conv_in.weight"
_OLD_EMBEDDING, _EMBEDDING = "string_to_param.", "emb_params"


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What to change. `only` and `drop` name parts as `pochade inspect` lists them; `naming` is for LoRAs."""

    format: Format | None = None
    dtype: Literal["fp32", "fp16", "bf16"] | None = None
    ema: Ema = "keep"
    only: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep_junk: bool = False
    vae: Path | None = None
    repair: bool = False
    naming: Naming | None = None


def convert(source: Path | str, target: Path | str, **changes: object) -> Path:
    """Convert a model file and return the new one; the fields of Conversion are the options.

    Raises FileError when a file cannot be read or written, UsageError when the changes do not fit the file.
    """
    events = converting(Path(source), Path(target), Conversion(**changes))  # type: ignore[arg-type]
    return [event.path for event in events if isinstance(event, Saved)][-1]


def converting(source: Path, target: Path, conversion: Conversion) -> Iterator[Event]:
    """Convert a model file; yields Steps in megabytes and Saved at the end."""
    others = [conversion.vae] if conversion.vae else []
    kind = check_target(target, source, *others, format=conversion.format)
    weights = kinds.open_model(source)
    changed = converted(weights, conversion)
    changed = _as_others_read_it(changed, kind)
    hashing = Hashing({"model": weights}, most=_SOON_HASHED)
    told = lineage("convert", {"model": weights}, _told(conversion), hashing)
    metadata = {"format": "pt"} | changed.metadata | told
    yield from writing(target, changed, metadata, kind)


def _as_others_read_it(weights: Weights, format: Format) -> Weights:
    """Return weights as web UIs know such a file. Raises UsageError where they know none in this format."""
    kind = kinds.recognise(weights.shapes())
    if kind == "hypernetwork" or (kind == "embedding" and format != "safetensors"):
        raise UsageError(
            f"{weights.path} is {'a hypernetwork' if kind == 'hypernetwork' else 'an embedding'}: in another file than "
            f"{'its own' if kind == 'hypernetwork' else 'a safetensors'} no program would read it."
        )
    names = {name: _EMBEDDING if name.startswith(_OLD_EMBEDDING) else name for name in weights}
    if kind != "embedding" or len(set(names.values())) < len(names):
        return weights
    return Weights({new: weights.lazy(old) for old, new in names.items()}, weights.metadata, weights.path)


def _told(conversion: Conversion) -> dict[str, object]:
    """The changes that were asked for, as the lineage keeps them."""
    asked = {name: value for name, value in vars(conversion).items() if value != getattr(Conversion, name)}
    return {name: value.name if isinstance(value, Path) else value for name, value in asked.items()}


def converted(weights: Weights, conversion: Conversion) -> Weights:
    """Return the weights with all changes, none of them carried out yet."""
    if conversion.naming:
        weights = _named(weights, conversion.naming)
    family = families.recognise(weights.shapes())
    tensors = {name: weights.lazy(name) for name in weights}
    tensors = _averaged(tensors, family, conversion.ema)
    tensors = _chosen(tensors, conversion)
    if conversion.vae:
        tensors = _with_vae(tensors, family, conversion.vae)
    if conversion.repair:
        tensors = _repaired(tensors, family)
    if not conversion.keep_junk:
        junk = set(checkpoint.junk(tensors)) if components(tensors) else set()
        kept = {name for name in junk if conversion.repair and name.endswith(checkpoint.POSITIONS)}
        tensors = {name: each for name, each in tensors.items() if name not in junk - kept}
    if conversion.dtype:
        tensors = {name: cast(each, DTYPES[conversion.dtype]) for name, each in tensors.items()}
    if not tensors:
        raise UsageError(f"{weights.path}: nothing would be left of it; see `pochade inspect` for its parts.")
    return Weights(tensors, weights.metadata, weights.path, weights.format, weights.extra)


def _named(weights: Weights, naming: Naming) -> Weights:
    """Return a LoRA in another naming. Raises UsageError for other files, and where no family tells the names."""
    family = lora.family_of(weights.shapes()) if kinds.recognise(weights.shapes()) == "lora" else None
    if family is None:
        raise UsageError(f"{weights.path} is no LoRA of a known family, so that --naming means nothing for it.")
    return in_naming(weights, naming, family)


def _averaged(tensors: Mapping[str, LazyArray], family: Family | None, ema: Ema) -> dict[str, LazyArray]:
    """Keep the moving averages, leave them out, or put them in place of the live UNet."""
    state = checkpoint.ema_state(tensors)
    if ema == "keep" or (state == "none" and ema == "drop"):
        return dict(tensors)
    if family is None or state == "none":
        raise UsageError("--ema use: the file holds no moving averages; see `pochade inspect`.")
    if ema == "drop" and state == "only":
        raise UsageError("--ema drop: the file's UNet is there as moving average only; --ema use puts it in place.")
    live = {name: each for name, each in tensors.items() if not name.startswith(family.ema_prefix)}
    if ema == "drop":
        return live
    return live | _live_names(tensors, family)


def _live_names(tensors: Mapping[str, LazyArray], family: Family) -> dict[str, LazyArray]:
    """Return the moving averages under the names of what they average."""
    start = family.ema_name(family.unet_prefix)
    averages = {name.removeprefix(start): each for name, each in tensors.items() if name.startswith(start)}
    try:
        return {family.unet_prefix + layouts.unet.dotted(name): each for name, each in averages.items()}
    except ValueError as error:
        raise UsageError(f"--ema use: {error}.") from error


def _chosen(tensors: Mapping[str, LazyArray], conversion: Conversion) -> dict[str, LazyArray]:
    """Return the parts that were asked for."""
    found = components(tensors)
    for asked in (*conversion.only, *conversion.drop):
        if asked not in found:
            raise UsageError(f"There is no part named '{asked}' in the file; it has {', '.join(found) or 'none'}.")
    if not (conversion.only or conversion.drop):
        return dict(tensors)
    wanted = set(conversion.only or found) - set(conversion.drop)
    names = {name for part in wanted for name in found[part]}
    known = {name for part in found for name in found[part]}
    loose = checkpoint.MARKERS if conversion.only else tensors.keys() - known
    return {name: each for name, each in tensors.items() if name in names | loose}


def _with_vae(tensors: Mapping[str, LazyArray], family: Family | None, path: Path) -> dict[str, LazyArray]:
    """Put another file's VAE in place of the own one."""
    if family is None:
        raise UsageError("--vae: the file is of no known family, so that it is not known where its VAE belongs.")
    source = kinds.open_model(path)
    its_family = families.recognise(source.shapes())
    if its_family not in (None, family) and set(components(source)) != {VAE}:
        raise UsageError(f"{path} is for {its_family.title}, the model {family.title}: its VAE would spoil pictures.")
    other = vae_of(source, family)
    if not other:
        raise UsageError(f"{path} holds no VAE.")
    _check_vae(tensors, family, other)
    kept = {name: each for name, each in tensors.items() if not name.startswith(family.vae_prefix)}
    return kept | {family.vae_prefix + name: other.lazy(name) for name in other}


def _check_vae(tensors: Mapping[str, LazyArray], family: Family, other: Weights) -> None:
    """Refuse a VAE whose latents are others than the model's."""
    own = tensors.get(family.vae_prefix + _INTO_DECODER)
    channels = own.info.shape[1:2] if own else (family.latent_channels,)
    its = other.info(_INTO_DECODER).shape[1:2] if _INTO_DECODER in other else ()
    if its != channels:
        raise UsageError(f"{other.path}: its latents have {list(its)} channels, the model's {list(channels)}.")


def _repaired(tensors: Mapping[str, LazyArray], family: Family | None) -> dict[str, LazyArray]:
    """Mend position numbers, and the names of text encoders that leave out `text_model.`."""
    mended = dict(tensors)
    for name, each in tensors.items():
        if name.endswith(checkpoint.POSITIONS):
            mended[name] = LazyArray.of(np.arange(each.info.size, dtype=np.int64).reshape(each.info.shape))
    for encoder in family.encoders if family else ():
        if encoder.layout == "clip":
            inner = {name.removeprefix(encoder.prefix): name for name in mended if name.startswith(encoder.prefix)}
            for short, full in layouts.text.to_original(inner).items():
                if short != full:
                    mended[encoder.prefix + full] = mended.pop(inner[short])
    return mended
