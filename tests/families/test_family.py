"""Facts that requests ask families for."""

import pytest

from pochade.families import FAMILIES, SD1, SD2, SDXL, SDXL_REFINER


@pytest.mark.parametrize(
    ("encoder", "given", "asked"),
    [(SD1.encoders[0], 3, 3), (SD2.encoders[0], 1, 1), (SDXL.encoders[0], 2, 3), (SDXL.encoders[1], 2, 2)],
    ids=["sd1", "sd2", "sdxl-clip-l", "sdxl-open-clip"],
)
def test_each_text_encoder_heeds_clip_skip_in_its_own_way(encoder, given, asked):
    assert (encoder.skip_for(3, asked=False), encoder.skip_for(3, asked=True)) == (given, asked)


def test_the_refiner_reads_as_sdxl_s_second_encoder_does():
    (refiner,) = SDXL_REFINER.encoders
    assert (refiner.skip, refiner.normed, refiner.pooled) == (2, False, True)
    assert refiner.prefix != SDXL.encoders[1].prefix


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_is_told_needs_a_summary_of_the_prompt(family):
    assert bool(family.told) == any(encoder.pooled for encoder in family.encoders)
