"""`pochade inpaint`: draw a part of a picture anew."""

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


@app.command(
    epilog='Example: pochade inpaint "a yellow sun" --image house.png --mask sky.png --strength 1 -o sunny.png'
)
@with_request("Image", "Mask", "Soft inpainting", "Refiner", "Control", needs_prompt=False)
@with_many
def inpaint(
    batch: "Batch",
    models: Models = None,
    output: Output = None,
    keep_inputs: KeepInputs = False,
    queue: Queued = False,
    as_json: Json = False,
) -> None:
    """Draw what is white in the mask anew; every other pixel stays as it is.

    With a folder for the picture, each in it is done; a mask that is a folder holds one of the same name for each. Exit
    code 3 when one of these cannot be read; the others are done nevertheless.
    """
    missing = [f"--{name} FILE" for name in ("image", "mask") if not getattr(batch.requests[0], name)]
    if missing:
        raise UsageError(f"A picture and its mask are needed: give {' and '.join(missing)}.")
    draw(batch, models or [], output, "inpaint", as_json, keep_inputs, queue)
