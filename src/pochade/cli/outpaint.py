"""`pochade outpaint`: let a picture grow at its sides."""

import typer

from pochade.cli.common import Json, Models
from pochade.cli.drawing import KeepInputs, Output, draw
from pochade.cli.options import with_request
from pochade.errors import UsageError
from pochade.generation.request import Request

app = typer.Typer(add_completion=False)

_SIDES = ("left", "right", "up", "down")


@app.command(
    epilog='Example: pochade outpaint "a red house, night sky" --image house.png --left 64 --up 32 -o wide.png'
)
@with_request("Image", "Outpaint", "Refiner", "Control", without={"resize_mode", "depth"})
def outpaint(
    request: Request,
    models: Models = None,
    output: Output = None,
    keep_inputs: KeepInputs = False,
    as_json: Json = False,
) -> None:
    """Let a picture, or every picture of a folder, grow at its sides; but for a seam, each old pixel stays as it is.

    What is new is drawn in pieces of --size at most. Exit code 3 when a picture of a folder cannot be read.
    """
    from pochade.generation.batches import Batch  # deferred: the help needs none of it

    if not request.image:
        raise UsageError("Which picture shall grow? Give it with --image FILE, or a folder of them.")
    if not any(getattr(request, side) for side in _SIDES):
        raise UsageError("Where shall the picture grow? Give pixels with --left, --right, --up or --down.")
    draw(Batch((request,)), models or [], output, "outpaint", as_json, keep_inputs)
