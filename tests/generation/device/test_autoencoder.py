"""The VAE at work: what it does when half precision or memory does not suffice, and what is told."""

import pytest
import torch

from pochade.errors import NumericalError
from pochade.events import Made, Warned
from pochade.generation.device.memory import TILE
from pochade.generation.model import Model
from pochade.generation.pipeline import Pipeline
from pochade.generation.request import Request
from pochade.networks import vae_tiles
from tests.golden.replay import model_file

SMALL = Request("a", seed=1, width=64, height=64, steps=1)


@pytest.fixture
def model():
    return Model.load(model_file("goldsd1"), None, "cpu", "fp32")


@pytest.fixture
def half():
    return Model.load(model_file("goldsd1"), None, "cpu", "bf16")


def told(model, request=SMALL):
    return notes_in(Pipeline(model).run(request))


def notes_in(events):
    """What is told, but for the hint at sizes that no one would draw with this model."""
    messages = (event.message for event in events if isinstance(event, Warned))
    return [each for each in messages if "and the model was made for" not in each]


def picture(model, request=SMALL):
    return next(event.result for event in Pipeline(model).run(request) if isinstance(event, Made))


def test_half_precision_that_overflows_is_told_once_in_a_run(half, monkeypatch):
    vae = half.networks.vae
    whole = vae.decode
    monkeypatch.setattr(vae, "decode", lambda given: whole(given) * (1 if given.dtype == torch.float32 else torch.inf))
    pipeline = Pipeline(half)
    for _ in range(2):
        events = list(pipeline.run(Request("a", seed=1, width=64, height=64, steps=1, count=2)))
        notes = notes_in(events)
        assert len(notes) == 1
        assert "beyond the range of bfloat16" in notes[0]
        assert "float32" in notes[0]


def test_a_broken_vae_is_named_with_its_weight(model):
    model.networks.vae.decoder.mid.block_1.conv1.weight[0, 0] = torch.nan
    where = r"goldsd1.*first_stage_model\.decoder\.mid\.block_1\.conv1\.weight holds NaN.*--vae FILE"
    with pytest.raises(NumericalError, match=where):
        picture(model)


def test_a_broken_unet_is_named_with_its_weight(model):
    model.networks.unet.out[2].bias[1] = torch.nan
    where = r"UNet gave NaN.*model\.diffusion_model\.out\.2\.bias holds NaN.*undamaged copy"
    with pytest.raises(NumericalError, match=where):
        picture(model)


def test_a_broken_text_encoder_is_not_taken_for_the_unet(model):
    model.networks.text_encoders[0].text_model.final_layer_norm.bias[0] = torch.nan
    with pytest.raises(NumericalError, match="its text encoder gave NaN"):
        picture(model)


def test_a_picture_that_is_all_black_is_told(model):
    model.networks.vae.decoder.conv_out.bias -= 100
    (note,) = told(model)
    assert "all black" in note


def test_tiles_change_no_more_than_rounding_does(model):
    request = Request("a", seed=1, width=128, height=96, steps=1)
    whole = torch.tensor(list(picture(model, request).image.tobytes()))
    cut = picture(model, Request("a", seed=1, width=128, height=96, steps=1, vae_tile=64))
    assert cut.request.vae_tile == 64
    assert (torch.tensor(list(cut.image.tobytes())) - whole).abs().max() <= 1


def test_large_pictures_are_cut_where_memory_is_short(model, monkeypatch):
    vae = model.autoencoder
    monkeypatch.setattr(model.memory, "free", lambda: 2 * vae_tiles.whole_bytes(vae.vae, 512, 512))
    assert vae.tile_for(512, 512) == 0
    assert vae.tile_for(1024, 768) == TILE
    monkeypatch.setattr(model.memory, "free", lambda: None)
    assert vae.tile_for(8192, 8192) == 0


def test_what_was_decided_is_recorded(model, monkeypatch):
    assert Pipeline(model).resolve(SMALL).vae_tile == 0
    monkeypatch.setattr(model.memory, "free", lambda: 0)
    assert Pipeline(model).resolve(SMALL).vae_tile == TILE
    assert Pipeline(model).resolve(Request("a", vae_tile=0)).vae_tile == 0


def test_a_vae_that_runs_out_of_memory_goes_on_in_tiles(model, monkeypatch):
    request = Request("a", seed=1, width=320, height=64, steps=1)
    expected = torch.tensor(list(picture(model, request).image.tobytes()))

    def exhausted(latents):
        raise MemoryError

    monkeypatch.setattr(model.networks.vae, "decode", exhausted)
    events = list(Pipeline(model).run(request))
    (note,) = notes_in(events)
    assert "tiles of 256 pixels" in note
    made = next(event.result for event in events if isinstance(event, Made))
    assert (torch.tensor(list(made.image.tobytes())) - expected).abs().max() <= 1


def test_a_unet_that_runs_out_of_memory_draws_row_by_row(model, monkeypatch):
    request = Request("a", seed=1, width=64, height=64, steps=2, batch=2, count=2)
    expected = torch.tensor(list(picture(model, request).image.tobytes()))
    whole = model.networks.unet.forward

    def narrow(latents, *others):
        if len(latents) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(latents, *others)

    monkeypatch.setattr(model.networks.unet, "forward", narrow)
    events = list(Pipeline(model).run(request))
    (note,) = notes_in(events)
    assert "row by row" in note
    made = next(event.result for event in events if isinstance(event, Made))
    assert (torch.tensor(list(made.image.tobytes())) - expected).abs().max() <= 1
