"""Command line options made from the rules of a Request's fields, so that each is described once."""

import inspect
from collections.abc import Callable, Iterator, Sequence, Set
from functools import wraps
from typing import Annotated, Any

import typer

from pochade.cli.controls import SETTINGS, parse_control
from pochade.cli.loras import parse_lora
from pochade.generation.extra_networks.lora_unit import WORDS
from pochade.generation.pictures.sizes import parse_size
from pochade.generation.record import records_in
from pochade.generation.request import NOTES, Request, defaults, kind_of, rules
from pochade.generation.rules import Rule

TASKS = frozenset({"Image", "Mask", "Soft inpainting", "Outpaint", "Hires", "Refiner", "Control"})
"""Groups of fields that belong to single tasks."""

_ALSO_IN = {"strength": "Hires", "extra_noise": "Hires"}
_NAMES = {"negative_prompt": ("--negative", "-n"), "controls": ("--control",), "loras": ("--lora",)}
_RECORDS: dict[str, tuple[Callable[[str], Any], str, Sequence[str]]] = {
    "controls": (parse_control, "NAME=VALUE,...", SETTINGS),
    "loras": (parse_lora, "NAME:W[:TEW]", WORDS),
}
"""How records are written, and the words for their settings."""
_HASHES = {"lora_hashes", "model_hash", "vae_hash", "image_hash", "mask_hash", "depth_hash", "refiner_hash"}
_NO_OPTION = {*_HASHES, *NOTES, "prompt", "width", "height", "uni_pc_lower_order_final"}
_WIDEST_METAVAR = 13


def with_request(
    *groups: str, without: Set[str] = frozenset(), needs_prompt: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's first parameter, a Request, by the prompt and an option for each field.

    Fields of single tasks (TASKS) only come with the `groups` that are named, and those in `without` not at all.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:
            own = {name: values.pop(name) for name in list(values) if name not in rules() and name != "size"}
            command(_request(values), **own)

        fields = [each for each in _field_options(TASKS - set(groups)) if each.name not in without]
        parameters = [_prompt(needs_prompt), *fields, *list(inspect.signature(command).parameters.values())[1:]]
        keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in keyword_only}
        return run

    return decorate


def _request(values: dict[str, Any]) -> Request:
    fields = {name: value for name, value in values.items() if name != "size"}
    for name, value in fields.items():
        if records_in(Request, name):
            fields[name] = tuple(map(_RECORDS[name][0], value or ()))
        elif kind_of(name)[0] is tuple and value is not None:
            fields[name] = parse_size(value)
    width, height = parse_size(values["size"]) if values["size"] else (None, None)
    return Request(width=width, height=height, **fields).validate()


def _prompt(needed: bool) -> inspect.Parameter:
    return _parameter(
        "prompt",
        str,
        inspect.Parameter.empty if needed else "",
        typer.Argument(help=_help(rules()["prompt"]), metavar="PROMPT"),
    )


def _field_options(without: Set[str]) -> Iterator[inspect.Parameter]:
    for name, rule in rules().items():
        if rule.group in without and _ALSO_IN.get(name, rule.group) in without:
            continue
        if name == "steps":
            size = typer.Option("--size", metavar="WxH", help="Width and height in pixels; the model's if not given.")
            yield _parameter("size", str | None, None, size)
        if records_in(Request, name):
            yield _records_option(name, rule)
        elif name not in _NO_OPTION:
            yield _field_option(name, rule)


def _field_option(name: str, rule: Rule) -> inspect.Parameter:
    kind, optional = kind_of(name)
    default = defaults()[name]
    flag = f"--{name.replace('_', '-')}"
    names = _NAMES.get(name, (flag,))
    annotation: Any = str if kind is tuple else kind
    info = typer.Option(
        *names,
        help=_help(rule),
        rich_help_panel=_panel(rule.group),
        metavar=_metavar(kind, rule),
        show_default=bool(default),
    )
    return _parameter(name, annotation | None if optional else annotation, default, info)


def _records_option(name: str, rule: Rule) -> inspect.Parameter:
    _, form, words = _RECORDS[name]
    info = typer.Option(
        *_NAMES[name],
        help=_help(rule) + f" Repeatable; settings: {', '.join(words)}.",
        rich_help_panel=_panel(rule.group),
        metavar=form,
    )
    return _parameter(name, list[str] | None, None, info)


def _panel(group: str) -> str | None:
    if not group:
        return None
    return group if group in TASKS else f"Advanced: {group.lower()}"


def _parameter(name: str, kind: Any, default: Any, info: Any) -> inspect.Parameter:
    annotation = Annotated[kind, info]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _help(rule: Rule) -> str:
    names = "" if _is_short(rule) else f" One of {', '.join(rule.choices)}."
    return (rule.help + names).replace("[", r"\[")  # a bracket would begin a style tag


def _is_short(rule: Rule) -> bool:
    return len("|".join(rule.choices)) <= _WIDEST_METAVAR


def _metavar(kind: type, rule: Rule) -> str:
    if rule.choices and _is_short(rule):
        return "|".join(rule.choices)
    return {tuple: "WxH", int: "N", float: "X", bool: ""}.get(kind, "TEXT")
