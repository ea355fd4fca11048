"""`pochade txt2img`: draw pictures from a sentence."""

from typing import TYPE_CHECKING

import typer

from pochade.cli.common import Json, Models
from pochade.cli.drawing import Output, Queued, draw
from pochade.cli.many import with_many
from pochade.cli.options import with_request

if TYPE_CHECKING:
    from pochade.generation.batches import Batch

app = typer.Typer(add_completion=False)


@app.command(epilog='Example: pochade txt2img "a red house under a yellow sun, night sky" --seed 8 -o house.png')
@with_request("Hires", "Refiner", "Control", needs_prompt=False)
@with_many
def txt2img(
    batch: "Batch", models: Models = None, output: Output = None, queue: Queued = False, as_json: Json = False
) -> None:
    """Draw pictures from a sentence, or from many, and save them with all that is needed to redo them."""
    draw(batch, models or [], output, "txt2img", as_json, queued=queue)
