"""`pochade evaluate`: measure how well a model draws what it is told."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pochade.cli.common import Json, Models

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def evaluate() -> None:
    """Measure how well a model draws what it is told."""


@app.command(epilog="Example: pochade evaluate picturebook --sheet sheet.png")
def picturebook(
    model: Annotated[str, typer.Option(metavar="TEXT", help="Model to judge; the shipped one if not given.")] = "",
    count: Annotated[int, typer.Option(help="Held-out prompts to draw.", min=1)] = 200,
    steps: Annotated[int, typer.Option(help="Sampling steps.", min=1, max=1000)] = 25,
    cfg: Annotated[float, typer.Option(help="Guidance.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Seed of the first picture.", min=0)] = 1,
    sheet: Annotated[Path | None, typer.Option(metavar="FILE", help="Also save all pictures as one sheet.")] = None,
    models: Models = None,
    as_json: Json = False,
) -> None:
    """Draw prompts that training never saw and let the picture-book's judge say what came out, in per cent."""
    from pochade.cli.progress import watch  # deferred: the help needs none of these
    from pochade.evaluation import picturebook as judged
    from pochade.generation.drawer import pipeline_for
    from pochade.generation.picture import Picture, format_of
    from pochade.generation.request import Request

    if sheet:
        format_of(sheet)  # an unknown format is refused before the long work begins
    pipeline = pipeline_for(Request(model=model), models or [])
    (table,) = watch(judged.evaluate(pipeline, count, steps, cfg, seed))
    if sheet:
        Picture(table.sheet()).save(sheet)
    rates = table.rates()
    if as_json:
        typer.echo(json.dumps({"count": count, "rates": rates, "goals": judged.GOALS}, indent=2))
        return
    for name, rate in rates.items():
        goal = f"  (goal {judged.GOALS[name]})" if name in judged.GOALS else ""
        typer.echo(f"{name:<11} {rate:5.1f} %{goal}")
