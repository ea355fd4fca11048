"""`pochade scan`: are files safe to load?"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from pochade.cli.common import Json, tell

app = typer.Typer(add_completion=False)

_FINDING = 1


@app.command(epilog="Example: pochade scan ~/Downloads")
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Files, archives or folders.", metavar="PATH")],
    as_json: Json = False,
) -> None:
    """Tell whether files are safe to load; nothing in them is ever run.

    Exit code 1 when a file is not safe, 3 when one is not there.
    """
    from pochade.errors import FileError  # deferred: the help needs none of these
    from pochade.files.scan import Verdict, unread
    from pochade.files.scan import scan as verdicts

    def line(each: Verdict) -> str:
        reasons = [" ".join(part for part in (at.where, at.why) if part) for at in each.findings]
        return "\n".join([f"{each.verdict:<11}{each.path}", *(f"{'':<11}{reason}" for reason in reasons)])

    found: list[Verdict] = []
    code = 0
    for path in paths:
        try:
            for each in verdicts(path):
                found.append(each)
                if not as_json:
                    tell(line(each))
        except FileError as error:
            tell(f"Error: {error}", err=True)
            found.append(unread(path, error))
            code = error.exit_code
    counts = Counter(each.verdict for each in found)
    if as_json:
        reports = [each.as_dict() for each in found]
        typer.echo(json.dumps(reports[0] if len(reports) == 1 else reports, indent=2, ensure_ascii=False))
    elif len(found) != 1:
        typer.echo(f"{len(found)} files: " + (", ".join(f"{count} {name}" for name, count in counts.items()) or "none"))
    raise typer.Exit(code or (_FINDING if counts.keys() - {"safe"} else 0))
