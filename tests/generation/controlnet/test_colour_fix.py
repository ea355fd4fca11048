"""Colours that are brought back at each step, for models that predict noise and such that predict v."""

from dataclasses import replace

import pytest
import torch

from pochade.generation.controlnet.colour_fix import ColourFix, blurred, recoloured
from pochade.sampling import NoiseTable

TIMES = torch.tensor([900.0, 900.0])


def test_recoloured_takes_colours_and_leaves_detail():
    flat = torch.full((1, 4, 24, 20), 3.0)
    detail = torch.zeros(1, 4, 24, 20)
    detail[:, :, 12, 10] = 5.0
    torch.testing.assert_close(recoloured(flat, flat + 2, 4), flat + 2)
    mended = recoloured(detail + 7, flat, 4)
    assert (mended.mean() - 3).abs() < 0.1
    assert (mended[0, 0, 12, 10] - mended[0, 0, 12, 11] - 5).abs() < 0.1


def test_blurring_averages_what_is_near():
    dot = torch.zeros(1, 4, 9, 9)
    dot[:, :, 4, 4] = 9.0
    assert blurred(dot, 1)[0, 0, 3:6, 3:6].eq(1).all()
    assert blurred(dot, 1).sum() == dot.sum()


@pytest.fixture(params=["epsilon", "v"])
def table(request):
    return NoiseTable.scaled_linear(prediction=request.param)


def shown(clean, noise, table):
    """Noisy latents, and what a perfect network says of them."""
    alpha = table.alphas[900]
    latents = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    outputs = {"epsilon": noise, "v": alpha.sqrt() * noise - (1 - alpha).sqrt() * clean}
    return latents, outputs[table.prediction]


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(2)
    return lambda *shape: torch.randn(*shape, generator=generator)


def assert_close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def test_the_output_becomes_that_of_a_picture_with_these_colours(table, draw):
    noise, clean, original = draw(2, 4, 12, 10), draw(2, 4, 12, 10), draw(1, 4, 12, 10)
    latents, output = shown(clean, noise, table)
    alpha = table.alphas[900]
    wanted_clean = recoloured(clean, original, 3)
    wanted_noise = (latents - alpha.sqrt() * wanted_clean) / (1 - alpha).sqrt()
    wanted = {"epsilon": wanted_noise, "v": alpha.sqrt() * wanted_noise - (1 - alpha).sqrt() * wanted_clean}
    fix = ColourFix(original, reach=3)
    found = fix.fixed(output, latents, TIMES, (True, False), table)
    assert_close(found, wanted[table.prediction])
    assert_close(
        replace(fix, weight=0.25).fixed(output, latents, TIMES, (True, False), table), output.lerp(found, 0.25)
    )
    assert_close(replace(fix, weight=2.0).fixed(output, latents, TIMES, (True, False), table), found)


def test_sharpness_changes_only_rows_without_the_prompt(table, draw):
    latents, output = shown(draw(2, 4, 12, 10), draw(2, 4, 12, 10), table)
    fix = ColourFix(draw(1, 4, 12, 10), reach=3)
    plain = fix.fixed(output, latents, TIMES, (True, False), table)
    sharp = replace(fix, sharpness=100.0).fixed(output, latents, TIMES, (True, False), table)
    assert_close(sharp[0], plain[0])
    assert (sharp[1] - plain[1]).abs().max() > 0.1
