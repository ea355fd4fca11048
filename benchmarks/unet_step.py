"""One guided step of our UNet against diffusers' on the same random weights, in turns within one run.

    python benchmarks/unet_step.py [--size 512] [--batch 2] [--repeats 5] [--dtypes fp32 bf16] [--threads 2]

Width 320 is true SD 1.5. A ratio below 1 means that ours is faster.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from report import report
from torch import Tensor, nn

from pochade.families import SD1
from pochade.files import Weights
from pochade.layouts.unet import to_diffusers
from pochade.networks import UNet, array_of, load, unet_shapes

CPU = torch.device("cpu")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MULTIPLIERS, ATTENTION = (1, 2, 4, 4), (0, 1, 2)
TOKENS = 77

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
Inputs = tuple[Tensor, Tensor, Tensor]


def random_state(width: int, seed: int = 1) -> dict[str, Tensor]:
    """Weights under which no branch is closed, so that every layer shows in the output."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in unet_shapes(width, MULTIPLIERS, SD1.context_width, ATTENTION).items():
        values = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            state[name] = values * values[0].numel() ** -0.5
        else:
            state[name] = 0.1 * values + (1.0 if name.endswith("weight") else 0.0)
    return state


def ours(state: dict[str, Tensor], dtype: torch.dtype) -> Step:
    """Our network, made the way a checkpoint makes it."""
    weights = Weights.from_arrays({name: array_of(tensor) for name, tensor in state.items()})
    return load(lambda shapes: UNet(shapes, SD1.heads), weights, "", CPU, dtype)


def theirs(state: dict[str, Tensor], dtype: torch.dtype, width: int) -> Step:
    """diffusers' network with the same numbers."""
    levels = range(len(MULTIPLIERS))
    with torch.device("meta"):
        network: nn.Module = UNet2DConditionModel(
            block_out_channels=tuple(width * each for each in MULTIPLIERS),
            cross_attention_dim=SD1.context_width,
            attention_head_dim=SD1.heads,
            down_block_types=tuple("CrossAttnDownBlock2D" if it in ATTENTION else "DownBlock2D" for it in levels),
            up_block_types=tuple("CrossAttnUpBlock2D" if it in ATTENTION else "UpBlock2D" for it in reversed(levels)),
        )
    names = to_diffusers(state)
    network.load_state_dict({names[name]: tensor.to(dtype) for name, tensor in state.items()}, assign=True)
    network.eval().requires_grad_(False)
    return lambda latents, times, text: network(latents, times, text).sample


def inputs(size: int, batch: int, dtype: torch.dtype) -> Inputs:
    """Noise, timesteps and text for one step."""
    generator = torch.Generator().manual_seed(2)
    side = size // SD1.downscale
    latents = torch.randn(batch, SD1.latent_channels, side, side, generator=generator)
    text = torch.randn(batch, TOKENS, SD1.context_width, generator=generator)
    return latents.to(dtype), torch.full((batch,), 601.0), text.to(dtype)


def in_turns(first: Step, second: Step, given: Inputs, repeats: int) -> Iterator[tuple[float, float]]:
    """Seconds of both, round by round; who begins changes, so that a busy moment hits both alike."""
    for turn in range(repeats):
        taken = {}
        for step in (first, second) if turn % 2 == 0 else (second, first):
            start = time.perf_counter()
            step(*given)
            taken[step] = time.perf_counter() - start
        yield taken[first], taken[second]


def measure(state: dict[str, Tensor], name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row: medians, ratio, and how far the outputs lie apart."""
    dtype = DTYPES[name]
    mine, rival = ours(state, dtype), theirs(state, dtype, options.width)
    given = inputs(options.size, options.batch, dtype)
    one, other = mine(*given).float(), rival(*given).float()  # also the warm-up
    rounds = list(in_turns(mine, rival, given, options.repeats))
    seconds, rival_seconds = (median(column) for column in zip(*rounds, strict=True))
    return {
        "dtype": name,
        "ours_s": seconds,
        "diffusers_s": rival_seconds,
        "ratio": seconds / rival_seconds,
        "best_ratio": min(each for each, _ in rounds) / min(each for _, each in rounds),
        "max_abs_difference": float((one - other).abs().max()),
        "output_deviation": float(other.std()),
    }


def main() -> None:
    """Measure each dtype and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="side of the picture in pixels")
    parser.add_argument("--batch", type=int, default=2, help="2 is one guided step of one picture")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--width", type=int, default=320, help="channels of the first level")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        state = random_state(options.width)
        rows = [measure(state, name, options) for name in options.dtypes]
    settings = {name: value for name, value in vars(options).items() if name != "dtypes"}
    report("unet_step", rows, **settings, torch=torch.__version__)


if __name__ == "__main__":
    main()
