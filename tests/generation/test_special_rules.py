"""What special checkpoints take, alone or with masks, maps, batches and other models, and what they refuse."""

import numpy as np
import pytest
from PIL import Image

from pochade import Picture, Pipeline, Request, files
from pochade.errors import MalformedFileError, UsageError
from pochade.events import Made
from pochade.generation.conditioning import Scene
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.start import Beginning
from pochade.sampling import ImageNoise, Seeds
from tests.generation.oracle import PROMPT, photo, pixels

RUN = {"steps": 2, "sampler": "Euler", "seed": 3}
SQUARE = (64, 64)
HALF = Image.fromarray(np.repeat(np.uint8([[0, 255]]), 32, axis=1).repeat(64, axis=0))  # the right one
KINDS = ["sd1-inpainting", "sd2-depth", "ip2p", "unclip-l", "x4-upscaler"]
# what a kind is told so that it shows
TOLD = {"unclip-l": {"noise_level": 500}, "x4-upscaler": {"noise_level": 300}}


def drawn(pipeline, image, prompt=PROMPT, **settings):
    """The Picture over an image, or without one."""
    settings = RUN | settings
    return pipeline.img2img(prompt, image, **settings) if image else pipeline.txt2img(prompt, **settings)


def differ(one, other):
    return np.abs(pixels(one) - pixels(other)).max()


@pytest.mark.parametrize("name", ["sd2-depth", "ip2p", "x4-upscaler"])
def test_what_works_on_a_picture_asks_for_one(special_models, name):
    with pytest.raises(UsageError) as caught:
        drawn(special_models(name), None, width=64, height=64)
    assert str(caught.value).startswith(f"{name}.safetensors works on a picture, as ")
    assert str(caught.value).endswith("give it one (pochade img2img --image FILE).")


def test_a_depth_map_alone_is_enough(special_models):
    one, other = (
        drawn(special_models("sd2-depth"), None, **settings)
        for settings in _depth_runs(special_models("sd2-depth").model.path.parent)
    )
    assert differ(one, other) > 3


def _depth_runs(folder):
    for number in (5, 6):
        path = folder / f"depth{number}.png"
        photo(seed=number).convert("L").save(path)
        yield {"depth": str(path), "width": 64, "height": 64, "hires": 2.0, "hires_upscaler": "Latent"}


def test_unclip_draws_without_a_picture_too(special_models):
    pipeline = special_models("unclip-h")
    blind = drawn(pipeline, None, width=64, height=64)
    assert blind.image.size == SQUARE
    assert differ(blind, drawn(pipeline, photo(SQUARE), strength=1.0)) > 3


@pytest.mark.parametrize("name", ["sd2-depth", "ip2p", "unclip-h"])
def test_a_mask_keeps_the_rest_in_models_that_know_none(special_models, name):
    image = photo(SQUARE)
    one, other = (drawn(special_models(name), image, mask=HALF, mask_blur=0, seed=seed) for seed in (3, 4))
    assert np.array_equal(pixels(one)[:, :32], pixels(image)[:, :32])
    assert differ(one, other) > 3


def test_an_upscaler_takes_no_mask(special_models):
    with pytest.raises(UsageError, match="makes whole pictures larger; it takes no mask"):
        drawn(special_models("x4-upscaler"), photo((16, 16)), mask=Image.new("L", (16, 16), 255))


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("x4-upscaler", {"noise_level": 351}, "noise level 351 does not exist; on a picture it goes from 0 to 350"),
        ("unclip-h", {"noise_level": 1000}, "noise_level is 1000"),
        ("unclip-h", {"noise_level": -1}, "noise_level is -1"),
        ("ip2p", {"depth": photo(SQUARE)}, "ip2p.safetensors takes no depth map"),
        ("ip2p", {"prediction": "w"}, "no choice of prediction named 'w'"),
    ],
)
def test_what_cannot_be_is_said(special_models, name, settings, sentence):
    with pytest.raises(UsageError, match=sentence):
        drawn(special_models(name), photo(SQUARE), **settings)


@pytest.mark.parametrize("name", ["sd2-depth", "unclip-h"])
def test_the_wrong_prediction_shows_and_is_recorded(special_models, name):
    right = drawn(special_models(name), photo(SQUARE))
    other = {"epsilon": "v", "v": "epsilon"}[right.request.prediction]
    wrong = drawn(special_models(name), photo(SQUARE), prediction=other)
    assert wrong.request.prediction == other
    assert differ(right, wrong) > 3


@pytest.mark.parametrize("name", KINDS)
def test_a_batch_draws_what_single_runs_draw(special_models, name):
    pipeline, image = special_models(name), photo((16, 16) if name == "x4-upscaler" else SQUARE)
    mask = {"mask": HALF} if name == "sd1-inpainting" else {}
    batch = drawn(pipeline, image, count=3, batch=3, **mask, **TOLD.get(name, {}))
    singles = [drawn(pipeline, image, **mask, **TOLD.get(name, {}), seed=3 + number) for number in range(3)]
    assert all(differ(one, other) <= 1 for one, other in zip(batch, singles, strict=True))
    assert differ(batch[0], batch[1]) > 3


@pytest.mark.parametrize("name", KINDS)
def test_halves_of_a_prompt_make_the_whole(special_models, name):
    """Every part of a composed prompt sees its own picture."""
    pipeline, image = special_models(name), photo((16, 16) if name == "x4-upscaler" else SQUARE)
    settings = TOLD.get(name, {}) | {"image_cfg": 1.0, "count": 2, "batch": 2}
    whole, halves = (drawn(pipeline, image, text, **settings) for text in ("a cat", "a cat :0.5 AND a cat :0.5"))
    assert all(differ(one, other) <= 1 for one, other in zip(whole, halves, strict=True))


def test_noise_on_a_small_picture_is_no_copy_of_the_latents():
    seeds = Seeds(seeds=(3, 4), source="nv")
    first, beside = ImageNoise((4, 8, 8), seeds).first(), Scene((8, 8), seeds).noise((3, 8, 8))
    assert beside.shape == (2, 3, 8, 8)
    assert abs(float((first[:, :3] * beside).mean())) < 0.2


@pytest.mark.parametrize(("small", "large"), [((16, 16), (64, 64)), ((33, 17), (128, 64)), ((35, 9), (144, 64))])
def test_an_upscaler_draws_four_times_as_large(special_models, small, large):
    pipeline = special_models("x4-upscaler")
    picture = drawn(pipeline, photo(small))
    assert picture.image.size == large
    again = list(pipeline.run(Request.from_json(picture.request.to_json()), Inputs((photo(small),))))
    assert isinstance(again[-1], Made)
    assert differ(again[-1].result, picture) == 0


def test_an_upscaler_refuses_what_would_be_too_large(special_models):
    with pytest.raises(UsageError, match="3000x20 pixels, and 4 times that is more than can be drawn"):
        drawn(special_models("x4-upscaler"), Image.new("RGB", (3000, 20)))


def test_an_upscaler_may_be_asked_for_another_size(special_models):
    assert drawn(special_models("x4-upscaler"), photo((40, 40)), width=64, height=128).image.size == (64, 128)


def seen(pipeline, image, mask=None, depth=None, **settings):
    """The depth map as the model gets it, in 0..255."""
    inputs = Inputs((image,), mask, depth)
    request = pipeline.resolve(Request(PROMPT, **RUN, **settings), inputs)
    return (Beginning(pipeline.model, request, inputs).depths(range(1))[0, 0] * 255).round().numpy()


def test_a_depth_map_goes_the_way_of_its_picture(special_models):
    pipeline, image = special_models("sd2-depth"), photo((128, 64))
    depth = Image.fromarray(np.arange(128, dtype=np.uint8)[None].repeat(64, axis=0))
    plain = seen(pipeline, image, depth=depth)
    assert np.array_equal(plain, depth)
    assert np.abs(seen(pipeline, image, depth=depth.resize((256, 64))) - plain).max() <= 1
    cropped = seen(pipeline, image, depth=depth, resize_mode="Crop and resize", width=64, height=64)
    assert np.array_equal(cropped, plain[:, 32:96])
    mask = Image.new("L", (128, 64))
    mask.paste(255, (40, 8, 72, 40))
    part = {"only_masked": True, "padding": 0, "mask_blur": 0, "width": 64, "height": 64}
    assert np.abs(seen(pipeline, image, mask, depth, **part) - np.linspace(39.75, 71.25, 64)).max() <= 1


@pytest.mark.parametrize("name", ["sd1-inpainting", "ip2p"])
def test_latents_may_be_what_is_resized(special_models, name):
    picture = drawn(special_models(name), photo((128, 64)), resize_mode="Latent upscale", width=64, height=64)
    assert picture.image.size == SQUARE


def test_an_inpainting_model_sees_the_second_pass_even_if_it_is_cut(special_models):
    settings = {"width": 64, "height": 64, "hires_size": (96, 128), "hires_upscaler": "Lanczos"}
    one, other = (
        drawn(special_models("sd1-inpainting"), None, **settings, mask_weight=weight) for weight in (1.0, 0.0)
    )
    assert one.image.size == (96, 128)
    assert differ(one, other) > 1


def test_a_plain_refiner_finishes_an_inpainted_picture(special_models):
    pipeline, refiner = special_models("sdxl-inpainting"), special_models("sdxl-refiner").model.path
    settings = {"mask": HALF, "steps": 4}
    alone = drawn(pipeline, photo(SQUARE), **settings)
    refined = drawn(pipeline, photo(SQUARE), refiner=str(refiner), refiner_switch_at=0.5, **settings)
    assert differ(alone, refined) > 3


def test_a_special_model_refines_no_other(special_models):
    with pytest.raises(UsageError, match="is made for instruct-pix2pix alone; it can refine no other model"):
        drawn(special_models("sd1-inpainting"), photo(SQUARE), refiner=str(special_models("ip2p").model.path))


def test_an_encoder_without_its_statistics_takes_no_noise(special_models, tmp_path):
    whole = files.open(special_models("unclip-l").model.path)
    bare = {name: whole[name] for name in whole if not name.startswith("noise_augmentor.")}
    pipeline = Pipeline.load(files.save(tmp_path / "bare.safetensors", bare), device="cpu", dtype="fp32")
    assert isinstance(drawn(pipeline, photo(SQUARE)), Picture)
    with pytest.raises(UsageError, match=r"bare.safetensors lacks 'noise_augmentor.data_mean' and its like"):
        drawn(pipeline, photo(SQUARE), noise_level=1)


@pytest.mark.parametrize(
    ("name", "prefix", "part"), [("unclip-h", "embedder.", "CLIPVision"), ("sd2-depth", "depth_model.", "DepthModel")]
)
def test_a_model_that_lost_its_sight_works_without(special_models, tmp_path, name, prefix, part):
    whole = files.open(special_models(name).model.path)
    blind = {key: whole[key] for key in whole if not key.startswith(prefix)}
    pipeline = Pipeline.load(files.save(tmp_path / "blind.safetensors", blind), device="cpu", dtype="fp32")
    given = {"depth": photo(SQUARE)} if name == "sd2-depth" else {}
    assert drawn(pipeline, photo(SQUARE) if given else None, width=64, height=64, **given).image.size == SQUARE
    with pytest.raises(MalformedFileError, match=f"holds no {part}: nothing is below '{prefix}"):
        drawn(pipeline, photo(SQUARE))


def test_pictures_in_memory_take_the_form_of_files(special_models, tmp_path):
    deep = Image.fromarray(np.asarray(photo(SQUARE).convert("L")).astype(np.uint16) * 257)
    deep.save(tmp_path / "deep.png")
    pipeline = special_models("ip2p")
    held, read = (drawn(pipeline, each) for each in (deep, tmp_path / "deep.png"))
    assert differ(held, read) == 0
    assert held.request.image_hash == read.request.image_hash
