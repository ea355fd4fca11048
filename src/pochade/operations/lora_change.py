"""What one module of a LoRA does to a tensor of a model, in full precision; in files and in loaded networks alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pochade import adapters
from pochade.adapters.lora import truncated
from pochade.files import Weights
from pochade.kinds.adapter import Target
from pochade.kinds.lora_naming import Parts
from pochade.operations.lora_tensors import explained, loaded

_FIRST = "input_blocks.0.0.weight"  # of a UNet: special models see more there than latents
_CHANNELS = 1  # the axis of what a weight sees


@dataclass(frozen=True)
class Change:
    """What one module of a LoRA does to a tensor, or to one of three tensors that are packed into it.

    With a `rank` only the first ranks count.
    """

    lora: Weights
    module: str
    target: Target
    parts: Parts
    strength: float
    rank: int | None = None

    def loaded(self, device: Any = "cpu") -> Mapping[str, Any]:
        """The module's tensors in full precision. Raises MalformedFileError for numbers that are none."""
        with explained(self.lora, self.module):
            tensors = {name: each.to(device) for name, each in loaded(self.parts).items()}
            return truncated(tensors, self.rank) if self.rank else tensors

    def rows(self, tensors: Mapping[str, Any]) -> tuple[str, ...]:
        """Its tensors that go with the rows of what it changes. Raises MalformedFileError for odd shapes."""
        with explained(self.lora, self.module):
            return adapters.rows_of(tensors)

    def add(self, rows: Any, start: int, count: int, tensors: Mapping[str, Any]) -> None:
        """Change rows of the tensor in place; `start` is the first of them and `count` how many the tensor has.

        Raises MalformedFileError, and changes nothing, where the tensors do not fit it.
        """
        height = count if self.target.third is None else count // 3
        begin = (self.target.third or 0) * height
        first, last = max(start, begin), min(start + len(rows), begin + height)
        if first >= last:
            return
        with explained(self.lora, self.module):
            mine = adapters.rows_of(tensors)
            if any(len(tensors[name]) != height for name in mine):
                raise ValueError(f"{' and '.join(mine)} must have {height} rows")
            own = slice(first - begin, last - begin)
            cut = {name: each[own] if name in mine else each for name, each in tensors.items()}
            part = self._seen(rows[first - start : last - start], cut)
            bias = [each.reshape(part.shape) * self.strength for name, each in cut.items() if name in adapters.BIAS]
            part.add_(bias[0] if bias else adapters.delta(part, cut, self.strength))

    def _seen(self, part: Any, tensors: Mapping[str, Any]) -> Any:
        """What it changes of a part: in a special model's first convolution, that which looks at the latents."""
        algorithm = adapters.algorithm_of(tensors)
        if algorithm is None or algorithm.shape is None or not self.target.name.endswith(_FIRST):
            return part
        channels = algorithm.shape(tensors, tuple(part.shape[2:]))[_CHANNELS]
        return part[:, :channels]


def changes_of(
    lora: Weights, module: str, target: Target, parts: Parts, strength: float, rank: int | None = None
) -> Iterator[Change]:
    """Yield what a module does to the weight that it is made for, and to its bias."""
    kernel = {name: each for name, each in parts.items() if name not in adapters.BIAS}
    if adapters.algorithm_of(kernel):
        yield Change(lora, module, target, kernel, strength, rank)
    for name in adapters.BIAS:
        if name in parts:
            place = Target(target.name.removesuffix("weight") + "bias", target.third)
            yield Change(lora, module, place, {name: parts[name]}, strength)
