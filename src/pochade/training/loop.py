"""The one training loop: exact to the bit after a kill, whatever is trained.

A method says which parameters learn and what the loss of step n is; the loop owns the optimiser, the learning rate, the
moving average, saving and resuming. All state that matters is in one file, written atomically; the log holds every step
exactly once.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pochade import files
from pochade.errors import NumericalError, UsageError
from pochade.events import Event, Saved, Step, Warned
from pochade.files.saving import replacing
from pochade.networks import array_of, tensor_of

STATE = "state.safetensors"
LOG = "log.jsonl"
_MOMENTS = ("exp_avg", "exp_avg_sq")


class Method(Protocol):
    """What is trained."""

    def trainable(self) -> Mapping[str, nn.Parameter]:
        """The parameters that learn, by the names under which they are saved."""

    def loss(self, step: int) -> Tensor:
        """The loss of one step, a scalar; all chance in it comes from the step's number."""

    def validation(self) -> float | None:
        """A loss on fixed held-out examples with fixed noise, or None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast a method learns. Rates follow a linear warm-up, then a half cosine down to `floor`."""

    steps: int
    learning_rate: float
    warmup: int = 100
    floor: float = 0.05
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    save_every: int = 250
    validate_every: int = 250

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0:
            raise UsageError(f"steps is {self.steps} and learning_rate {self.learning_rate}; both must be above zero.")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done)))

    def ema_decay(self, step: int) -> float:
        """Decay of the moving average after a step: short at first, so that it forgets the random start."""
        return min(self.ema, (1 + step) / (10 + step))


@dataclass
class State:
    """All that a run needs to go on: parameters, their moving average, the optimiser's moments and the step reached."""

    parameters: dict[str, nn.Parameter]
    average: dict[str, Tensor]
    optimiser: torch.optim.AdamW
    step: int = 0
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def start(cls, method: Method, plan: Plan) -> "State":
        """A fresh run."""
        parameters = dict(method.trainable())
        average = {name: each.detach().clone() for name, each in parameters.items()}
        groups: list[dict[str, Any]] = [
            # norms, biases and embeddings are not pulled towards zero
            {"params": [each for name, each in parameters.items() if _decays(name, each)]},
            {"params": [each for name, each in parameters.items() if not _decays(name, each)], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=plan.learning_rate, betas=plan.betas, weight_decay=plan.weight_decay, fused=True,
        )  # fmt: skip
        return cls(parameters, average, optimiser, settings=_settings(plan))

    def save(self, folder: Path) -> Path:
        """Write the whole state under its name, atomically."""
        arrays: dict[str, np.ndarray] = {}
        for name, parameter in self.parameters.items():
            arrays[f"weights.{name}"] = array_of(parameter)
            arrays[f"average.{name}"] = array_of(self.average[name])
            for moment in _MOMENTS if parameter in self.optimiser.state else ():
                arrays[f"{moment}.{name}"] = array_of(self.optimiser.state[parameter][moment])
        return files.save(folder / STATE, arrays, {"step": str(self.step), **self.settings})

    def load(self, folder: Path) -> Iterator[Warned]:
        """Go on from a saved state, warning of every setting that is another one now.

        Raises UsageError when the state belongs to another set of parameters.
        """
        weights = files.open(folder / STATE)
        for name, parameter in self.parameters.items():
            if f"weights.{name}" not in weights or weights.info(f"weights.{name}").shape != tuple(parameter.shape):
                raise UsageError(f"{folder / STATE} holds no '{name}' of this shape; it belongs to another run.")
            with torch.no_grad():
                parameter.copy_(tensor_of(weights[f"weights.{name}"]))
                self.average[name].copy_(tensor_of(weights[f"average.{name}"]))
            if f"exp_avg.{name}" in weights:
                step = torch.tensor(float(weights.metadata["step"]))
                moments = {moment: tensor_of(weights[f"{moment}.{name}"]).clone() for moment in _MOMENTS}
                self.optimiser.state[parameter] = {"step": step, **moments}
        self.step = int(weights.metadata["step"])
        for name, now in self.settings.items():
            before = weights.metadata.get(name, now)
            if before != now:
                yield Warned(f"The run began with {name} {before}, now it is {now}: it goes on, but not bit for bit.")

    def advance(self, loss: Tensor, plan: Plan) -> float:
        """One step of the optimiser along the gradient of `loss`, and of the moving average after it; the loss's value.

        Raises NumericalError, with nothing changed, when loss or gradient is no number.
        """
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), plan.clip)
        reached = loss.item()
        for what, value in (("loss", reached), ("gradient", norm.item())):
            if not math.isfinite(value):
                advice = f"lower the learning rate ({plan.learning_rate}) and resume"
                raise NumericalError(f"The {what} became {value} at step {self.step}; {advice}.")
        for group in self.optimiser.param_groups:
            group["lr"] = plan.rate(self.step)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.values()), list(self.parameters.values()), 1 - plan.ema_decay(self.step)
            )
        self.step += 1
        return reached


def train(method: Method, plan: Plan, folder: Path) -> Iterator[Event]:
    """Train until `plan.steps`, going on from what `folder` holds; yields a Step per step and Saved per state.

    Afterwards the parameters of `method` hold their moving average. Raises NumericalError when the loss is no number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = State.start(method, plan)
    if (folder / STATE).exists():
        yield from state.load(folder)
    with _Log(folder / LOG, state.step) as log:
        while state.step < plan.steps:
            rate = plan.rate(state.step)
            value = state.advance(method.loss(state.step), plan)
            line = {"step": state.step, "loss": round(value, 6), "rate": rate}
            if state.step % plan.validate_every == 0 and (check := method.validation()) is not None:
                line["validation"] = round(check, 6)
            log.add(line)
            yield Step(state.step, plan.steps, loss=value)
            if state.step % plan.save_every == 0 or state.step == plan.steps:
                log.sync()
                yield Saved(state.save(folder))
    with torch.no_grad():
        for name, parameter in state.parameters.items():
            parameter.copy_(state.average[name])


class _Log:
    """One JSON line per step; lines of steps that a kill undid are taken off when the run goes on."""

    def __init__(self, path: Path, step: int) -> None:
        lines = path.read_text().splitlines() if path.exists() else []
        with replacing(path) as file:
            file.writelines(f"{line}\n".encode() for line in lines[:step])
        self._file = path.open("a")

    def __enter__(self) -> "_Log":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, line: Mapping[str, float]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def sync(self) -> None:
        os.fsync(self._file.fileno())


def _settings(plan: Plan) -> dict[str, str]:
    """What a run must keep to be the same to the bit after a stop."""
    learning = {name: str(value) for name, value in asdict(plan).items() if not name.endswith("_every")}
    return {"threads": str(torch.get_num_threads()), **learning}


def _decays(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim > 1 and "embedding" not in name
