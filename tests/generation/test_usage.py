import json

import pytest

from pochade.generation.usage import Usage
from pochade.library.entries import Notes


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ({}, Usage()),
        ({"modelspec.trigger_phrase": "ohwx, ohwx man"}, Usage(("ohwx", "ohwx man"))),
        ({"modelspec.usage_hint": "Steps 4-8, CFG scale: 1 - 2.5"}, Usage(cfg=(1, 2.5))),
        (
            {"modelspec.usage_hint": "use a cfg between 5 and 7; weight of 0.6-0.8"},
            Usage(weight=(0.6, 0.8), cfg=(5, 7)),
        ),
        ({"modelspec.usage_hint": "cfg 7, 20-30 steps"}, Usage()),
        ({"modelspec.usage_hint": "cfg 7 to 2"}, Usage()),
        ({"modelspec.usage_hint": "Denoising strength: 0.3-0.5"}, Usage()),
        ({"modelspec.usage_hint": "Clip Skip: 2"}, Usage(clip_skip=2)),
        ({"modelspec.encoder_layer": "2"}, Usage(clip_skip=2)),
        ({"ss_clip_skip": "2"}, Usage(clip_skip=2)),
        ({"ss_clip_skip": "None"}, Usage()),
        ({"ss_clip_skip": "99"}, Usage()),
        ({"ss_clip_skip": "9" * 5000}, Usage()),
    ],
)
def test_what_metadata_says(metadata, usage):
    assert Usage.told(metadata, Notes()) == usage


def test_what_people_noted_goes_before_metadata():
    metadata = {"modelspec.trigger_phrase": "ohwx", "modelspec.usage_hint": "weight 0.2-0.4, cfg 1-2"}
    notes = Notes(trigger_words=("mine",), weight=0.7, description="CFG: 3-4")
    assert Usage.told(metadata, notes) == Usage(("mine",), (0.7, 0.7), (3, 4))


def test_notes_are_read_beside_the_file(tmp_path):
    path = tmp_path / "ink.safetensors"
    (tmp_path / "ink.json").write_text(json.dumps({"activation text": "ink wash, paper", "preferred weight": 0.7}))
    assert Usage.of(path, {"ss_clip_skip": "2"}) == Usage(("ink wash", "paper"), (0.7, 0.7), clip_skip=2)
    (tmp_path / "ink.json").write_text("[[[")
    assert Usage.of(path, {}) == Usage()
    assert Usage.of(tmp_path / "none" / "x.safetensors", {}) == Usage()
