"""Command line options made from the rules of a Request's fields, so that each is described once."""

import inspect
import re
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Annotated, Any

import typer

from pochade.errors import UsageError
from pochade.generation.request import Request, defaults, kind_of, rules
from pochade.generation.rules import Rule, shown

_NAMES = {"negative_prompt": ("--negative", "-n")}
_NO_OPTION = {"prompt", "model_hash", "vae_hash", "width", "height", "uni_pc_lower_order_final"}
_WIDEST_METAVAR = 13
_SIZE = re.compile(r"(\d{1,6})[xX×](\d{1,6})")


def with_request(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's first parameter, a Request, by the prompt and an option for each field."""

    @wraps(command)
    def run(**values: Any) -> None:
        own = {name: values.pop(name) for name in list(values) if name not in rules() and name != "size"}
        command(_request(values), **own)

    parameters = [_prompt(), *_field_options(), *list(inspect.signature(command).parameters.values())[1:]]
    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in keyword_only}
    return run


def parse_size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT.

    >>> parse_size("640x448")
    (640, 448)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"The size is {shown(text)}; it must be WIDTHxHEIGHT in pixels, such as 512x768.")
    return int(match[1]), int(match[2])


def _request(values: dict[str, Any]) -> Request:
    fields = {name: value for name, value in values.items() if name != "size"}
    for name, value in fields.items():
        if kind_of(name)[0] is tuple and value is not None:
            fields[name] = parse_size(value)
    width, height = parse_size(values["size"]) if values["size"] else (None, None)
    return Request(width=width, height=height, **fields).validate()


def _prompt() -> inspect.Parameter:
    return _parameter(
        "prompt", str, inspect.Parameter.empty, typer.Argument(help=_help(rules()["prompt"]), metavar="PROMPT")
    )


def _field_options() -> Iterator[inspect.Parameter]:
    for name, rule in rules().items():
        if name == "steps":
            size = typer.Option("--size", metavar="WxH", help="Width and height in pixels; the model's if not given.")
            yield _parameter("size", str | None, None, size)
        if name not in _NO_OPTION:
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
        rich_help_panel=f"Advanced: {rule.group.lower()}" if rule.group else None,
        metavar=_metavar(kind, rule),
        show_default=bool(default),
    )
    return _parameter(name, annotation | None if optional else annotation, default, info)


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
