"""How long drawing took, so that the next time can be foretold."""

from dataclasses import astuple, dataclass
from statistics import median
from typing import TYPE_CHECKING

from pochade.generation.pictures.sizes import enlarged
from pochade.generation.request import Request
from pochade.jobs.database import Database

if TYPE_CHECKING:
    from pochade.families import Family
    from pochade.generation.model import Model

_KEPT = 500
_ASKED = 20  # of the latest ones


@dataclass(frozen=True)
class Timing:
    """So many seconds for so much work; `model` is what models of one speed have in common.

    `capacity` is the memory of the device in bytes, 0 where it is not known.
    """

    model: str
    device: str
    dtype: str
    sampler: str
    work: float
    seconds: float
    capacity: int = 0


@dataclass(frozen=True)
class Timings:
    """What the queue remembers of earlier work."""

    database: Database

    def add(self, timing: Timing) -> None:
        """Remember one more."""
        with self.database.at_work(hasty=True) as base:
            base.execute("INSERT INTO timings VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(timing))
            base.execute("DELETE FROM timings WHERE rowid <= (SELECT MAX(rowid) FROM timings) - ?", [_KEPT])

    def latest(self, model: str, device: str = "auto") -> Timing | None:
        """The latest one of a model, or else of any, on a device if one is named."""
        with self.database.looking() as base:
            row = base.execute(
                "SELECT * FROM timings WHERE ? IN ('auto', device) ORDER BY model = ? DESC, rowid DESC LIMIT 1",
                [device, model],
            ).fetchone()
        return Timing(*row) if row else None

    def rate(self, model: str, device: str, dtype: str, sampler: str) -> float | None:
        """Seconds for one unit of work, by the same sampler where that was used; None where nothing is known."""
        with self.database.looking() as base:
            rows = base.execute(
                "SELECT seconds / work, sampler = ? FROM timings WHERE (model, device, dtype) = (?, ?, ?)"
                " ORDER BY 2 DESC, rowid DESC LIMIT ?",
                [sampler, model, device, dtype, _ASKED],
            ).fetchall()
        same = [rate for rate, is_same in rows if is_same] or [rate for rate, _ in rows]
        return median(same) if same else None


def work_of(request: Request) -> float:
    """How much is to be done for a request whose size is known: steps times megapixels, over all pictures."""
    assert request.width is not None and request.height is not None
    steps = request.steps or 20
    share = request.strength if request.image and not request.exact_steps else 1.0
    work = max(1.0, steps * share) * request.width * request.height
    if larger := enlarged(request):
        work += (request.hires_steps or steps) * larger.size[0] * larger.size[1]
    return request.count * work / 1e6


def speed_class(family: "Family", parameters: int) -> str:
    """What models of one speed have in common: the family, and how large the UNet is."""
    return f"{family.name} {parameters:.1e}"


def timing_of(request: Request, model: "Model", seconds: float) -> Timing:
    """How long a resolved request took."""
    parameters = sum(each.numel() for each in model.networks.unet.parameters())
    return Timing(
        model=speed_class(model.family, parameters),
        device=request.device,
        dtype=request.dtype,
        sampler=request.sampler or "",
        work=work_of(request),
        seconds=seconds,
        capacity=_capacity(model),
    )


def _capacity(model: "Model") -> int:
    """All the memory of a card."""
    if model.device.type != "cuda":
        return 0
    import torch  # deferred: only those who draw have it

    return int(torch.cuda.mem_get_info(model.device)[1])
