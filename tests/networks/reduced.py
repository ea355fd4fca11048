"""True networks made small: the recorded names with fewer blocks and narrower shapes, and random weights for them."""

import torch

from pochade.files import Weights
from pochade.layouts.packing import unpacked
from pochade.networks import tensor_of


def reduced(shapes, sizes, blocks):
    """`sizes` maps true sizes to small ones; `blocks` tells how many blocks stay of each row, by the row's name."""
    return {
        name: tuple(sizes.get(size, size) for size in shape)
        for name, shape in shapes.items()
        if all(_index(name, row) < count for row, count in blocks.items())
    }


def _index(name, row):
    """The number of the block within a row that a tensor belongs to; -1 for all others."""
    _, found, rest = name.partition(f"{row}.")
    return int(rest.split(".")[0]) if found else -1


def random_state(shapes, seed=3):
    """Weights that keep the spread of what goes through them; those of norms near one, biases near zero."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            state[name] = values * values[0].numel() ** -0.5
        else:
            state[name] = values * 0.1 + float(name.endswith("weight"))
    return state


def in_diffusers_names(state, layout):
    """The same weights as a network of diffusers or transformers takes them."""
    weights = Weights.from_arrays({name: tensor.numpy() for name, tensor in state.items()})
    theirs = unpacked(weights, layout.to_diffusers(weights))
    return {name: tensor_of(theirs[name]) for name in theirs}
