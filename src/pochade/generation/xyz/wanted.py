"""What a grid needs before it is drawn: its files found once, its seeds those of what lies in the folder already."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pochade.errors import UsageError
from pochade.generation.extra_networks.lora_files import LoraFiles
from pochade.generation.locating import FILES, located
from pochade.generation.request import Request
from pochade.generation.xyz.axis_kinds import LORA, Styles
from pochade.generation.xyz.grid_folder import GridFolder, GridRecord, check_same
from pochade.generation.xyz.prompt_changes import name_of_lora
from pochade.library.vae_choice import OWN, vae_for

_WITH_FILES = (*FILES, "loras", "controls", "hires", "hires_size")  # fields that say which files are needed


def joined(folder: GridFolder, record: GridRecord, styles: Styles | None) -> GridRecord:
    """What is wanted, with the seeds that chance drew for what lies in the folder already."""
    earlier = folder.read(styles)
    plot = record.plot.settled(earlier.plot if earlier else None)
    if earlier is None:
        return replace(record, plot=plot)
    check_same(folder, earlier.plot, plot)
    return replace(record, plot=plot, sheets=earlier.sheets)


def check_loras(record: GridRecord, folders: Sequence[Path]) -> None:
    """See before anything is drawn that there are the LoRAs of an axis: a tag for another would do nothing."""
    values = [value for axis in record.plot.axes if axis.kind.label == LORA for value in axis.values]
    for name in filter(None, map(name_of_lora, values)):
        try:
            LoraFiles(folders).path_of(name)
        except UsageError as error:
            raise UsageError(f"The axis {LORA}: {error}") from error


def locator(folders: Sequence[Path]) -> Callable[[Request], Request]:
    """How to put paths in place of the names of files; each name is looked up once."""

    @cache
    def found(names: Request) -> dict[str, Any]:
        request = located(names, folders)
        vae = vae_for(Path(request.model) if request.model else None, request.vae, folders)
        return {name: vars(request)[name] for name in _WITH_FILES} | {"vae": str(vae or OWN)}

    def locate(request: Request) -> Request:
        return replace(request, **found(Request(**{name: vars(request)[name] for name in _WITH_FILES})))

    return locate
