import numpy as np
import pytest
import torch

from pochade.errors import UnknownNameError
from pochade.prompts.emphasis import Emphasis, apply

from .vectors import cases, name


@pytest.mark.parametrize("make", [lambda values: np.array(values, np.float32), torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("case", [each for each in cases("webui/emphasis") if "z" in each], ids=name)
def test_recorded_arithmetic(case, make):
    weighted = apply(Emphasis.named(case["mode"]), make(case["z"]), make(case["multipliers"]))
    np.testing.assert_allclose(np.asarray(weighted), case["expected"], rtol=1e-5, atol=1e-5)


def test_original_keeps_the_mean():
    z = np.random.default_rng(1).normal(1.0, 1.0, (2, 77, 8))
    multipliers = np.ones((2, 77))
    multipliers[:, 3:9] = 1.4
    assert apply(Emphasis.ORIGINAL, z, multipliers).mean() == pytest.approx(z.mean())


def test_an_unknown_mode_names_the_known_ones():
    with pytest.raises(UnknownNameError, match="No norm"):
        Emphasis.named("no-norm")
