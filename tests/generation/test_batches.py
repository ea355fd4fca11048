"""Many requests from one; and the pictures that A1111 1.10.1 drew by its scripts."""

import json
from pathlib import Path

import numpy as np
import pytest

from pochade import Request
from pochade.errors import UsageError
from pochade.events import Made
from pochade.generation.batches import Lines, matrix_batch
from pochade.prompts.styles import Style
from tests.golden.replay import pipeline, request_of

FOLDER = Path(__file__).parents[1] / "golden"
CASES = json.loads((FOLDER / "scripts.json").read_text(encoding="utf-8"))
BASE = Request("a cat", negative_prompt="mush", seed=7)


def batch_of(body):
    script, arguments = body.pop("script_name"), body.pop("script_args")
    if script == "prompt matrix":
        return matrix_batch(request_of(body), joint=arguments[3], options_first=arguments[0])
    return Lines(behind=arguments[2] == "end").batch(arguments[3], request_of(body))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_pictures_are_the_recorded_ones(case):
    batch = batch_of(dict(case["request"]))
    events = (event for request in batch.requests for event in pipeline("goldsd1").run(request))
    drawn = [np.asarray(event.result.image).astype(int) for event in events if isinstance(event, Made)]
    with np.load(FOLDER / "scripts.npz") as recorded:
        wanted = [recorded[name].astype(int) for name in recorded if name.startswith(case["id"])]
    assert max(np.abs(one - other).max() for one, other in zip(drawn, wanted, strict=True)) <= 2


def requests(text, base=BASE, **how):
    return Lines(**how).batch(text, base).requests


def test_a_line_changes_what_it_names():
    (request,) = requests(
        "--sd_model dream --sampler_name 'Euler a' --scheduler Karras --steps 5 --cfg_scale 4 --width 96 --height 64 "
        "--subseed 3 --subseed_strength 0.5 --seed_resize_from_w 72 --seed_resize_from_h 80 --tiling true --clip-skip 2"
    )
    assert request == Request(
        "a cat", negative_prompt="mush", seed=7, model="dream", sampler="Euler a", schedule="Karras", steps=5, cfg=4.0,
        width=96, height=64, variation_seed=3, variation_strength=0.5, seed_resize_from=(72, 80), tiling=True,
        clip_skip=2,
    )  # fmt: skip


def test_prompts_go_before_the_request_s_own_or_behind_it():
    text = "a dog\n--prompt a bird --negative_prompt fog"
    assert [(each.prompt, each.negative_prompt) for each in requests(text)] == [
        ("a dog a cat", "mush"),
        ("a bird a cat", "fog mush"),
    ]
    assert [each.prompt for each in requests(text, behind=True)] == ["a cat a dog", "a cat a bird"]
    assert [each.prompt for each in requests(text, Request())] == ["a dog", "a bird"]


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("a", (5, 2)),
        ("--batch_size 4", (12, 4)),
        ("--n_iter 2", (4, 2)),
        ("--batch_size 3 --n_iter 2", (6, 3)),
        ("--count 3 --batch 3", (3, 3)),
    ],
)
def test_counts_are_batches_of_a_size(line, counts):
    (request,) = requests(line, Request(count=5, batch=2))
    assert (request.count, request.batch) == counts


def test_seeds_stay_or_count_on():
    text = "a\n--n_iter 3\n--seed 50\nb"
    assert [each.seed for each in requests(text)] == [7, 7, 50, 7]
    assert [each.seed for each in requests(text, seeds="next")] == [7, 8, 50, 12]
    free = Request()
    assert [each.seed for each in requests("a\nb", free)] == [-1, -1]
    same, also = requests("a\nb", free, seeds="same")
    assert same.seed == also.seed >= 0


def test_styles_are_put_around_the_joined_prompt():
    styles = {"ink": Style("ink", "ink drawing of {prompt}", "colour"), "old": Style("old", "1890")}
    (request,) = requests("--prompt a dog --styles 'ink, old'", styles=styles)
    assert (request.prompt, request.negative_prompt) == ("ink drawing of a dog a cat, 1890", "mush, colour")


def test_what_is_not_followed_is_told():
    batch = Lines().batch("--sampler_index 3 --restore_faces true --prompt a\n--prompt_for_display 'b c'", BASE)
    assert batch.ignored == ("prompt_for_display", "sampler_index", "restore_faces")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--stpes 5", "There is no option named '--stpes'; did you mean --steps"),
        ("--steps many", "steps is 'many'; it must be a whole number from 1 to 1000."),
        ("--tiling perhaps", "tiling is 'perhaps'; it must be true or false."),
        ("--width 100", "width is 100; it must be a multiple of 8"),
        ("--n_iter x", "n_iter is 'x'; it must be a whole number."),
        ("--n_iter 0", "count is 0"),
        ("--sampler_name Eular", "There is no sampler named 'Eular'; did you mean Euler"),
        ("--styles ink", "no file of styles is given"),
        ("--image house.png", "There is no option named '--image'"),
        ("--model_hash 12", "There is no option named '--model_hash'"),
    ],
)
def test_mistakes_are_said_with_their_line(line, sentence):
    with pytest.raises(UsageError, match=r"^Line 3: ") as caught:
        requests(f"a dog\n\n{line}")
    assert sentence in str(caught.value)


def test_an_unknown_style_is_said():
    with pytest.raises(UsageError, match="Line 1: There is no style named 'inc'; did you mean ink"):
        requests("--styles inc", styles={"ink": Style("ink")})


def test_a_file_without_prompts_is_refused():
    with pytest.raises(UsageError, match="holds no prompt"):
        requests("# nothing yet\n\n")


def test_a_matrix_keeps_its_seed_or_counts_on():
    base = Request("a house|night|snow", seed=5, count=2)
    batch = matrix_batch(base)
    assert [(each.prompt, each.seed) for each in batch.requests] == [
        ("a house", 5),
        ("a house, night", 5),
        ("a house, snow", 5),
        ("a house, night, snow", 5),
    ]
    assert [each.seed for each in matrix_batch(base, seeds="next").requests] == [5, 7, 9, 11]
    assert len({each.seed for each in matrix_batch(Request("a|b")).requests}) == 1


def test_a_matrix_lies_in_a_grid():
    layout = matrix_batch(Request("a|b|c|d")).layout
    assert (layout.rows, len(layout.across), len(layout.down)) == (2, 4, 2)
    assert [[label.on for label in labels] for labels in layout.across] == [
        [False, False],
        [True, False],
        [False, True],
        [True, True],
    ]


def test_the_negative_prompt_can_be_the_matrix():
    batch = matrix_batch(Request("a cat", negative_prompt="mush|fog"), joint="space")
    assert [(each.prompt, each.negative_prompt) for each in batch.requests] == [
        ("a cat", "mush"),
        ("a cat", "mush fog"),
    ]
