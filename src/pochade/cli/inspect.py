"""`pochade inspect`: what model files are, without loading them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pochade.cli.common import Json, tell

app = typer.Typer(add_completion=False)

_NATURE = ("family", "variant", "prediction", "algorithm", "rank", "alpha", "scale", "blocks")
_OF_A_FAMILY = {"checkpoint", "unet", "lora", "embedding", "hypernetwork", "controlnet"}
_LISTS = ("components", "missing", "trigger_words")


@app.command(epilog="Example: pochade inspect model.safetensors")
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Model files or folders.", metavar="PATH")],
    as_json: Json = False,
    hashes: Annotated[bool, typer.Option("--hash", help="Also compute hashes, which reads the whole file.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Also read every number, to find broken ones.")] = False,
) -> None:
    """Show what model files are: kind, family, parts, precision and problems.

    Exit code 3 when one cannot be read.
    """
    from pochade.errors import FileError  # deferred: the help needs none of these
    from pochade.operations import inspect as examination

    reports: list[dict[str, Any]] = []
    code = 0
    for path in paths:
        try:
            report = examination.inspect(path, hashes=hashes, deep=deep)
        except FileError as error:
            tell(f"Error: {error}", err=True)
            reports.append(examination.report_of_unreadable(path, error))
            code = error.exit_code
            continue
        reports.append(report)
        if not as_json:
            tell(_card(report))
    if as_json:
        typer.echo(json.dumps(reports[0] if len(reports) == 1 else reports, indent=2, ensure_ascii=False))
    raise typer.Exit(code)


def _card(report: dict[str, Any]) -> str:
    """A report as lines for people: what it is, what is in it, what is wrong with it."""
    lines = [f"{report['path']}", _line("kind", _nature(report))]
    lines += [_line(name, ", ".join(map(str, report[name]))) for name in _LISTS if report.get(name)]
    if report.get("parameters"):
        lines += [_line("parameters", f"{report['parameters']:,}"), _line("precision", _shares(report["dtypes"]))]
    lines.append(_line("size", _bytes(report.get("bytes") or 0)))
    if report.get("ema") not in (None, "none"):
        lines.append(_line("ema", report["ema"]))
    if (report.get("junk") or {}).get("keys"):
        lines.append(_line("junk", f"{report['junk']['keys']} tensors, {_bytes(report['junk']['bytes'])}"))
    lines += [_line(name, value) for name, value in (report.get("hashes") or {}).items()]
    lines += [_line("problem", _problem(problem)) for problem in report.get("problems") or ()]
    return "\n".join(lines)


def _line(name: str, value: object) -> str:
    return f"  {name.replace('_', ' '):<13} {value}"


def _nature(report: dict[str, Any]) -> str:
    """What a file is; what should be known of it and cannot be decided says so."""
    facts = {name: report.get(name) for name in _NATURE}
    if report.get("kind") in _OF_A_FAMILY:
        facts["family"] = facts["family"] or "unknown"
    if "unet" in report.get("components", ()):
        facts["prediction"] = facts["prediction"] or "unknown"
    details = [f"{name} {value}" for name, value in facts.items() if value is not None]
    return ", ".join([f"{report.get('kind')} ({report.get('format')})", *details])


def _shares(dtypes: dict[str, int]) -> str:
    total = sum(dtypes.values()) or 1
    return ", ".join(f"{name} {100 * count / total:.3g} %" for name, count in dtypes.items())


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"


def _problem(problem: dict[str, Any]) -> str:
    fix = f" Fix: {problem['fix']}" if problem.get("fix") else ""
    return f"{problem['code']}: {problem['message']}{fix}"
