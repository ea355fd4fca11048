"""Jobs on model files: convert, merge, bake, extract, resize."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Literal

from pochade.errors import UsageError
from pochade.events import Event
from pochade.jobs.context import Context
from pochade.jobs.verbs.reading import list_of, optional_path, path_of, paths_of, taken, value_of

Events = Generator[Event, None, None]


@dataclass(frozen=True)
class _Lora:
    """How a LoRA is extracted."""

    rank: int = 32
    conv_rank: int = 0
    dtype: Literal["fp32", "fp16", "bf16"] = "fp16"


_LORA = tuple(each.name for each in fields(_Lora))


def convert(record: Mapping[str, Any], context: Context) -> Events:
    """`source` and `target`, and the fields of a Conversion."""
    from pochade.operations.convert import Conversion, converting  # deferred: each verb needs its own

    options = _options(record, "convert", ("source", "target"), Conversion)
    yield from converting(
        path_of(record["source"], "source"),
        path_of(record["target"], "target"),
        value_of(Conversion, options, "convert"),
    )


def merge(record: Mapping[str, Any], context: Context) -> Events:
    """`target`, and a `recipe` whose models are looked for in `folders`, or `models` and the fields of a Merge."""
    from pochade.library import find_model
    from pochade.operations.merge import Merge, merging
    from pochade.operations.recipes import recipe_of

    options = _options(record, "merge", ("target",), Merge, "recipe", "models", "folders")
    target = path_of(record["target"], "target")
    find = partial(find_model, folders=paths_of(record.get("folders", []), "folders"))
    if "recipe" in record:
        if options or "models" in record:
            raise UsageError("A merge has a recipe, or models with a method; not both.")
        yield from merging(*recipe_of(str(record["recipe"]), find), target)
    else:
        models = [find(str(each)) for each in paths_of(record.get("models"), "models")]
        yield from merging(models, value_of(Merge, options, "merge"), target)


def bake(record: Mapping[str, Any], context: Context) -> Events:
    """`model` and `target`; `loras`, each with `path`, `unet` and `text`; `vae`."""
    from pochade.operations.bake import Adapter, baking

    given = taken(record, "bake", ("model", "target"), ("loras", "vae"))
    loras = [value_of(Adapter, each, "loras") for each in list_of(given.get("loras", []), "loras")]
    vae = optional_path(given.get("vae"), "vae")
    yield from baking(path_of(given["model"], "model"), path_of(given["target"], "target"), loras, vae)


def extract(record: Mapping[str, Any], context: Context) -> Events:
    """`model`, `target` and the `part` to take; or the `tuned` model, `rank`, `conv_rank` and `dtype` of a LoRA."""
    from pochade.operations.extract import extracting_lora, extracting_part

    given = taken(record, "extract", ("model", "target"), ("part", "tuned", *_LORA))
    model, target = path_of(given["model"], "model"), path_of(given["target"], "target")
    if ("part" in given) == ("tuned" in given):
        raise UsageError("To extract, name the part of a model, or the model that was tuned from it.")
    if "part" in given:
        yield from extracting_part(model, str(given["part"]), target)
    else:
        options = value_of(_Lora, {name: given[name] for name in _LORA if name in given}, "extract")
        yield from extracting_lora(model, path_of(given["tuned"], "tuned"), target, **vars(options))


def resize(record: Mapping[str, Any], context: Context) -> Events:
    """`lora` and `destination`; the fields of a Size; `base`."""
    from pochade.operations.resize import Size, resizing

    options = _options(record, "resize", ("lora", "destination"), Size, "base")
    lora, destination = path_of(record["lora"], "lora"), path_of(record["destination"], "destination")
    yield from resizing(lora, destination, value_of(Size, options, "resize"), optional_path(record.get("base"), "base"))


def _options(
    record: Mapping[str, Any], verb: str, needed: tuple[str, ...], kind: type[Any], *others: str
) -> dict[str, Any]:
    """What of a record are the fields of `kind`."""
    known = [each.name for each in fields(kind) if each.name not in (*needed, *others)]
    given = taken(record, verb, needed, (*known, *others))
    return {name: given[name] for name in known if name in given}
