"""The pipeline: events, resolved requests, batches, and clear errors."""

import numpy as np
import pytest
import torch
from PIL import Image

from pochade import Pipeline, Request, files
from pochade.errors import MalformedFileError, MissingFileError, NumericalError, UnknownNameError, UsageError
from pochade.events import Made, Preview, Step, Warned
from pochade.families import SD1
from pochade.generation.model import _resolution, device_of, dtype_of
from pochade.generation.parameters.fields import describe
from pochade.generation.pictures.inputs import Inputs
from pochade.networks import VAE, fresh, vae_shapes
from pochade.networks.loading import array_of
from tests.golden.models import VAE as VAE_PREFIX
from tests.golden.replay import model_file
from tests.golden.replay import pipeline as golden

SMALL = {"width": 64, "height": 64, "steps": 3, "seed": 5}


@pytest.fixture(scope="module")
def pipeline():
    return golden("goldsd1")


def pixels(picture) -> np.ndarray:
    return np.asarray(picture.image).astype(int)


def test_events_tell_the_whole_story(pipeline):
    events = list(pipeline.run(Request("a cat", count=3, batch=2, **SMALL)))
    steps = [event for event in events if isinstance(event, Step)]
    assert [event.done for event in steps] == list(range(1, 7))
    assert {event.total for event in steps} == {6}
    assert [event.result.seed for event in events if isinstance(event, Made)] == [5, 6, 7]
    assert all(event.latents.shape[1:] == (4, 8, 8) for event in events if isinstance(event, Preview))


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M SDE", "DDIM", "UniPC"])
def test_a_batch_draws_what_single_runs_draw(pipeline, sampler):
    batch = pipeline.txt2img("a cat", sampler=sampler, count=3, batch=3, **SMALL)
    singles = [pipeline.txt2img("a cat", sampler=sampler, **{**SMALL, "seed": 5 + number}) for number in range(3)]
    for one, other in zip(batch, singles, strict=True):
        assert np.abs(pixels(one) - pixels(other)).max() <= 1


def test_the_same_request_gives_the_same_pixels(pipeline):
    first = pipeline.txt2img("a (cat:1.2) on [a table:grass:0.5]", **SMALL)
    assert np.array_equal(pixels(first), pixels(pipeline.txt2img(first.request.prompt, **SMALL)))


def test_a_request_is_resolved_with_nothing_left_open(pipeline):
    request = pipeline.resolve(Request("a cat"))
    open_fields = {name for name, value in request.to_dict().items() if value is None}
    assert open_fields <= {"eta", "seed_resize_from", "mask_blur_y", "noise_level"} | {
        name for name in request.to_dict() if name.startswith("hires_")
    }
    assert (request.width, request.height, request.steps, request.sampler) == (512, 512, 20, "DPM++ 2M")
    assert request.seed >= 0
    assert len(request.model_hash) == 10
    assert "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras" in describe(request)


def test_a_saved_picture_can_be_redone_to_the_pixel(pipeline, tmp_path):
    from pochade import Picture

    drawn = pipeline.txt2img("a cat", count=2, batch=2, sampler="Euler a", **SMALL)
    path = drawn[1].save(tmp_path / "cat.png")
    back = Picture.open(path)
    again = [event.result for event in pipeline.run(back.request) if isinstance(event, Made)]
    assert np.array_equal(pixels(again[back.index]), np.asarray(Image.open(path)).astype(int))


def test_tags_are_taken_out_and_told(pipeline):
    events = list(pipeline.run(Request("a cat<lora:nowhere:0.8>", **SMALL)))
    warning, *_ = (event.message for event in events if isinstance(event, Warned))
    assert "nowhere" in warning
    plain = pipeline.txt2img("a cat", **SMALL)
    (tagged,) = (event.result for event in events if isinstance(event, Made))
    assert np.array_equal(pixels(plain), pixels(tagged))


def test_tiling_makes_edges_meet_and_ends_with_the_run(pipeline):
    before = pipeline.txt2img("a cat", **SMALL)
    tiled = pipeline.txt2img("a cat", tiling=True, **SMALL)
    assert not np.array_equal(pixels(before), pixels(tiled))
    assert np.array_equal(pixels(before), pixels(pipeline.txt2img("a cat", **SMALL)))


def test_tiling_ends_with_a_stopped_run_too(pipeline):
    before = pipeline.txt2img("a cat", **SMALL)
    events = pipeline.run(Request("a cat", tiling=True, **SMALL))
    next(events)
    events.close()
    assert np.array_equal(pixels(before), pixels(pipeline.txt2img("a cat", **SMALL)))


def test_an_own_vae_changes_only_the_decoding(pipeline, tmp_path):
    vae = fresh(VAE, vae_shapes(32, (1, 2, 4, 4)), 3)
    path = files.save(
        tmp_path / "other.vae.safetensors", {name: array_of(each) for name, each in vae.state_dict().items()}
    )
    model = model_file("goldsd1")
    other = Pipeline.load(model, vae=path, device="cpu", dtype="fp32")
    picture = other.txt2img("a cat", **SMALL)
    assert not np.array_equal(pixels(picture), pixels(pipeline.txt2img("a cat", **SMALL)))
    assert picture.request.vae == "other.vae.safetensors"
    assert "VAE: other.vae.safetensors" in picture.infotext
    inside = Pipeline.load(model, vae=model_file("goldsecond"), device="cpu", dtype="fp32")
    assert not np.array_equal(pixels(picture), pixels(inside.txt2img("a cat", **SMALL)))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"sampler": "Eulr"}, UnknownNameError, "Euler"),
        ({"schedule": "Karas"}, UnknownNameError, "Karras"),
        ({"width": 65}, UsageError, "width"),
        ({"clip_skip": 12, "steps": 0}, UsageError, "steps"),
        ({"count": 0}, UsageError, "count"),
        ({"cfg": float("nan")}, UsageError, "cfg"),
    ],
)
def test_wrong_requests_are_explained_before_any_work(pipeline, settings, error, words):
    with pytest.raises(error, match=words):
        next(pipeline.run(Request("a cat", **{**SMALL, **settings})))


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(MissingFileError):
        Pipeline.load(tmp_path / "none.safetensors")


def test_a_file_of_no_family_is_refused(tmp_path):
    path = files.save(tmp_path / "what.safetensors", {"a": np.zeros(3, np.float32)})
    with pytest.raises(MalformedFileError, match="inspect"):
        Pipeline.load(path)


@pytest.mark.parametrize("stated", ["0x0", "8x8", "99999x64", "²x64", "64", "65x64"])
def test_a_resolution_that_no_picture_can_have_is_not_believed(stated):
    weights = files.Weights.from_arrays({}, {"modelspec.resolution": stated})
    assert _resolution(weights, SD1, "epsilon") == (512, 512)
    assert _resolution(files.Weights.from_arrays({}, {"modelspec.resolution": "128x96"}), SD1, "epsilon") == (128, 96)


def spoiled(tmp_path, name: str) -> Pipeline:
    weights = files.open(model_file("goldsd1"))
    arrays = {each: np.array(weights[each]) for each in weights}
    arrays[name] = np.full_like(arrays[name], np.nan)
    return Pipeline.load(files.save(tmp_path / "spoiled.safetensors", arrays), device="cpu", dtype="fp32")


def test_nan_from_the_unet_is_explained(tmp_path):
    with pytest.raises(NumericalError, match="NaN"):
        spoiled(tmp_path, "model.diffusion_model.out.2.bias").txt2img("a cat", **SMALL)


def test_nan_from_the_vae_is_explained(tmp_path):
    with pytest.raises(NumericalError, match="VAE"):
        spoiled(tmp_path, f"{VAE_PREFIX}decoder.conv_out.bias").txt2img("a cat", **SMALL)


def test_half_precision_that_overflows_is_decoded_in_full(pipeline, monkeypatch):
    model = Pipeline.load(model_file("goldsd1"), device="cpu", dtype="bf16").model
    whole = model.networks.vae.decode
    monkeypatch.setattr(
        model.networks.vae,
        "decode",
        lambda latents: whole(latents) if latents.dtype == torch.float32 else torch.full((1, 3, 64, 64), torch.inf),
    )
    assert model.decode(torch.zeros(4, 8, 8)).isfinite().all()
    assert {each.dtype for each in model.networks.vae.parameters()} == {torch.bfloat16}


def test_bf16_draws_nearly_the_same(pipeline):
    half = Pipeline.load(model_file("goldsd1"), device="cpu", dtype="bf16")
    difference = np.abs(pixels(half.txt2img("a cat", **SMALL)) - pixels(pipeline.txt2img("a cat", **SMALL)))
    assert difference.mean() < 12
    assert half.txt2img("a cat", **SMALL).request.dtype == "bf16"


def test_devices_and_dtypes():
    cpu = torch.device("cpu")
    assert device_of("cpu") == cpu
    assert dtype_of("auto", cpu, 1_000_000) == "fp32"
    assert dtype_of("auto", cpu, 10**9) in ("bf16", "fp32")
    assert dtype_of("bf16", cpu, 1) == "bf16"
    with pytest.raises(UsageError, match="fp16"):
        dtype_of("fp16", cpu, 1)
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="cuda"):
            device_of("cuda")


def test_a_picture_to_draw_over_must_be_there(pipeline):
    with pytest.raises(UsageError, match="no picture to draw over"):
        pipeline.img2img("a cat", "")
    with pytest.raises(UsageError, match="would not grow"):
        pipeline.outpaint("a cat", Image.new("RGB", (64, 64)))


def test_a_mask_that_covers_nothing_is_told(pipeline):
    request = Request("a cat", only_masked=True, **SMALL)
    inputs = Inputs((Image.new("RGB", (64, 64)),), Image.new("L", (64, 64)))
    notes = [event.message for event in pipeline.run(request, inputs) if isinstance(event, Warned)]
    assert any("mask covers nothing" in note for note in notes)


def test_a_picture_in_memory_is_turned_as_its_exif_tells(pipeline, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (128, 64), "red").save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as image:
        held = pipeline.img2img("a cat", image, steps=1, strength=0.1, seed=1)
    named = pipeline.img2img("a cat", tmp_path / "turned.jpg", steps=1, strength=0.1, seed=1)
    assert held.image.size == named.image.size == (64, 128)
    assert np.array_equal(pixels(held), pixels(named))
