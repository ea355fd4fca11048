"""Numbers on their way: exactly rounded, in the thread that asks, and in pieces of the right size."""

import os

import numpy as np
import pytest
import torch

from pochade import files
from pochade.files import LazyArray, TensorInfo, Weights
from pochade.operations.casting import alone, cast, computed, fillings
from pochade.operations.writing import writing


@pytest.mark.filterwarnings("ignore:overflow")
def test_every_half_comes_back_and_what_lies_between_is_rounded_to_even():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    numbers = halves[np.isfinite(halves)].astype(np.float32)
    between = np.concatenate([numbers, np.nextafter(numbers, np.inf), (numbers[1:] + numbers[:-1]) / 2])
    found = cast(LazyArray.of(between), "F16").load()
    np.testing.assert_array_equal(found.view(np.uint16), between.astype(np.float16).view(np.uint16))


def test_room_is_filled_whatever_the_pieces():
    pieces = torch.arange(23.0).split([5, 0, 7, 1, 10])
    for size in (1, 4, 5, 23, 50):
        found = [each.clone() for each in fillings(torch.empty(size), pieces)]
        assert [len(each) for each in found] == [size] * (23 // size) + [23 % size] * (23 % size > 0)
        assert torch.cat(found).tolist() == list(range(23))


def test_each_thread_computes_alone_while_a_file_is_written(tmp_path):
    seen = []

    def stream():
        seen.append(torch.get_num_threads())
        yield np.ones(2, np.float32)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        tensors = {name: computed(TensorInfo("F32", (2,)), stream) for name in "abc"}
        list(writing(tmp_path / "x.safetensors", Weights(tensors), {}))
        assert (seen, torch.get_num_threads()) == ([1, 1, 1], 3)
        with pytest.raises(ZeroDivisionError), alone():
            os.listdir(tmp_path)[1 // 0]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert len(files.open(tmp_path / "x.safetensors")) == 3
