"""ControlNets in pictures: as diffusers draws with them, when they act and when not, and what cannot be."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pochade import Picture, Pipeline, Request, files, layouts
from pochade.errors import MalformedFileError, MissingFileError, UsageError
from pochade.events import Made, Preview, Step
from pochade.generation.controlnet.colour_fix import blurred
from pochade.generation.controlnet.control_unit import CONTROL, PROMPT, ControlUnit
from pochade.generation.controlnet.steering import Steering
from pochade.generation.pictures.canvas import canvas_of
from pochade.generation.pictures.inputs import Inputs
from pochade.library import short_hash
from pochade.networks import ControlNet, array_of, controlnet_shapes, fresh
from pochade.networks.annotators import load_annotator
from pochade.operations.convert import convert
from pochade.preprocessors import preprocess
from pochade.preprocessors.resizing import at_resolution, fitted
from tests.golden.replay import model_file, pipeline
from tests.networks.annotators.published import hed, saved, state_of
from tests.networks.test_t2i_adapter import diffusers_adapter, original

PROMPT_TEXT, NEGATIVE = "a cat sitting on a table", "blurry"
# 10 uniform steps fall on whole timesteps, where diffusers' way to interpolate sigmas and A1111's agree
RUN = {"steps": 10, "sampler": "Euler", "schedule": "Uniform", "cfg": 5.0, "seed": 3, "rng": "cpu"}
SIZE = {"width": 128, "height": 64}
SHORT = RUN | SIZE | {"steps": 3}


def open_network(shapes, seed):
    """A ControlNet that has a say: no branch is silent."""
    network = fresh(ControlNet, shapes, seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(std=parameter[0].numel() ** -0.5, generator=generator)
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("controls")


@pytest.fixture(scope="module")
def file_for(folder):
    """A ControlNet for one of the golden models, made on first use."""

    @lru_cache
    def make(model, seed=1, name=""):
        unet = pipeline(model).model.networks.unet
        network = open_network(
            controlnet_shapes({key: tuple(each.shape) for key, each in unet.state_dict().items()}), seed
        )
        arrays = {key: array_of(each) for key, each in network.state_dict().items()}
        return files.save(folder / f"{name or model}-{seed}.safetensors", arrays)

    return make


def noise(size=(128, 64), seed=1):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def picture(folder):
    path = folder / "picture.png"
    noise().save(path)
    return path


@pytest.fixture(scope="module")
def unit(file_for, picture):
    return ControlUnit(model=str(file_for("goldsd1")), image=str(picture))


def pixels(image):
    return np.asarray(image.image if isinstance(image, Picture) else image).astype(int)


def drawn(*units, model="goldsd1", **settings):
    return pixels(pipeline(model).txt2img(PROMPT_TEXT, negative_prompt=NEGATIVE, controls=units, **SHORT | settings))


def test_a_network_makes_the_hint_and_is_recorded(unit, folder):
    state = state_of(hed(4))
    path = saved(state, folder / "ControlNetHED.safetensors")
    hint = preprocess("softedge_hed", at_resolution(np.array(Image.open(unit.image)), 64), network=seen_by(path))
    Image.fromarray(fitted(hint, 128, 64)).save(folder / "edges.png")
    plain = replace(unit, image=str(folder / "edges.png"))
    looking = replace(unit, preprocessor="hed", annotator=str(path), resolution=64)
    picture = pipeline("goldsd1").txt2img(PROMPT_TEXT, negative_prompt=NEGATIVE, controls=[looking], **SHORT)
    np.testing.assert_array_equal(pixels(picture), drawn(plain))
    (recorded,) = picture.request.controls
    assert recorded.preprocessor == "softedge_hed" and recorded.annotator == path.name
    assert recorded.annotator_hash == short_hash(path)


def test_a_pipeline_looks_for_files_in_its_folders(unit, tmp_path):
    for place, source in (
        ("ControlNet", unit.model),
        ("annotators", saved(state_of(hed(4)), tmp_path / "ControlNetHED.pth")),
    ):
        (tmp_path / "models" / place).mkdir(parents=True)
        (tmp_path / "models" / place / Path(source).name).write_bytes(Path(source).read_bytes())
    looking = replace(unit, model=Path(unit.model).stem, preprocessor="hed", resolution=64)
    drawing = Pipeline(pipeline("goldsd1").model, [tmp_path])
    (found,) = drawing.resolve(Request(controls=(looking,)), Inputs(controls=(noise(),))).controls
    assert found.model == str(tmp_path / "models/ControlNet" / Path(unit.model).name)
    assert found.annotator == str(tmp_path / "models/annotators/ControlNetHED.pth")


def seen_by(path):
    network = load_annotator("hed", path, torch.device("cpu"))
    return lambda picture: network(torch.from_numpy(picture).permute(2, 0, 1)[None].float())[0].numpy()


def test_a_depth_map_needs_no_network_and_says_so(unit, folder):
    slope = np.repeat(np.tile(np.linspace(50, 150, 128).astype(np.uint8), (64, 1))[:, :, None], 3, axis=2)
    Image.fromarray(slope).save(folder / "slope.png")
    looking = replace(unit, preprocessor="depth", image=str(folder / "slope.png"))
    picture = pipeline("goldsd1").txt2img(PROMPT_TEXT, controls=[looking], **SHORT)
    (recorded,) = picture.request.controls
    assert (recorded.annotator, recorded.annotator_hash) == ("none", "")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ["goldsd1", "goldxl"])
def test_a_picture_with_two_controls_is_that_of_diffusers(model, file_for, picture, folder):
    from diffusers import (
        ControlNetModel,
        EulerDiscreteScheduler,
        StableDiffusionControlNetPipeline,
        StableDiffusionXLControlNetPipeline,
        UNet2DConditionModel,
    )

    paths = [file_for(model, seed) for seed in (1, 2)]
    source = convert(model_file(model), folder / model)
    unet = UNet2DConditionModel.from_pretrained(source, subfolder="unet")
    theirs = []
    for path in paths:
        network = ControlNetModel.from_unet(unet)
        new = layouts.controlnet.to_original(network.state_dict())
        weights = files.open(path)
        network.load_state_dict({old: torch.from_numpy(np.array(weights[name])) for old, name in new.items()})
        theirs.append(network)
    kind = StableDiffusionXLControlNetPipeline if model == "goldxl" else StableDiffusionControlNetPipeline
    drawing = kind.from_pretrained(source, controlnet=theirs, torch_dtype=torch.float32)
    drawing.set_progress_bar_config(disable=True)
    drawing.scheduler = EulerDiscreteScheduler.from_config(drawing.scheduler.config, timestep_spacing="linspace")
    expected = drawing(
        PROMPT_TEXT,
        negative_prompt=NEGATIVE,
        image=[noise(), noise(seed=2)],
        controlnet_conditioning_scale=[0.5, 0.3],
        latents=torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(RUN["seed"])),
        num_inference_steps=RUN["steps"],
        guidance_scale=RUN["cfg"],
        **SIZE,
    ).images[0]
    noise(seed=2).save(folder / "second.png")
    units = [
        ControlUnit(model=str(path), image=str(image), weight=weight)
        for path, image, weight in zip(paths, (picture, folder / "second.png"), (0.5, 0.3), strict=True)
    ]
    assert np.abs(drawn(*units, model=model, steps=10) - pixels(expected)).max() <= 1
    assert np.abs(drawn(model=model, steps=10) - pixels(expected)).max() > 20


@pytest.mark.filterwarnings("ignore")
def test_a_picture_with_an_adapter_is_that_of_diffusers(picture, folder):
    from diffusers import EulerDiscreteScheduler, StableDiffusionAdapterPipeline

    source = folder / "goldsd1"
    source = source if source.exists() else convert(model_file("goldsd1"), source)
    unet = pipeline("goldsd1").model.networks.unet
    widths = [unet.get_parameter(f"input_blocks.{number}.0.out_layers.3.weight").shape[0] for number in (2, 5, 8, 11)]
    adapter = diffusers_adapter("full", widths=widths)
    path = files.save(
        folder / "adapter.safetensors", {name: array_of(each) for name, each in original(adapter).items()}
    )
    drawing = StableDiffusionAdapterPipeline.from_pretrained(source, adapter=adapter, torch_dtype=torch.float32)
    drawing.set_progress_bar_config(disable=True)
    drawing.scheduler = EulerDiscreteScheduler.from_config(drawing.scheduler.config, timestep_spacing="linspace")
    expected = drawing(
        PROMPT_TEXT,
        negative_prompt=NEGATIVE,
        image=noise(),
        adapter_conditioning_scale=0.5,
        latents=torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(RUN["seed"])),
        num_inference_steps=RUN["steps"],
        guidance_scale=RUN["cfg"],
        **SIZE,
    ).images[0]
    unit = ControlUnit(model=str(path), image=str(picture), weight=0.5)
    assert np.abs(drawn(unit, steps=10) - pixels(expected)).max() <= 1
    assert np.abs(drawn(steps=10) - pixels(expected)).max() > 20


def test_nothing_acts_with_weight_zero_or_outside_of_its_steps(unit):
    plain = drawn()
    assert np.array_equal(drawn(replace(unit, weight=0)), plain)
    assert np.array_equal(drawn(replace(unit, start=0.9)), plain)
    early, whole = drawn(replace(unit, end=0.1)), drawn(unit)
    assert np.abs(early - plain).max() > 5 and np.abs(whole - early).max() > 5


def test_controls_add_up(unit):
    half = replace(unit, weight=0.25)
    assert np.abs(drawn(half, half) - drawn(replace(unit, weight=0.5))).max() <= 1


@pytest.mark.parametrize(("mode", "is_one_sided"), [(CONTROL, True), (PROMPT, False)])
def test_only_one_mode_leaves_the_rows_without_the_prompt_alone(unit, monkeypatch, mode, is_one_sided):
    network, seen = pipeline("goldsd1").model.networks.unet, []
    draw = network.forward
    monkeypatch.setattr(network, "forward", lambda *given: seen.append(given[4]) or draw(*given))
    pipeline("goldsd1").txt2img(PROMPT_TEXT, controls=[replace(unit, mode=mode)], count=2, batch=2, **SHORT)
    assert len(seen) == 3
    assert all(each[:2].abs().max() > 0 for control in seen for each in control)
    assert all((each[2:].abs().max() == 0) == is_one_sided for control in seen for each in control)


def test_a_picture_keeps_what_it_needs_to_be_drawn_again(unit, tmp_path):
    unit = replace(unit, preprocessor="canny", threshold_a=40, resolution=0)
    made = pipeline("goldsd1").txt2img(PROMPT_TEXT, controls=[unit], **SHORT)
    back = Picture.open(made.save(tmp_path / "made.png", keep_inputs=True))
    (record,) = back.request.controls
    assert (record.model, record.image) == ("goldsd1-1.safetensors", "picture.png")
    assert len(record.model_hash) == len(record.image_hash) == 10
    assert (record.threshold_a, record.threshold_b) == (40, 200)
    assert 'ControlNet 0: "Module: canny, Model: goldsd1-1 [' in made.infotext
    request = replace(back.request, controls=[replace(record, model=unit.model)])
    (again,) = (each.result for each in pipeline("goldsd1").run(request, back.inputs) if isinstance(each, Made))
    assert np.array_equal(pixels(again), pixels(back))


def test_without_a_picture_of_its_own_a_control_looks_at_the_one_drawn_over(unit):
    draw = pipeline("goldsd1").img2img
    alone, told = (draw(PROMPT_TEXT, noise(), controls=[each], **SHORT) for each in (replace(unit, image=""), unit))
    assert np.array_equal(pixels(alone), pixels(told))
    assert np.abs(pixels(alone) - pixels(draw(PROMPT_TEXT, noise(), **SHORT))).max() > 5
    assert (alone.request.controls[0].image_hash, len(told.request.controls[0].image_hash)) == ("", 10)


def test_pictures_may_be_in_memory(unit):
    request = Request(PROMPT_TEXT, negative_prompt=NEGATIVE, controls=[replace(unit, image="")], **SHORT)
    made = [
        each.result for each in pipeline("goldsd1").run(request, Inputs(controls=(noise(),))) if isinstance(each, Made)
    ]
    assert np.array_equal(pixels(made[0]), drawn(unit))


@pytest.mark.parametrize(
    ("hires", "sizes"), [("Both", {(8, 8), (16, 16)}), ("Low res only", {(8, 8)}), ("High res only", {(16, 16)})]
)
def test_a_control_may_act_in_one_pass_alone(unit, monkeypatch, hires, sizes):
    seen, residuals = set(), ControlNet.residuals
    monkeypatch.setattr(
        ControlNet, "residuals", lambda self, x, *rest: seen.add(tuple(x.shape[2:])) or residuals(self, x, *rest)
    )
    drawn(replace(unit, hires=hires), width=64, height=64, hires=2, hires_steps=2)
    assert seen == sizes
    seen.clear()
    drawn(replace(unit, hires=hires), width=64, height=64)
    assert seen == {(8, 8)}


def steering(unit, file_for, request=None, inputs=None):
    """The controls of one unit at work, without any drawing."""
    made = pipeline("goldsd1")
    inputs = inputs or Inputs(controls=(noise(),))
    request = made.resolve(replace(request or Request(**SHORT), controls=[replace(unit, image="")]), inputs)
    return Steering(made.model, request, inputs, (made._controlnet(unit.model, False),))


def test_thin_lines_hold_a_large_picture_loosely(unit, file_for):
    for preprocessor, mode in (("canny", PROMPT), ("threshold", unit.mode)):
        found = steering(replace(unit, preprocessor=preprocessor), file_for, Request(**SHORT, hires=2))
        (first,), (second,) = found.controls((128, 64), None), found.controls((256, 128), None, second=True)
        assert (first.mode, second.mode) == (unit.mode, mode)
        assert first.hint.shape == (1, 3, 64, 128) and second.hint.shape == (1, 3, 128, 256)


def test_where_the_masked_part_alone_is_drawn_controls_see_that_part(unit, file_for):
    mask = Image.new("L", (128, 64))
    mask.paste(255, (32, 16, 96, 48))
    request = Request(**SHORT | {"mask_blur": 0, "only_masked": True, "padding": 0})
    small = noise((16, 8)).resize((128, 64), Image.Resampling.BICUBIC)
    wanted = torch.from_numpy(np.array(small.crop((32, 16, 96, 48)).resize((128, 64), Image.Resampling.BICUBIC)))
    own = (small.resize((256, 128), Image.Resampling.BICUBIC),)
    for inputs in (Inputs((small,), mask), Inputs((noise(),), mask, controls=own)):
        canvas = canvas_of(inputs.images[0], mask, request, (128, 64))
        (control,) = steering(unit, file_for, request, inputs).controls((128, 64), canvas)
        assert (control.hint[0] * 255 - wanted.permute(2, 0, 1)).abs().max() < 12


def test_inpaint_only_keeps_all_outside_of_its_mask(unit, folder):
    mask = Image.new("L", (128, 64))
    mask.paste(255, (64, 0, 128, 64))
    mask.save(folder / "mask.png")
    found = drawn(replace(unit, preprocessor="inpaint_only", mask=str(folder / "mask.png")))
    assert np.array_equal(found[:, :56], pixels(noise())[:, :56])
    assert np.abs(found - pixels(noise()))[:, 72:].mean() > 10
    harmonious = drawn(replace(unit, preprocessor="inpaint_global_harmonious", mask=str(folder / "mask.png")))
    assert np.array_equal(harmonious[:, 72:], found[:, 72:])
    assert not np.array_equal(harmonious[:, :56], found[:, :56])


def test_the_mask_of_what_is_drawn_over_counts_for_controls_too(unit):
    mask = Image.new("L", (128, 64))
    mask.paste(255, (64, 0, 128, 64))
    inner = replace(unit, image="", preprocessor="inpaint_only")
    made = pipeline("goldsd1").img2img(PROMPT_TEXT, noise(), mask, controls=[inner], **SHORT | {"strength": 1.0})
    assert np.array_equal(pixels(made)[:, :48], pixels(noise())[:, :48])


def test_colours_are_those_of_the_hint(unit):
    drawing, far = pipeline("goldsd1"), {}
    for preprocessor in ("none", "tile_colorfix", "tile_colorfix+sharp"):
        request = Request(PROMPT_TEXT, controls=[replace(unit, preprocessor=preprocessor)], **SHORT)
        *_, last = (each.latents for each in drawing.run(request) if isinstance(each, Preview))
        wanted = drawing.model.encode(torch.from_numpy(pixels(noise())).permute(2, 0, 1)[None] / 127.5 - 1)
        far[preprocessor] = float((blurred(last, 8) - blurred(wanted, 8)).abs().max())
    assert far["tile_colorfix"] < far["none"] / 3
    assert far["tile_colorfix"] != far["tile_colorfix+sharp"] < far["none"] / 3


def test_edges_meet_for_controls_too_and_only_during_the_run(unit):
    loaded = pipeline("goldsd1")._controlnet(unit.model, False).network
    assert not np.array_equal(drawn(unit, tiling=True), drawn(unit))
    events = pipeline("goldsd1").run(Request(controls=[unit], tiling=True, **SHORT))
    next(each for each in events if isinstance(each, Step))
    assert loaded.input_blocks[0][0].padding_mode == "circular"
    events.close()
    assert loaded.input_blocks[0][0].padding_mode == "zeros"


def test_a_refiner_is_steered_where_it_is_of_the_same_family(unit, monkeypatch):
    drawing = pipeline("goldsd1")
    second = pipeline("goldsecond").model
    settings = {"refiner": str(model_file("goldsecond")), "refiner_switch_at": 0.0}
    plain = drawn(**settings)
    assert np.abs(drawn(unit, **settings) - plain).max() > 5
    other = replace(second, family=replace(second.family))
    monkeypatch.setattr(drawing, "_second_model", lambda path: other)
    assert np.array_equal(drawn(unit, **settings), plain)


def test_a_network_is_loaded_once(unit, monkeypatch):
    drawing = Pipeline(pipeline("goldsd1").model)
    before = [drawing._controlnet(unit.model, False) for _ in range(2)]
    assert before[0] is before[1]


def test_little_memory_on_the_card_changes_nothing(unit):
    assert np.array_equal(drawn(replace(unit, low_vram=True)), drawn(unit))


def test_what_was_trained_on_shuffled_pictures_is_known_by_name_or_settings(file_for, tmp_path):
    load = Pipeline(pipeline("goldsd1").model)._controlnet
    assert load(str(file_for("goldsd1", name="Control_Shuffle")), False).averaged
    plain = file_for("goldsd1", name="plain")
    assert not load(str(plain), False).averaged
    plain.with_suffix(".yaml").write_text("params:\n  global_average_pooling: True\n")
    assert Pipeline(pipeline("goldsd1").model)._controlnet(str(plain), False).averaged


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": "none.safetensors"}, UsageError, "There is no controlnet named 'none.safetensors'"),
        ({"image": "none.png"}, MissingFileError, "none.png: there is no such image file"),
        ({"image": ""}, UsageError, r"Control 1 has no picture to look at; give it one \(image=FILE\)"),
        (
            {"preprocessor": "inpaint_only"},
            UsageError,
            r"Control 1 fills what a mask covers; give it one \(mask=FILE\)",
        ),
        ({"preprocessor": "tile_resample", "threshold_a": 0.5}, UsageError, "factor of tile_resample is 0.5"),
        ({"preprocessor": "densepose"}, UsageError, "is a network of its own"),
        ({"preprocessor": "openpose"}, UsageError, "is a network with weights of its own: get body_pose_model.pth"),
        ({"preprocessor": "hed", "annotator": "none.pth"}, MissingFileError, "none.pth: there is no such file"),
        ({"preprocessor": "depth"}, UsageError, "This is no depth map"),
    ],
)
def test_a_control_that_cannot_work_is_explained(unit, change, error, words):
    with pytest.raises(error, match=words):
        drawn(replace(unit, **change))


def test_a_control_of_another_family_is_refused(unit, file_for):
    with pytest.raises(MalformedFileError, match=r"the model is Stable Diffusion 1\.x"):
        drawn(replace(unit, model=str(file_for("goldsd2v"))))
    with pytest.raises(MalformedFileError, match="is no ControlNet"):
        drawn(replace(unit, model=str(model_file("goldsecond"))))


def test_pictures_that_do_not_belong_together_are_told(unit):
    resolve, lone = pipeline("goldsd1").resolve, replace(unit, image="")
    for request, inputs, words in (
        (Request(controls=[unit]), Inputs(), "picture.png, which is missing"),
        (
            Request(controls=[replace(lone, image_hash="0123456789")]),
            Inputs((noise(),)),
            "0123456789, which is missing",
        ),
        (Request(controls=[lone]), Inputs(controls=(noise(),) * 2), "2 pictures for 1 controls"),
        (Request(controls=[lone], batch=2, count=2), Inputs((noise(), noise())), "draw one at a time"),
    ):
        with pytest.raises(UsageError, match=words):
            resolve(request, inputs)


def test_a_growing_picture_is_steered_by_itself(unit):
    inner = replace(unit, image="", preprocessor="inpaint_only")
    settings = {"steps": 2, "width": 128, "height": 64, "seed": 3, "right": 64}
    steered, plain = (
        pipeline("goldsd1").outpaint(PROMPT_TEXT, noise(), controls=each, **settings) for each in ([inner], [])
    )
    assert steered.image.size == plain.image.size == (192, 64)
    assert np.array_equal(pixels(steered)[:, :100], pixels(noise())[:, :100])
    assert not np.array_equal(pixels(steered), pixels(plain))
