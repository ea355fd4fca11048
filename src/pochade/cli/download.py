"""`pochade download`: models from Hugging Face, Civitai and plain addresses."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pochade.cli.common import Json, Models, tell

if TYPE_CHECKING:
    from pochade.library.downloads import Offer, Order

app = typer.Typer(add_completion=False)

_FINDING = 1
_MOST_TOKEN = 10_000


class Format(StrEnum):
    """Containers of model files."""

    safetensors = "safetensors"
    ckpt = "ckpt"


class Precision(StrEnum):
    """Float formats of model files."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    fp8 = "fp8"


class Extent(StrEnum):
    """How much of what was trained is in a file."""

    full = "full"
    pruned = "pruned"


@app.command(epilog="Example: pochade download civitai:4384@128713 --models ~/webui")
def download(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="hf:ORG/REPO, with /FILE and @REVISION if wanted; civitai:MODEL, with @VERSION; civitai:hash:HASH; "
            "urn:air:…; the page of a model there; or any https address.",
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR|FILE", help="Where to put it, instead of the place of its kind."),
    ] = None,
    models: Models = None,
    list_only: Annotated[bool, typer.Option("--list", help="Show what there is; download nothing.")] = False,
    file: Annotated[str, typer.Option("--file", metavar="NAME", help="Which file, where there are several.")] = "",
    format: Annotated[Format | None, typer.Option("--format", help="Which container, where there are several.")] = None,
    dtype: Annotated[
        Precision | None, typer.Option("--dtype", help="Which precision, where there are several.")
    ] = None,
    extent: Annotated[Extent | None, typer.Option("--extent", help="Whole or pruned, where there are both.")] = None,
    sha256: Annotated[str, typer.Option("--sha256", metavar="HASH", help="The hash that the file must have.")] = "",
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="Holds the token for the source's site; else HF_TOKEN, CIVITAI_TOKEN."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse also what is only suspicious.")] = False,
    sidecars: Annotated[bool, typer.Option(help="Put Civitai's description and preview beside the model.")] = True,
    as_json: Json = False,
) -> None:
    """Download models: checked by hash, scanned before they get their names, and put where their kind belongs.

    Stopped at any point, the same command goes on from there. Nothing is ever written over. Exit code 1 when a file is
    not safe, 3 when one cannot be had or is not what was announced, 5 when the disk has no room.
    """
    from pochade.library.downloads import Order  # deferred: the help needs none of these

    order = Order(
        to=to,
        models=tuple(models or ()),
        file=file,
        format=format.value if format else None,
        precision=dtype.value if dtype else None,
        extent=extent.value if extent else None,
        sha256=sha256,
        token=_token(token_file, sources),
        strict=strict,
        sidecars=sidecars,
    )
    _check(order, sources)
    found, code = _each(sources, order, list_only, as_json)
    if as_json:
        typer.echo(json.dumps(found[0] if len(found) == 1 else found, indent=2, ensure_ascii=False))
    raise typer.Exit(code)


def _check(order: "Order", sources: list[str]) -> None:
    """Raise UsageError for options that are for one source, where there are several."""
    from pochade.errors import UsageError  # deferred with the rest

    names_one = order.file or order.sha256 or (order.to and order.to.suffix and not order.to.is_dir())
    if len(sources) > 1 and names_one:
        raise UsageError("--file, --sha256 and a file with --to are for one source; there are several.")


def _token(path: Path | None, sources: list[str]) -> str:
    """The token in a file. Raises UsageError where it would be shown to more than one site."""
    if path is None:
        return ""
    from pochade.errors import FileError, UsageError  # deferred with the rest
    from pochade.library.downloads.sources import parse, site_of

    if len({site_of(parse(source)) for source in sources}) > 1:
        raise UsageError("--token-file is for one site; download from the others in a command of their own.")
    if path.stat().st_size > _MOST_TOKEN:
        raise FileError(path, "is too long for a token")
    try:
        return path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise FileError(path, "holds no text, so no token") from error


def _each(sources: list[str], order: "Order", list_only: bool, as_json: bool) -> tuple[list[Any], int]:
    """What came of each source, as plain values, and the exit code; one that fails does not hide the others."""
    from pochade.errors import PochadeError, ResourceError, StoppedError, UnsafeFileError  # deferred with the rest

    found: list[Any] = []
    code = 0
    for source in sources:
        try:
            found.append(_listed(source, order, as_json) if list_only else _downloaded(source, order, as_json))
        except (ResourceError, StoppedError):
            raise
        except PochadeError as error:
            tell(f"Error: {error}", err=True)
            found.append({"error": str(error)})
            code = max(code, _FINDING if isinstance(error, UnsafeFileError) else error.exit_code)
        except KeyboardInterrupt:
            tell("What has come is kept as .part; the same command goes on from there.", err=True)
            raise
    return found, code


def _downloaded(source: str, order: "Order", as_json: bool) -> dict[str, Any]:
    from pochade.cli.progress import watch  # deferred with the rest
    from pochade.library.downloads import Downloaded, downloading

    results = list(watch(downloading(source, order)))
    (made,) = (each for each in results if isinstance(each, Downloaded))
    if not as_json:
        tell(str(made.path))
    saved = [str(each) for each in results if isinstance(each, Path) and each != made.path]
    return made.as_dict() | {"sidecars": saved}


def _listed(source: str, order: "Order", as_json: bool) -> list[dict[str, Any]]:
    from dataclasses import asdict  # deferred with the rest

    from pochade.library.downloads import offers

    found = offers(source, order)
    if not as_json:
        tell("\n".join(map(_line, found)))
    return [asdict(each) for each in found]


def _line(offer: "Offer") -> str:
    size = "?" if offer.bytes is None else f"{offer.bytes / 1e6:.1f}"
    return f"{'*' if offer.is_chosen else ' '} {size:>9} MB  {offer.sha256[:10]:<10}  {offer.name}"
