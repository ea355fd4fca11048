"""`pochade diff`: the settings of two pictures side by side."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pochade.cli.common import Json, tell
from pochade.cli.told import heading, is_text, metadata_of
from pochade.errors import shown

if TYPE_CHECKING:
    from pochade.generation.comparing import Pixels, Row
    from pochade.generation.picture import Metadata

app = typer.Typer(add_completion=False)

_WIDEST_NAME = 28


@app.command(epilog="Example: pochade diff house.png other.png")
def diff(
    left: Annotated[Path, typer.Argument(help="A picture by any program, or a text with parameters.", metavar="A")],
    right: Annotated[Path, typer.Argument(help="Another one.", metavar="B")],
    everything: Annotated[bool, typer.Option("--all", help="Also show settings that both share.")] = False,
    as_json: Json = False,
) -> None:
    """Show what differs in how two pictures were made, and how far their pixels are apart.

    What only the first has stands as [-words-], what only the second has as {+words+}. The exit code is 0 whether they
    differ or not.
    """
    from pochade.generation.comparing import compare_settings  # deferred: the help needs none of it

    both = metadata_of(left), metadata_of(right)
    rows = compare_settings(*both)
    pixels = _pixels(*both)
    if as_json:
        typer.echo(json.dumps(_report(both, rows, pixels, everything), indent=2))
        return
    for metadata in both:
        tell(heading(metadata), err=True)
        if not metadata.infotext:
            tell("Note: it carries no parameters.", err=True)
    _show(rows, everything)
    if not any(map(is_text, both)):
        typer.echo(f"{'pixels':<{_WIDEST_NAME}} {_distance(pixels)}")


def _pixels(left: "Metadata", right: "Metadata") -> "Pixels | None":
    from pochade.generation.comparing import compare_pixels  # deferred with the rest
    from pochade.generation.picture import Picture

    if is_text(left) or is_text(right):
        return None
    return compare_pixels(*(Picture.open(each.path).image for each in (left, right)))


def _show(rows: "list[Row]", everything: bool) -> None:
    if not any(row.differs for row in rows):
        typer.echo("The settings are the same.")
    for row in rows:
        if row.differs:
            typer.echo(f"{shown(row.name):<{_WIDEST_NAME}} {_difference(row)}")
        elif everything:
            tell(f"{row.name:<{_WIDEST_NAME}} {_value(row.left)}")


def _difference(row: "Row") -> str:
    from pochade.generation.comparing import LEFT, SAME, compare_words  # deferred with the rest

    if not (isinstance(row.left, str) and isinstance(row.right, str) and row.left and row.right):
        return shown(f"{_value(row.left)}  ->  {_value(row.right)}")
    if not row.name.endswith("prompt"):
        return shown(f"{row.left}  ->  {row.right}")
    text = ""
    for side, words in compare_words(row.left, row.right):
        plain = "\n".join(map(shown, words.split("\n")))
        if side == SAME:
            text += plain
        else:
            marked = f"[-{plain}-]" if side == LEFT else f"{{+{plain}+}}"
            text += typer.style(marked, fg="red" if side == LEFT else "green")
    return text


def _value(value: Any) -> str:
    if value is None:
        return "(not told)"
    return "x".join(map(str, value)) if isinstance(value, list) else str(value) or "(none)"


def _distance(pixels: "Pixels | None") -> str:
    if pixels is None:
        return "cannot be compared: the sizes differ"
    if not pixels.largest:
        return "the same"
    return f"differ by {pixels.mean:.2f} of 255 in the mean, by {pixels.largest} at most"


def _report(
    both: "tuple[Metadata, Metadata]", rows: "list[Row]", pixels: "Pixels | None", everything: bool
) -> dict[str, Any]:
    sides = {name: _side(metadata) for name, metadata in zip(("left", "right"), both, strict=True)}
    told = [{"name": row.name, "left": row.left, "right": row.right} for row in rows if row.differs]
    same = {"same": {row.name: row.left for row in rows if not row.differs}} if everything else {}
    apart = {"equal": not pixels.largest, "largest": pixels.largest, "mean": pixels.mean} if pixels else None
    return sides | {"differences": told} | same | {"pixels": apart}


def _side(metadata: "Metadata") -> dict[str, Any]:
    width, height = (None, None) if is_text(metadata) else metadata.size
    program = metadata.settings.program or None
    return {"path": str(metadata.path), "program": program, "width": width, "height": height}
