"""Tensors that are packed in the original: apart and together again they are the same, and odd shapes are refused."""

import ml_dtypes
import numpy as np
import pytest

from pochade.files import Weights
from pochade.layouts.packing import packed, unpacked

NAMES = {
    "qkv": ("q", "k", "v"),
    "text_projection": ("text_projection.weight",),
    "plain": ("weight",),
}
ARRAYS = {
    "qkv": np.arange(12, dtype=np.float16).reshape(6, 2),
    "text_projection": np.arange(6, dtype=np.float32).reshape(2, 3),
    "plain": np.ones(3, ml_dtypes.bfloat16),
    "unknown": np.ones(1),
}


def test_what_is_packed_comes_apart_in_order_and_matrices_are_turned():
    apart = unpacked(Weights.from_arrays(ARRAYS), NAMES)
    assert set(apart) == {"q", "k", "v", "text_projection.weight", "weight"}
    np.testing.assert_array_equal(apart["k"], [[4, 5], [6, 7]])
    np.testing.assert_array_equal(apart["text_projection.weight"], ARRAYS["text_projection"].T)
    assert apart.info("weight").dtype == "BF16"


def test_there_and_back_every_byte_is_the_same():
    back = packed(unpacked(Weights.from_arrays(ARRAYS), NAMES), NAMES)
    assert set(back) == set(NAMES)
    assert all(back[name].tobytes() == ARRAYS[name].tobytes() for name in NAMES)
    assert all(back[name].dtype == ARRAYS[name].dtype for name in NAMES)


@pytest.mark.parametrize(("name", "shape"), [("qkv", (7, 2)), ("qkv", ()), ("text_projection", (4,))])
def test_shapes_that_cannot_be_taken_apart_are_refused(name, shape):
    with pytest.raises(ValueError, match="shape"):
        unpacked(Weights.from_arrays({name: np.ones(shape)}), {name: NAMES[name]})


@pytest.mark.parametrize("odd", [np.ones((2, 3)), np.ones((1, 2)), np.ones((2, 2), np.float32), np.ones(())])
def test_what_differs_in_shape_or_format_is_not_put_together(odd):
    parts = {"q": np.ones((2, 2)), "k": np.ones((2, 2)), "v": odd}
    with pytest.raises(ValueError, match="no equal parts of one tensor"):
        packed(Weights.from_arrays(parts), {"qkv": NAMES["qkv"]})
