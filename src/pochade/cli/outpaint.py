"""`pochade outpaint`: let a picture grow at its sides."""

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

_SIDES = ("left", "right", "up", "down")


@app.command(
    epilog='Example: pochade outpaint "a red house, night sky" --image house.png --left 64 --up 32 -o wide.png'
)
@with_request("Image", "Outpaint", "Refiner", "Control", without={"resize_mode", "depth"}, needs_prompt=False)
@with_many
def outpaint(
    batch: "Batch",
    models: Models = None,
    output: Output = None,
    keep_inputs: KeepInputs = False,
    queue: Queued = False,
    as_json: Json = False,
) -> None:
    """Let a picture, or every picture of a folder, grow at its sides; but for a seam, each old pixel stays as it is.

    What is new is drawn in pieces of --size at most. Exit code 3 when a picture of a folder cannot be read.
    """
    request = batch.requests[0]
    if not request.image:
        raise UsageError("Which picture shall grow? Give it with --image FILE, or a folder of them.")
    if not any(getattr(request, side) for side in _SIDES):
        raise UsageError("Where shall the picture grow? Give pixels with --left, --right, --up or --down.")
    draw(batch, models or [], output, "outpaint", as_json, keep_inputs, queue)
