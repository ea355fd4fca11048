"""What lies beside a model: read in every program's way, believed in order, and harmless when damaged."""

import json
import os

import pytest

from pochade.library.entries import Notes
from pochade.library.sidecars import BROKEN, beside, notes_in

CIVITAI = {
    "name": "v2",
    "model": {"name": "Red Fox", "description": "<p>A &amp; B</p><br/>more", "tags": ["animal", 5]},
    "baseModel": "Pony",
    "trainedWords": ["red fox, vulpes", "red fox", None],
}
MATRIX = {
    "ModelName": "Fox",
    "ModelDescription": "<b>d</b>",
    "BaseModel": "SDXL 1.0",
    "Tags": ["t"],
    "TrainedWords": ["w"],
}
MANAGER = {
    "model_name": "Fox M",
    "base_model": "Illustrious",
    "tags": ["m"],
    "modelDescription": "text",
    "usage_tips": '{"strength": 0.7}',
    "civitai": {"trainedWords": ["manager word"]},
}
A1111 = {
    "description": "mine",
    "sd version": "SDXL",
    "activation text": "my fox, , tail",
    "negative text": "cat",
    "preferred weight": 0.8,
}


def read(folder, stem="fox"):
    names = {each.name.casefold(): each.name for each in folder.iterdir()}
    return notes_in(str(folder), stem, beside(stem, names))


def put(folder, ending, table):
    (folder / f"fox{ending}").write_text(table if isinstance(table, str) else json.dumps(table), encoding="utf-8")


def test_a1111(tmp_path):
    put(tmp_path, ".json", A1111)
    assert read(tmp_path) == Notes(
        description="mine", base="SDXL", trigger_words=("my fox", "tail"), negative="cat", weight=0.8
    )


def test_civitai_helper(tmp_path):
    put(tmp_path, ".civitai.info", CIVITAI)
    assert read(tmp_path) == Notes(
        title="Red Fox",
        description="A & B more",
        base="Pony",
        tags=("animal",),
        trigger_words=("red fox", "vulpes"),
    )


def test_stability_matrix(tmp_path):
    put(tmp_path, ".cm-info.json", MATRIX)
    assert read(tmp_path) == Notes(title="Fox", description="d", base="SDXL 1.0", tags=("t",), trigger_words=("w",))
    put(tmp_path, ".cm-info.json", MATRIX | {"UserTitle": "My Fox", "ModelDescription": None})
    assert (read(tmp_path).title, read(tmp_path).description) == ("My Fox", "")


def test_lora_manager(tmp_path):
    put(tmp_path, ".metadata.json", MANAGER)
    assert read(tmp_path) == Notes(
        title="Fox M", description="text", base="Illustrious", tags=("m",), trigger_words=("manager word",), weight=0.7
    )


def test_the_users_own_notes_go_before_those_of_programs(tmp_path):
    put(tmp_path, ".metadata.json", MANAGER)
    put(tmp_path, ".civitai.info", CIVITAI)
    put(tmp_path, ".json", A1111)
    put(tmp_path, ".txt", "plain")
    found = read(tmp_path)
    assert (found.description, found.trigger_words, found.weight) == ("mine", ("my fox", "tail"), 0.8)
    assert (found.title, found.tags) == ("Red Fox", ("animal",))
    assert found.base == "Pony"  # which says more than SDXL


@pytest.mark.parametrize("ending", [".txt", ".description.txt"])
def test_plain_texts(tmp_path, ending):
    (tmp_path / f"fox{ending}").write_bytes(b"\xef\xbb\xbfa fox\nwith a tail \n")
    assert read(tmp_path).description == "a fox with a tail"


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["fox.png", "fox.preview.png"], "fox.preview.png"),
        (["fox.jpeg", "foxy.png"], "fox.jpeg"),
        (["fox.webp"], "fox.webp"),
        (["FOX.PNG"], "FOX.PNG"),
        (["foxy.png", "a.fox.png"], None),
    ],
)
def test_previews(tmp_path, names, shown):
    for name in names:
        (tmp_path / name).touch()
    assert read(tmp_path).preview == (str(tmp_path / shown) if shown else "")


@pytest.mark.parametrize("ending", [".json", ".civitai.info", ".cm-info.json", ".metadata.json"])
@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff{}"])
def test_what_is_damaged_is_a_problem_and_hides_nothing(tmp_path, ending, content):
    (tmp_path / f"fox{ending}").write_bytes(content)
    put(tmp_path, ".txt", "a fox")
    assert read(tmp_path) == Notes(description="a fox", problems=(BROKEN,))


@pytest.mark.parametrize("ending", [".json", ".civitai.info", ".cm-info.json", ".metadata.json"])
@pytest.mark.parametrize("table", ["", "[1]", "null", {}, {"model": 3, "trainedWords": {"a": 1}, "tags": "x"}])
def test_what_has_another_form_says_nothing(tmp_path, ending, table):
    put(tmp_path, ending, table)
    assert read(tmp_path) == Notes()


@pytest.mark.parametrize("value", [0, True, "1", None, float("inf"), [1]])
def test_what_is_no_weight_is_none(tmp_path, value):
    put(tmp_path, ".json", {"preferred weight": value, "sd version": "Unknown"})
    assert read(tmp_path) == Notes()


def test_a_weight_beyond_all_numbers_is_damage(tmp_path):
    put(tmp_path, ".json", '{"preferred weight": 1' + "0" * 400 + "}")
    assert read(tmp_path) == Notes(problems=(BROKEN,))


def test_a_broken_hint_hides_nothing(tmp_path):
    put(tmp_path, ".metadata.json", MANAGER | {"usage_tips": "{"})
    assert (read(tmp_path).weight, read(tmp_path).title) == (None, "Fox M")


def test_what_cannot_be_read_is_a_problem(tmp_path):
    (tmp_path / "fox.json").mkdir()
    assert read(tmp_path) == Notes(problems=(BROKEN,))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fox.json")
    assert read(tmp_path) == Notes(problems=(BROKEN,))


def test_a_problem_is_told_once(tmp_path):
    put(tmp_path, ".json", "[")
    put(tmp_path, ".civitai.info", "[")
    assert read(tmp_path) == Notes(problems=(BROKEN,))


def test_what_is_spelled_alike_goes_before_another_case():
    present = {"fox.json": "fox.json", "Fox.json": "Fox.json", "fox.png": "FOX.png"}
    assert beside("Fox", present) == ["FOX.png", "Fox.json"]
    assert beside("fox", present) == ["FOX.png", "fox.json"]
