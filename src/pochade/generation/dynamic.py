"""Dynamic prompts: one request whose prompts are templates becomes requests whose prompts are written out.

Each notes the template that its prompt comes from, and draws the same without any file of wildcards.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

from pochade.generation.request import Request
from pochade.prompts import dynamic
from pochade.prompts.dynamic import Wildcards

_TEMPLATES = ("prompt", "negative_prompt", "hires_prompt", "hires_negative_prompt")


def by_lot(request: Request, wildcards: Wildcards) -> list[Request]:
    """Requests whose prompts are chosen for each picture by its seed; neighbours with equal prompts stay together."""
    request = request.with_seeds()
    written = [dynamic.by_lot(_templates(request), wildcards, request.seed_of(index)) for index in range(request.count)]
    groups = (list(group) for _, group in groupby(range(request.count), key=written.__getitem__))
    return [
        replace(
            _with_texts(request, written[first]),
            seed=request.seed_of(first),
            variation_seed=request.variation_seed_of(first),
            count=len(rest) + 1,
        ).validate()
        for first, *rest in groups
    ]


def combinations(
    request: Request, wildcards: Wildcards, most: int, seeds: str | None = None
) -> tuple[list[Request], bool]:
    """A request for every choice in turn, `most` of them at the most, and whether there are more.

    All have the same seed, unless `seeds` is "next".
    """
    request = request.with_seeds()
    written = list(islice(dynamic.every(_templates(request), wildcards), most + 1))
    apart = request.count if seeds == "next" else 0
    requests = [
        replace(_with_texts(request, texts), seed=request.seed + number * apart).validate()
        for number, texts in enumerate(written[:most])
    ]
    return requests, len(written) > most


def _templates(request: Request) -> list[str]:
    return [vars(request)[name] for name in _TEMPLATES]


def _with_texts(request: Request, texts: Sequence[str]) -> Request:
    """The request with its prompts written out; templates that say the same as the prompts are not noted."""
    fields: dict[str, Any] = dict(zip(_TEMPLATES, texts, strict=True))
    if fields["prompt"] != request.prompt:
        fields["prompt_template"] = request.prompt
    if fields["negative_prompt"] != request.negative_prompt:
        fields["negative_template"] = request.negative_prompt
    return replace(request, **fields)
