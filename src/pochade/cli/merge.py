"""`pochade merge`: a new model from several."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pochade.cli.common import Json
from pochade.cli.convert import Precision

if TYPE_CHECKING:
    from pochade.operations.merge import Merge
    from pochade.operations.recipes import Find

app = typer.Typer(add_completion=False)


@app.command(epilog='Example: pochade merge "0.7*a.safetensors + 0.3*b.safetensors" -o mixed.safetensors')
def merge(
    target: Annotated[Path, typer.Option("-o", "--output", metavar="DST", help="The file to write.")],
    recipe: Annotated[
        list[str] | None, typer.Argument(help="An expression or recipe file; with --method, models.", metavar="RECIPE")
    ] = None,
    method: Annotated[str, typer.Option("--method", metavar="NAME", help="Merge by a method instead of a sum.")] = "",
    models: Annotated[
        list[Path] | None,
        typer.Option("--models", envvar="POCHADE_MODELS", metavar="FILE… | DIR", help="Models, or where they are."),
    ] = None,
    alpha: Annotated[float | None, typer.Option("--alpha", help="The weight of a method.")] = None,
    density: Annotated[
        float | None, typer.Option("--density", help="ties, dare, della: the share of differences that stays.")
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", help="della: how far chances to stay lie apart around --density.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="dare, della: another seed, other differences.")] = None,
    block_weights: Annotated[
        str, typer.Option("--block-weights", metavar="W,W,… | IN=W,OUT05=W", help="Weights per block (MBW).")
    ] = "",
    part: Annotated[
        list[str] | None, typer.Option("--part", metavar="PART=W", help="Weight of unet, vae or text-encoder.")
    ] = None,
    dtype: Annotated[Precision | None, typer.Option("--dtype", help="Precision of all floats.")] = None,
    rank: Annotated[int | None, typer.Option("--rank", help="LoRAs: bring the sum to this rank.")] = None,
    conv_rank: Annotated[int | None, typer.Option("--conv-rank", help="LoRAs: and its convolutions to this.")] = None,
    base: Annotated[
        str, typer.Option("--base", metavar="MODEL", help="LoRAs: the model, for DoRA, IA3, GLoRA, OFT and BOFT.")
    ] = "",
    recipe_of: Annotated[
        Path | None, typer.Option("--recipe-of", metavar="FILE", help="Repeat the merge that made this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Merge models: a sum such as "a + 1.0*(b - c)", a method with weights per block, or a recipe again."""
    from dataclasses import replace  # deferred: the help needs none of these

    from pochade.cli.progress import watch
    from pochade.operations.merge import merging

    folders = [each for each in models or () if each.is_dir()]
    named = [str(each) for each in models or () if not each.is_dir()] + (recipe or [])
    find = _finder(folders, recipe_of)
    paths, merge = _wanted(named, method, recipe_of, folders, find)
    given: dict[str, Any] = {
        "alpha": alpha,
        "density": density,
        "epsilon": epsilon,
        "seed": seed,
        "block_weights": block_weights or None,
        "parts": dict(map(_weight, part or ())) or None,
        "dtype": dtype.value if dtype else None,
        "rank": rank,
        "conv_rank": conv_rank,
        "base": find(base) if base else None,
    }
    merge = replace(merge, **{name: value for name, value in given.items() if value is not None})
    (saved,) = watch(merging(paths, merge, target))
    typer.echo(json.dumps({"path": str(saved)}) if as_json else saved)


def _finder(folders: list[Path], recipe_of: Path | None) -> "Find":
    """How models are found by name: in the folders, or else beside the recipe or here."""
    from pochade.library.find import find_in, find_model  # deferred with the rest

    beside = recipe_of.parent if recipe_of else Path()
    if not folders:
        return partial(find_in, folder=beside)
    return partial(find_model, folders=[*folders, beside] if recipe_of else folders, alone=True)


def _wanted(
    named: list[str], method: str, recipe_of: Path | None, folders: list[Path], find: "Find"
) -> "tuple[list[Path], Merge]":
    """The models to merge, and how: from one of the three ways to say it."""
    from pochade.errors import UsageError  # deferred with the rest
    from pochade.operations import recipes
    from pochade.operations.merge import Merge

    if recipe_of and (named or method):
        raise UsageError("Give a recipe, or --recipe-of FILE to repeat the merge that made it; not both.")
    if recipe_of:
        return recipes.recipe_in(recipe_of, find, [*folders, recipe_of.parent])
    if method:
        return [find(name) for name in named], Merge(method=method)
    if len(named) == 1:
        return recipes.recipe_of(named[0], find)
    raise UsageError("Give one expression or recipe file in quotes, or --method NAME with its models.")


def _weight(text: str) -> tuple[str, float]:
    from pochade.errors import UsageError

    name, _, number = text.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError as error:
        raise UsageError(f"--part is {text!r}; it must be a part and a weight, e.g. vae=0.3.") from error
