import json
import time

import pytest

from pochade.generation.parameters.resources import Resources, taken_out

HASHES = {"model": "AEB7E9E689", "vae": "735e4c3a44", "lora:ink": "1234567890", "embed:night": "abcdef0123"}
CIVITAI = [
    {"type": "checkpoint", "modelVersionId": 128713, "modelName": "Dream: Shaper, 8", "modelVersionName": "8"},
    {"type": "lora", "weight": 0.8, "modelName": "ink"},
    5,
]
HEAD = "a cat\nNegative prompt: dog\nSteps: 20, Seed: 1"


def test_json_is_taken_out_of_the_line():
    line = f"{HEAD}, Hashes: {json.dumps(HASHES)}, Civitai resources: {json.dumps(CIVITAI)}, Civitai metadata: {{}}"
    text, found = taken_out(f"{line}, Version: v1.10.1")
    assert text == f"{HEAD}, Version: v1.10.1"
    assert found == Resources(
        {"Model hash": "aeb7e9e689", "VAE hash": "735e4c3a44"}, {"ink": "1234567890"}, {"night": "abcdef0123"},
        ("checkpoint Dream: Shaper, 8 8 (version 128713 at Civitai)", "lora ink weight 0.8"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "line", ["Steps: 20", "", "Hashes: {", 'Hashes: "{}"', "a Hashes: {}, b", f"Hashes: {'[' * 100_000}"]
)
def test_what_is_no_json_stays(line):
    assert taken_out(f"a cat\n{line}") == (f"a cat\n{line}", Resources())


def test_json_at_the_beginning_and_of_other_shapes():
    assert taken_out('Hashes: ["x"], Steps: 20')[0] == "Steps: 20"
    assert taken_out('Steps: 20, Hashes: {"model": 5}')[1] == Resources()


def test_lines_may_follow():
    assert taken_out("a\nSteps: 20, Hashes: {}\nTemplate: {a|b}") == ("a\nSteps: 20\nTemplate: {a|b}", Resources())


def test_it_takes_linear_time():
    started = time.perf_counter()
    taken_out(", Hashes: [" * 100_000)
    taken_out(', Hashes: ["' * 100_000)
    assert time.perf_counter() - started < 3
