#!/usr/bin/env python3
"""Fit how latents look at a glance: least squares from a model's latents to its pictures made small.

    python scripts/fit_previews.py [MODEL]

Without MODEL it is the shipped one, with prompts of its own world; for others, prompts come from standard input, one
a line. The lines that it prints go into src/pochade/families/previews.py.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pochade import Pipeline
from pochade.events import Made, Preview
from pochade.generation import Request
from pochade.generation.pictures.pixels import pixels_of
from pochade.picturebook.evaluation import evaluation_prompts

_PICTURES = 48


def main() -> None:
    """Draw, fit and print."""
    pipeline = Pipeline.load(Path(sys.argv[1]) if len(sys.argv) > 1 else None, device="cpu")
    own = [prompt for prompt, _ in evaluation_prompts(_PICTURES)]
    prompts = own if pipeline.model.is_shipped else [line.strip() for line in sys.stdin]
    pairs = list(_drawn(pipeline, prompts[:_PICTURES]))
    latents, colours = (torch.cat(each) for each in zip(*pairs, strict=True))
    ones = torch.ones(len(latents), 1)
    found = torch.linalg.lstsq(torch.cat([latents, ones], dim=1), colours).solution
    rest = colours - torch.cat([latents, ones], dim=1) @ found
    print(f"    ({', '.join(_colour(row) for row in found[:-1])}),")
    print(f"    {_colour(found[-1])},")
    print(f"it explains {1 - float(rest.var() / colours.var()):.3f} of the colours' variance", file=sys.stderr)


def _drawn(pipeline: Pipeline, prompts: Iterable[str]) -> Iterator[tuple[Tensor, Tensor]]:
    """The latents [N, 4] of each picture, and the colours [N, 3] in -1..1 where they are."""
    for seed, prompt in enumerate(prompts):
        latents = None
        for event in pipeline.run(Request(prompt, seed=seed)):
            if isinstance(event, Preview):
                latents = event.latents
            elif isinstance(event, Made) and latents is not None:
                small = F.interpolate(pixels_of(event.result.image) * 2 - 1, size=latents.shape[-2:], mode="area")
                yield _in_rows(latents), _in_rows(small)


def _in_rows(pixels: Tensor) -> Tensor:
    return pixels[0].flatten(1).T.float()


def _colour(row: Tensor) -> str:
    return f"({', '.join(f'{float(each):.3f}' for each in row)})"


if __name__ == "__main__":
    main()
