"""Names and shapes of the published files, from their networks' definitions in ControlNet's annotator folder
(github.com/lllyasviel/ControlNet, ControlNet-v1-1-nightly and huggingface/controlnet_aux), at any width.
"""

import torch

from pochade import files
from tests.networks.reduced import random_state


def conv(name, inputs, outputs, kernel, bias=True):
    return {f"{name}.weight": (outputs, inputs, kernel, kernel)} | ({f"{name}.bias": (outputs,)} if bias else {})


def hed(width=64):
    shapes = {"norm": (1, 3, 1, 1)}
    widths = (3, *(width * times for times in (1, 2, 4, 8, 8)))
    for number, layers in enumerate((2, 2, 3, 3, 3), 1):
        for layer in range(layers):
            shapes |= conv(f"block{number}.convs.{layer}", widths[number - (layer == 0)], widths[number], 3)
        shapes |= conv(f"block{number}.projection", widths[number], 1, 1)
    return shapes


def pidinet(width=60, dilated=24):
    shapes = conv("init_block", 3, width, 3, bias=False)
    before, after = (width, width, 2 * width, 4 * width), (width, 2 * width, 4 * width, 4 * width)
    for level, blocks in enumerate((3, 4, 4, 4)):
        for block in range(1, blocks + 1):
            name, inputs = f"block{level + 1}_{block}", before[level] if block == 1 else after[level]
            if level and block == 1:
                shapes |= conv(f"{name}.shortcut", inputs, after[level], 1)
            shapes |= {f"{name}.conv1.weight": (inputs, 1, 3, 3), f"{name}.conv2.weight": (after[level], inputs, 1, 1)}
        shapes |= conv(f"dilations.{level}.conv1", after[level], dilated, 1)
        for branch in range(1, 5):
            shapes |= conv(f"dilations.{level}.conv2_{branch}", dilated, dilated, 3, bias=False)
        shapes |= conv(f"attentions.{level}.conv1", dilated, 4, 1)
        shapes |= conv(f"attentions.{level}.conv2", 4, 1, 3, bias=False)
        shapes |= conv(f"conv_reduces.{level}.conv", dilated, 1, 1)
    return shapes | conv("classifier", 4, 1, 1)


def line_drawing(width=64, blocks=3):
    shapes = conv("model0.1", 3, width, 7) | conv("model1.0", width, 2 * width, 3)
    shapes |= conv("model1.3", 2 * width, 4 * width, 3)
    for block in range(blocks):
        shapes |= conv(f"model2.{block}.conv_block.1", 4 * width, 4 * width, 3)
        shapes |= conv(f"model2.{block}.conv_block.5", 4 * width, 4 * width, 3)
    for place, before, after in (("0", 4, 2), ("3", 2, 1)):
        shapes |= {f"model3.{place}.weight": (before * width, after * width, 3, 3)}
        shapes |= {f"model3.{place}.bias": (after * width,)}
    return shapes | conv("model4.1", width, 1, 7)


def anime_lines(width=64, depth=8):
    widths = [3, *(width * min(2**level, 8) for level in range(depth))]
    shapes, name = {}, "model"
    for level in range(depth):
        down, up = ("0", "3") if level == 0 else ("1", "5" if level < depth - 1 else "3")
        shapes |= conv(f"{name}.model.{down}", widths[level], widths[level + 1], 4)
        outputs, inputs = widths[level] if level else 1, widths[level + 1] * (1 if level == depth - 1 else 2)
        shapes |= {f"{name}.model.{up}.weight": (inputs, outputs, 4, 4), f"{name}.model.{up}.bias": (outputs,)}
        name += ".model.1" if level == 0 else ".model.3"
    return shapes


def _trunk(width, later):
    shapes, before = {}, 3
    for level, (layers, times) in enumerate(((2, 1), (2, 2), (4, 4), (2, 8)), 1):
        for layer in range(1, layers + 1):
            shapes |= conv(f"conv{level}_{layer}", before, width * times, 3)
            before = width * times
    for name, times in later:
        shapes |= conv(name, before, width * times, 3)
        before = width * times
    return shapes


def _stages(width, features, branches):
    """From the second stage on; `branches` are the ends of names, with the maps that each gives."""
    shapes = {}
    for stage in range(2, 7):
        for branch, maps in branches.items():
            widths = [features + sum(branches.values()), *[2 * width] * 6, maps]
            for layer, kernel in enumerate((7, 7, 7, 7, 7, 1, 1)):
                shapes |= conv(f"Mconv{layer + 1}_stage{stage}{branch}", widths[layer], widths[layer + 1], kernel)
    return shapes


def body(width=64):
    shapes = _trunk(width, (("conv4_3_CPM", 4), ("conv4_4_CPM", 2)))
    for branch, maps in (("_L1", 38), ("_L2", 19)):
        widths = [2 * width] * 4 + [8 * width, maps]
        for layer, kernel in enumerate((3, 3, 3, 1, 1)):
            shapes |= conv(f"conv5_{layer + 1}_CPM{branch}", widths[layer], widths[layer + 1], kernel)
    return shapes | _stages(width, 2 * width, {"_L1": 38, "_L2": 19})


def body_part(width=64, maps=22):
    """A hand; a face has 71 maps."""
    later = (("conv4_3", 8), ("conv4_4", 8), ("conv5_1", 8), ("conv5_2", 8), ("conv5_3_CPM", 2))
    shapes = _trunk(width, later) | conv("conv6_1_CPM", 2 * width, 8 * width, 1)
    return shapes | conv("conv6_2_CPM", 8 * width, maps, 1) | _stages(width, 2 * width, {"": maps})


def _norm(name, width):
    return {f"{name}.{each}": (width,) for each in ("weight", "bias", "running_mean", "running_var")} | {
        f"{name}.num_batches_tracked": ()
    }


MOBILE = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3))
"""Of the rows of MobileNetV2's blocks: how many times wider a block is inside, its width, and how many there are."""


def mlsd():
    shapes = conv("backbone.features.0.0", 4, 32, 3, bias=False) | _norm("backbone.features.0.1", 32)
    number, before = 1, 32
    for times, width, count in MOBILE:
        for _ in range(count):
            name, inner, layer = f"backbone.features.{number}.conv", before * times, 0
            if times > 1:
                shapes |= conv(f"{name}.0.0", before, inner, 1, bias=False) | _norm(f"{name}.0.1", inner)
                layer = 1
            shapes |= {f"{name}.{layer}.0.weight": (inner, 1, 3, 3)} | _norm(f"{name}.{layer}.1", inner)
            shapes |= conv(f"{name}.{layer + 1}", inner, width, 1, bias=False) | _norm(f"{name}.{layer + 2}", width)
            number, before = number + 1, width

    def row(name, inputs, outputs, kernel):
        return conv(f"{name}.0", inputs, outputs, kernel) | _norm(f"{name}.1", outputs)

    for block, finer, coarser in ((15, 64, 96), (17, 32, 64), (19, 24, 64), (21, 16, 64)):
        shapes |= row(f"block{block}.conv1", coarser, 64, 1) | row(f"block{block}.conv2", finer, 64, 1)
        shapes |= row(f"block{block + 1}.conv1", 128, 128, 3) | row(f"block{block + 1}.conv2", 128, 64, 3)
    return shapes | row("block23.conv1", 64, 64, 3) | row("block23.conv2", 64, 64, 3) | conv("block23.conv3", 64, 16, 1)


def state_of(shapes, seed=3):
    """Random weights that let every part have a say."""
    state = random_state({name: shape for name, shape in shapes.items() if not name.endswith("tracked")}, seed)
    for name, value in state.items():
        if name.endswith("running_var"):
            state[name] = value.abs() + 0.5
        elif value.ndim > 1:
            state[name] = value * 2**0.5  # activations cut half away
    return state | {name: torch.tensor(7) for name in shapes if name.endswith("tracked")}


def saved(state, path, prefix=""):
    """A file that holds these weights."""
    return files.save(path, {prefix + name: value.numpy() for name, value in state.items()})
