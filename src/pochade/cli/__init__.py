"""The command line: every command is one file here, loaded only when it is named.

Progress goes to stderr and results to stdout. Exit codes: 0 done, 1 finding, 2 wrong usage, 3 bad input, 4 stopped,
5 no memory or disk left.
"""

import atexit
import gc
import io
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pochade import __version__
from pochade.cli.common import tell
from pochade.errors import STOPPED, Failure, PochadeError, failure_of

_RARELY = (50_000, 20, 50)  # objects made before garbage is looked for: names of tensors are many, and stay

COMMANDS = (
    "txt2img",
    "img2img",
    "inpaint",
    "outpaint",
    "upscale",
    "grid",
    "preprocess",
    "redo",
    "info",
    "diff",
    "inspect",
    "scan",
    "doctor",
    "convert",
    "merge",
    "extract",
    "bake",
    "resize",
    "list",
    "download",
    "train",
    "evaluate",
    "jobs",
)


class Commands(TyperGroup):
    """The commands by name. Each one's module holds a typer app of its own under the name `app`."""

    def __init__(self, **settings: Any) -> None:
        names: dict[str, Any] = dict.fromkeys(COMMANDS)  # enough to suggest the nearest one
        super().__init__(**settings | {"commands": names})

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order in which the help shows them."""
        return [*COMMANDS]  # the command of this name shadows the builtin here

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        command = typer.main.get_command(import_module(f"pochade.cli.{cmd_name}").app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what Pochade can explain ends in one sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except (PochadeError, KeyboardInterrupt, MemoryError, OSError, RuntimeError) as error:
            failure = failure_of(error)
            if failure is None or ctx.params.get("traceback"):
                raise
            _report(failure)
            raise typer.Exit(failure.code) from error


def _report(failure: Failure) -> None:
    tell(failure.sentence if failure == STOPPED else f"Error: {failure.sentence}", err=True)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pochade {__version__}")
        raise typer.Exit


app = typer.Typer(cls=Commands, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def pochade(
    traceback: Annotated[
        bool, typer.Option("--traceback", envvar="POCHADE_TRACEBACK", help="Show where an error arose.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Draw with Stable Diffusion, look into model files and train, all of it offline."""


def main() -> None:
    """Run the command line; a request to terminate ends it as cleanly as Ctrl-C does."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold bytes that are no text
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gc.set_threshold(*_RARELY)
    atexit.register(gc.freeze)  # nothing is looked for in what the end of the process frees anyway
    try:
        app()
    except KeyboardInterrupt:
        _report(STOPPED)
        sys.exit(STOPPED.code)
