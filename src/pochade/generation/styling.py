"""Styles put around the prompts of a request, before anything else becomes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pochade.errors import UnknownNameError
from pochade.generation.request import Request
from pochade.prompts import styles
from pochade.prompts.styles import Style


def styled(request: Request, names: Sequence[str], known: Mapping[str, Style]) -> Request:
    """The request with named styles put around its prompts in turn; it notes their names.

    A second pass without prompts of its own goes by these. Raises UnknownNameError for a style that nobody knows.
    """
    for name in names:
        if name not in known:
            raise UnknownNameError("style", name, known)
    prompt, negative = styles.apply(known, names, request.prompt, request.negative_prompt)
    second, second_negative = styles.apply(known, names, request.hires_prompt, request.hires_negative_prompt)
    return replace(
        request,
        prompt=prompt,
        negative_prompt=negative,
        hires_prompt=second if request.hires_prompt else "",
        hires_negative_prompt=second_negative if request.hires_negative_prompt else "",
        applied_styles=(*request.applied_styles, *names),
    )
