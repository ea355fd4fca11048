import json
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

from pochade.cli import app
from pochade.generation.picture import Picture


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_the_text_goes_to_stdout(run, suffix):
    run("txt2img", "a 日本 house", "--seed", 5, "-o", f"x.{suffix}")
    done = run("info", f"x.{suffix}")
    assert done.stdout == Picture.open(f"x.{suffix}").infotext + "\n"
    assert "drawn by Pochade" in done.stderr


def test_json_has_text_parameters_and_request(run):
    run("txt2img", "a house", "--seed", 5, "-o", "x.png", "--count", 2, "--batch", 2)
    report = json.loads(run("info", "x-2.png", "--json").stdout)
    assert (report["format"], report["width"], report["index"]) == ("PNG", 64, 1)
    assert report["parameters"]["Seed"] == "6"
    assert report["request"]["prompt"] == "a house"
    assert report["infotext"].startswith("a house\nSteps: 2")


def test_a_bare_picture_is_no_error(run):
    Image.new("RGB", (8, 8)).save("bare.png")
    done = run("info", "bare.png")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no parameters" in done.stderr
    report = json.loads(run("info", "bare.png", "--json").stdout)
    assert (report["request"], report["parameters"], report["infotext"]) == (None, {}, "")


def test_a_file_that_is_no_picture(run, tmp_path):
    (tmp_path / "x.png").write_text("no")
    done = run("info", "x.png")
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: x.png: this is no image")


def test_what_was_made_larger_is_told(run):
    run("txt2img", "a house", "-o", "x.png")
    run("upscale", "x.png", "-o", "large.png")
    assert "drawn by Pochade, can be redone" in run("info", "x.png").stderr
    assert "drawn by Pochade, made larger, its drawing can be redone" in run("info", "large.png").stderr


def test_text_does_not_steer_the_terminal(run):
    Picture(Image.new("RGB", (8, 8)), infotext="a \x1b[2Jcat \x9b31m\nSteps: 1").save("x.png")
    assert run("info", "x.png").stdout == "a \\x1b[2Jcat \\x9b31m\nSteps: 1\n"
    assert "\x9b" not in run("info", "x.png", "--json").stdout


GRAPH = json.dumps(
    {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 7, "steps": 4, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
                "model": ["10", 0], "positive": ["6", 0], "negative": ["6", 0], "latent_image": ["5", 0],
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1.ckpt"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 72, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
        "10": {"class_type": "FreeU", "inputs": {"b1": 1.1, "model": ["4", 0]}},
    }
)  # fmt: skip
TEXT = "a cat\nSteps: 20, Sampler: Euler, Seed: 1, Version: v1.10.1"


def chunked(path, **texts):
    chunks = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        chunks.add_text(name, text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)


def test_a_picture_by_another_program(run):
    chunked("x.png", prompt=GRAPH)
    done = run("info", "x.png")
    assert done.stdout.startswith("a cat\nNegative prompt: a cat\nSteps: 4, Sampler: Euler, Schedule type: Normal")
    assert done.stderr == (
        "x.png: PNG, 8x8, drawn by ComfyUI\nNote: the text does not tell the node FreeU of the model.\n"
    )
    report = json.loads(run("info", "x.png", "--json").stdout)
    assert (report["program"], report["left_out"]) == ("ComfyUI", ["the node FreeU of the model"])
    assert (report["parameters"]["Size-2"], report["request"]) == ("72", None)


def test_several_pictures_have_their_names_with_them(run):
    chunked("x.png", parameters=TEXT)
    Image.new("RGB", (8, 8)).save("bare.png")
    done = run("info", "x.png", "none.png", "bare.png")
    assert done.stdout == f"x.png: PNG, 8x8, drawn by A1111\n{TEXT}\n\nbare.png: PNG, 8x8, not known by whom\n"
    assert (done.exit_code, "none.png: there is no such image file" in done.stderr) == (3, True)
    reports = json.loads(run("info", "x.png", "bare.png", "--json").stdout)
    assert [each["program"] for each in reports] == ["A1111", None]


def test_a_text_by_itself(run, monkeypatch):
    Path("x.txt").write_text(TEXT)
    assert run("info", "x.txt").stdout == TEXT + "\n"
    Path("graph.json").write_text(GRAPH)
    report = json.loads(run("info", "graph.json", "--json").stdout)
    assert (report["format"], report["width"], report["program"]) == ("text", None, "ComfyUI")
    Path("prompt.txt").write_text("a cat")
    assert run("info", "prompt.txt").exit_code == 3
    done = CliRunner().invoke(app, ["info", "-"], input=TEXT)
    assert (done.stdout, done.stderr) == (TEXT + "\n", "-: text, drawn by A1111\n")


def test_hashes_and_what_civitai_calls_them(run):
    resources = '[{"type": "lora", "modelName": "ink"}]'
    chunked("x.png", parameters=f'{TEXT}, Hashes: {{"lora:ink": "1234567890"}}, Civitai resources: {resources}')
    done = run("info", "x.png")
    assert "At Civitai: lora ink\n" in done.stderr
    report = json.loads(run("info", "x.png", "--json").stdout)
    assert (report["lora_hashes"], report["resources"]) == ({"ink": "1234567890"}, ["lora ink"])


def test_a_broken_record_does_not_hide_the_text(run):
    chunked("x.png", parameters=TEXT, pochade="{")
    assert run("info", "x.png").stdout == TEXT + "\n"
    done = run("info", "x.png", "--json")
    assert (done.exit_code, done.stdout) == (3, "")
