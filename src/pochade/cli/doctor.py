"""`pochade doctor`: what is wrong with model files, and what mends them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pochade.cli.common import Json, tell

if TYPE_CHECKING:
    from pochade.operations.doctor import Diagnosis

app = typer.Typer(add_completion=False)

_FINDING = 1


@app.command(epilog="Example: pochade doctor ~/webui/models")
def doctor(
    paths: Annotated[list[Path], typer.Argument(help="Model files or folders.", metavar="PATH")],
    fast: Annotated[bool, typer.Option("--fast", help="Do not read every number, nor look for copies.")] = False,
    base: Annotated[
        Path | None,
        typer.Option("--base", metavar="MODEL", help="The checkpoint that LoRAs and the like are to go with."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what is wrong with model files, why it matters and which command mends it.

    Exit code 1 when something is wrong, 3 when a file is not there.
    """
    from pochade.cli.progress import watch  # deferred: the help needs none of these
    from pochade.errors import MissingFileError
    from pochade.operations.doctor import Diagnosis, diagnosing
    from pochade.operations.findings import unreadable

    found: list[Diagnosis] = []
    code = 0
    for path in paths:
        try:
            for each in watch(diagnosing(path, deep=not fast, base=base)):
                found.append(each)
                if not as_json:
                    tell(_told(each))
        except MissingFileError as error:
            if error.path == base:
                raise
            tell(f"Error: {error}", err=True)
            found.append(Diagnosis(path, "unknown", (unreadable(path, error),)))
            code = error.exit_code
    ill = sum(bool(each.problems) for each in found)
    if as_json:
        reports = [each.as_dict() for each in found]
        typer.echo(json.dumps(reports[0] if len(reports) == 1 else reports, indent=2, ensure_ascii=False))
    elif len(found) != 1:
        typer.echo(f"{len(found)} files, {ill} with problems")
    raise typer.Exit(code or (_FINDING if ill else 0))


def _told(diagnosis: "Diagnosis") -> str:
    verdict = "" if diagnosis.problems else ": in order"
    if diagnosis.what == "unknown" and not diagnosis.problems:
        verdict = ": no kind of model that Pochade knows, so that little can be told"
    lines = [f"{diagnosis.path} ({diagnosis.what}){verdict}"]
    for problem in diagnosis.problems:
        lines += [f"  {problem.code}: {problem.message}", f"    {problem.why}", f"    Mend it: {problem.fix}"]
    return "\n".join(lines)
