"""A control as a record, alone and in a Request, and as the web UI writes it."""

import pytest

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.controlnet.control_unit import (
    RESIZE_MODES,
    THRESHOLDS,
    ControlUnit,
    control_parameters,
    recalled_controls,
)
from pochade.generation.parameters.fields import describe, recall
from pochade.generation.record import rules_of
from pochade.generation.request import Request
from pochade.preprocessors import PREPROCESSORS, resizing, thresholds_of

UNIT = ControlUnit(
    "/models/canny.safetensors", image="in/house.png", preprocessor="canny", threshold_b=150, hires="both"
)


def test_choices_are_the_ones_that_preprocessors_know():
    assert RESIZE_MODES == resizing.RESIZE_MODES
    assert max(len(thresholds_of(name)) for name in PREPROCESSORS) <= len(THRESHOLDS)


def test_every_setting_has_a_rule_with_help():
    for name, rule in rules_of(ControlUnit).items():
        assert rule.help.endswith("."), name


def test_a_request_carries_controls_through_json():
    request = Request("a", controls=[UNIT, ControlUnit("b", mode="my prompt is more important")]).validate()
    assert isinstance(request.controls, tuple)
    assert Request.from_json(request.to_json()) == request
    assert hash(Request.from_json(request.to_json())) == hash(request)
    assert request.to_dict()["controls"][0]["hires"] == "Both"
    assert Request("a", controls=request.to_dict()["controls"]) == request


def test_folders_do_not_travel():
    (unit,) = (
        Request(controls=[ControlUnit("/m/c.pth", image="C:\\in\\a.png", mask="in/m.png", annotator="/m/hed.pth")])
        .portable()
        .controls
    )
    assert (unit.model, unit.image, unit.mask, unit.annotator) == ("c.pth", "a.png", "m.png", "hed.pth")


@pytest.mark.parametrize(
    ("control", "sentence"),
    [
        ({"weight": 3}, "weight of control 2 is 3.0; it must be a number from 0 to 2."),
        ({"start": float("nan")}, "start of control 2 is nan"),
        ({"end": "late"}, "end of control 2 is 'late'; it must be a number from 0 to 1."),
        ({"low_vram": 1}, "low_vram of control 2 is 1; it must be true or false."),
        ({"mode": "balance"}, "There is no choice of mode of control 2 named 'balance'; did you mean Balanced"),
        ({"model": ""}, "model of control 2 is missing; name the ControlNet's file."),
        ({"start": 0.5, "end": 0.25}, "start of control 2 is 0.5; it must not be above end, which is 0.25."),
        ({"threshold_a": 3}, "threshold_a of control 2 has no use; the preprocessor 'none' has no such setting."),
        ({"mask": "m.png"}, "mask of control 2 has no use; only the preprocessor inpaint_only looks at one."),
        ({"preprocessor": "cany"}, "There is no preprocessor named 'cany'; did you mean canny?"),
        ({"preprocessor": "densepose"}, "The preprocessor 'densepose' is a network of its own"),
        ({"annotator": "a.pth"}, "annotator of control 2 has no use; the preprocessor 'none' needs no network."),
        ({"image": "\udcff"}, "image of control 2 holds bytes that are no text"),
    ],
)
def test_a_setting_that_cannot_be_is_named(control, sentence):
    with pytest.raises(UsageError) as caught:
        Request(controls=[UNIT, {"model": "c"} | control]).validate()
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("controls", "sentence"),
    [
        (5, "controls is 5; it must be a list of controls."),
        ([5], "controls is (5,); it must be a list of controls."),
        (None, "controls is None; it must be a list of controls."),
        ([UNIT] * 17, "There are 17 controls; at most 16 are possible."),
    ],
)
def test_what_is_no_list_of_controls_is_refused(controls, sentence):
    with pytest.raises(UsageError) as caught:
        Request.from_dict({"controls": controls})
    assert str(caught.value) == sentence


def test_an_unknown_setting_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="There is no control field named 'wieght'; did you mean weight"):
        Request.from_dict({"controls": [{"model": "c", "wieght": 1}]})


def test_controls_read_as_in_the_web_ui():
    unit = ControlUnit("/m/canny.safetensors", "0123456789", preprocessor="canny", threshold_a=100, threshold_b=200)
    expected = (
        "Module: canny, Model: canny [0123456789], Weight: 1.0, Resize Mode: Crop and Resize, Low Vram: False, "
        "Processor Res: 512, Threshold A: 100.0, Threshold B: 200.0, Guidance Start: 0.0, Guidance End: 1.0, "
        "Pixel Perfect: False, Control Mode: Balanced, Hr Option: Both"
    )
    assert control_parameters([unit]) == {"ControlNet 0": expected}
    text = describe(Request("a", steps=20, sampler="Euler", schedule="Karras", controls=[unit]))
    assert f'ControlNet 0: "{expected}", Version' in text


@pytest.mark.parametrize(
    "unit",
    [
        ControlUnit("canny", "0123456789", preprocessor="canny", threshold_a=40, threshold_b=80, weight=0.7),
        ControlUnit("a, Model: b", resolution=0, start=0.25, end=0.75, low_vram=True, resize_mode="Just Resize"),
        ControlUnit("c", resolution=768, mode="ControlNet is more important", hires="High res only"),
    ],
)
def test_a_control_survives_the_text(unit):
    recalled = recall(describe(Request("a", steps=20, sampler="Euler", schedule="Karras", controls=[unit, unit])))
    assert recalled.ignored == ()
    if ", " not in unit.model:  # what looks like a setting is one
        assert recalled.request.controls == (unit, unit)


def test_controls_of_a1111_are_recalled():
    text = (
        "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, "
        'ControlNet 10: "Module: none, Model: qr [5e5778cb], Weight: 1.1, Guidance Start: 0.15, Pixel Perfect: True", '
        'ControlNet 0: "Module: lineart_standard (from white bg & black line), Model: lineart [43d4be0d], Weight: 1, '
        "Resize Mode: Resize and Fill, Low Vram: False, Processor Res: 512, Threshold A: 0.5, Threshold B: 0.5, "
        'Guidance Start: 0, Guidance End: 1, Control Mode: Balanced, Hr Option: Both, Save Detected Map: True", '
        'ControlNet 1: "Module: densepose, Model: pose [ab12cd34], Weight: 1", Version: v1.8.0'
    )
    recalled = recall(text)
    assert recalled.request.controls == (
        ControlUnit("lineart", preprocessor="lineart_standard", resize_mode="Resize and Fill"),
        ControlUnit("qr", weight=1.1, start=0.15, resolution=0),
    )
    assert recalled.ignored == ("ControlNet 1",)


@pytest.mark.parametrize(
    "text",
    [
        *("", "nonsense", "Module: none", "Model: None", "Module: canny, Model: c, Weight: heavy"),
        *("Model: c, Weight: 9", "Model: c, Guidance Start: 0.9, Guidance End: 0.1", "Model: c, Processor Res: 1e9"),
    ],
)
def test_what_is_no_control_is_left_out(text):
    found = recalled_controls({"ControlNet 0": text, "ControlNet x": "Model: c", "ControlNet 1234": "Model: c"})
    assert found == {}
