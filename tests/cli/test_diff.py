import json
from pathlib import Path

from PIL import Image

from pochade.generation.picture import Picture

A1111 = "a [night] house\nSteps: 20, Sampler: Euler, Seed: 1, Size: 64x64, Odd: 3, Version: v1.10.1"


def test_what_differs_is_shown(run):
    run("txt2img", "a red house, sun", "--seed", 5, "-o", "a.png")
    run("txt2img", "a blue house, sun", "--seed", 6, "-o", "b.png")
    done = run("diff", "a.png", "b.png")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == [
        "prompt                       a [-red-]{+blue+} house, sun",
        "seed                         5  ->  6",
    ]
    assert done.stdout.splitlines()[-1].startswith("pixels                       differ by ")
    assert done.stderr.splitlines()[0] == "a.png: PNG, 64x64, drawn by Pochade"
    assert "steps" not in done.stdout
    assert "steps                        2\n" in run("diff", "a.png", "b.png", "--all").stdout


def test_json(run):
    run("txt2img", "a house", "--seed", 5, "-o", "a.png")
    Path("b.txt").write_text(A1111)
    report = json.loads(run("diff", "a.png", "b.txt", "--json").stdout)
    assert (report["left"]["program"], report["right"]["program"], report["pixels"]) == ("Pochade", "A1111", None)
    found = {each["name"]: (each["left"], each["right"]) for each in report["differences"]}
    assert found["prompt"] == ("a house", "a [night] house")
    assert found["Odd"] == (None, "3")
    assert "same" not in report
    shared = json.loads(run("diff", "a.png", "a.png", "--all", "--json").stdout)
    assert (shared["differences"], shared["same"]["prompt"]) == ([], "a house")
    assert shared["pixels"] == {"equal": True, "largest": 0, "mean": 0.0}


def test_the_same_and_other_sizes(run):
    run("txt2img", "a house", "--seed", 5, "-o", "a.png")
    assert run("diff", "a.png", "a.png").stdout == (
        "The settings are the same.\npixels                       the same\n"
    )
    Image.new("RGB", (8, 8)).save("bare.png")
    done = run("diff", "a.png", "bare.png")
    assert "pixels                       cannot be compared: the sizes differ" in done.stdout
    assert "Note: it carries no parameters." in done.stderr
    assert "seed                         5  ->  (not told)" in done.stdout


def test_a_file_that_is_none(run):
    assert run("diff", "none.png", "other.png").exit_code == 3


def test_text_does_not_steer_the_terminal(run):
    for name, word in (("a.png", "\x1b[2J"), ("b.png", "\x9b31m")):
        text = f"a {word} cat\nSteps: 1, Seed: 1, Sampler: Euler, Odd: {word}"
        Picture(Image.new("RGB", (8, 8)), infotext=text).save(name)
    done = run("diff", "a.png", "b.png")
    assert "\\x1b" in done.stdout
    assert not {"\x1b", "\x9b"} & set(done.stdout + done.stderr)
