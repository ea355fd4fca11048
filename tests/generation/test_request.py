import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.request import Request, defaults, kind_of, rules


def test_a_request_is_comfortable_and_immutable():
    request = Request("a red house", steps=30, cfg=7)
    assert (request.prompt, request.steps, request.seed) == ("a red house", 30, -1)
    assert isinstance(request.cfg, float)
    with pytest.raises(FrozenInstanceError):
        request.steps = 5


def test_defaults_are_valid_and_every_field_has_a_rule_with_help():
    assert Request().validate() == Request()
    for name, rule in rules().items():
        assert rule.help.endswith("."), name
        assert name in defaults()
        kind, optional = kind_of(name)
        assert kind in (str, int, float, bool, tuple, list)
        assert optional == (defaults()[name] is None)


def test_choices_are_read_in_any_case_and_kept_in_one():
    assert Request(emphasis="no norm", rng="NV") == Request(emphasis="No norm", rng="nv")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"width": 500}, "width is 500; it must be a multiple of 8 from 64 to 8192 (nearest: 496 or 504)."),
        ({"height": 8}, "height is 8; it must be a multiple of 8 from 64 to 8192."),
        ({"steps": 0}, "steps is 0; it must be a whole number from 1 to 1000."),
        ({"steps": 1001}, "steps is 1001; it must be a whole number from 1 to 1000."),
        ({"steps": True}, "steps is True; it must be a whole number from 1 to 1000."),
        ({"steps": "20"}, "steps is '20'; it must be a whole number from 1 to 1000."),
        ({"cfg": float("nan")}, "cfg is nan; it must be a number from -1000 to 1000."),
        ({"cfg": float("inf")}, "cfg is inf; it must be a number from -1000 to 1000."),
        ({"cfg": None}, "cfg is None; it must be a number from -1000 to 1000."),
        ({"count": 0}, "count is 0; it must be a whole number from 1 to 100000."),
        ({"seed": -2}, f"seed is -2; it must be a whole number from -1 to {2**63 - 1}."),
        ({"tiling": 1}, "tiling is 1; it must be true or false."),
        ({"prompt": 5}, "prompt is 5; it must be text."),
        ({"prompt": "\udcff"}, "prompt holds bytes that are no text; it must be Unicode: check the encoding."),
        ({"seed_resize_from": (64,)}, "seed_resize_from is (64,); it must be two sides, each a whole number from 8"),
        ({"seed_resize_from": "64x64"}, "seed_resize_from is '64x64'; it must be two sides"),
        ({"sigma_min": 2, "sigma_max": 1}, "sigma_min is 2.0; it must be below sigma_max, which is 1.0."),
        ({"rng": "npu"}, "There is no choice of rng named 'npu'; did you mean gpu"),
        ({"prompt": ["x" * 1000]}, "prompt is ['xxxx"),
    ],
)
def test_a_field_that_cannot_be_is_named(fields, sentence):
    with pytest.raises(UsageError) as caught:
        Request(**fields).validate()
    assert str(caught.value).startswith(sentence)
    assert len(str(caught.value)) < 200


def test_json_keeps_every_field():
    request = Request("日本 [a:b:3]", seed_resize_from=(64, 96), eta=0.5, cfg=7.25, seed=2**63 - 1, rng="cpu")
    record = json.loads(request.to_json())
    assert record["schema"] == 1
    assert set(record) == {"schema", *rules()}
    assert Request.from_json(request.to_json()) == request


@given(
    prompt=st.text(st.characters(codec="utf-8")),
    cfg=st.floats(-1000, 1000),
    seed=st.integers(-1, 2**63 - 1),
    size=st.none() | st.tuples(st.integers(8, 8192), st.integers(8, 8192)),
)
def test_json_round_trip(prompt, cfg, seed, size):
    request = Request(prompt, cfg=cfg, seed=seed, seed_resize_from=size)
    assert Request.from_json(request.to_json()) == request


def test_an_unknown_field_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean sampler") as caught:
        Request.from_json('{"schema": 1, "sampelr": "Euler"}')
    assert "sampler" in caught.value.nearest


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", "[" * 100_000, '{"schema": 99}', '{"schema": "1"}', '{"steps": 0}']
)
def test_what_is_no_request_is_refused_in_one_sentence(text):
    with pytest.raises(UsageError) as caught:
        Request.from_json(text)
    assert len(str(caught.value)) < 200


def test_missing_fields_take_their_defaults():
    assert Request.from_json('{"prompt": "a cat"}') == Request("a cat")


def test_seeds_become_concrete_once():
    request = Request().with_seeds()
    assert 0 <= request.seed <= 4294967293
    assert 0 <= request.variation_seed <= 4294967293
    assert request.with_seeds() == request


def test_each_picture_has_its_seed_and_a_variation_keeps_it():
    plain = Request(seed=10, variation_seed=50)
    assert [plain.seed_of(2), plain.variation_seed_of(2)] == [12, 52]
    varied = replace(plain, variation_strength=0.5)
    assert [varied.seed_of(2), varied.variation_seed_of(2)] == [10, 52]


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_the_request_of_one_batch_has_the_same_seeds(strength):
    request = Request(seed=10, variation_seed=50, variation_strength=strength, count=8, batch=3)
    for index in range(8):
        part, place = request.batch_of(index)
        assert part.seed_of(place) == request.seed_of(index)
        assert part.variation_seed_of(place) == request.variation_seed_of(index)
        assert part.count == part.batch == (2 if index >= 6 else 3)
        assert part.batch_of(place) == (part, place)


def test_folders_do_not_travel():
    request = Request(model="/home/me/models/a.safetensors", vae="C:\\models\\b.pt").portable()
    assert (request.model, request.vae) == ("a.safetensors", "b.pt")


def test_a_request_needs_no_torch():
    code = (
        "import sys, pochade.generation as g; g.Request('x').validate(); g.Picture; "
        "import pochade.generation.parameters.fields; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
