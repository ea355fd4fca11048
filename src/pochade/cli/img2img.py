"""`pochade img2img`: draw over a picture, or over all pictures of a folder."""

from typing import TYPE_CHECKING

import typer

from pochade.cli.common import Json, Models
from pochade.cli.drawing import KeepInputs, Output, Queued, draw
from pochade.cli.many import with_many
from pochade.cli.options import with_request
from pochade.errors import UsageError

if TYPE_CHECKING:
    from pochade.generation.batches import Batch

app = typer.Typer(add_completion=False)


@app.command(epilog='Example: pochade img2img "a blue house, night sky" --image house.png --strength 0.6 -o blue.png')
@with_request("Image", "Refiner", "Control", needs_prompt=False)
@with_many
def img2img(
    batch: "Batch",
    models: Models = None,
    output: Output = None,
    keep_inputs: KeepInputs = False,
    queue: Queued = False,
    as_json: Json = False,
) -> None:
    """Draw over a picture, or over every picture of a folder: the stronger, the less of it stays.

    Exit code 3 when a picture of the folder cannot be read; the others are done nevertheless.
    """
    if not batch.requests[0].image:
        raise UsageError("Which picture shall be drawn over? Give it with --image FILE, or a folder of them.")
    draw(batch, models or [], output, "img2img", as_json, keep_inputs, queue)
