import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.generation.parameters import infotext
from pochade.generation.parameters.versions import version_of
from pochade.prompts.styles import Style

VECTORS = Path(__file__).parents[2] / "vectors" / "webui"


def cases(topic):
    found = json.loads((VECTORS / f"{topic}.json").read_text("utf-8"))["cases"]
    return [pytest.param(case, id=case["id"]) for case in found]


@pytest.mark.parametrize("case", cases("infotext_quote"))
def test_quote(case):
    assert {"quote": infotext.quote, "unquote": infotext.unquote}[case["op"]](case["input"]) == case["expected"]


@pytest.mark.parametrize("case", cases("infotext_parse"))
def test_parse(case):
    assert infotext.parse(case["input"], [Style(*style) for style in case["styles"]]) == case["expected"]


@pytest.mark.parametrize("case", cases("infotext_create"))
def test_write(case):
    params, index = case["params"], case["index"]
    assert (
        infotext.write(case["prompts"][index], params["all_negative_prompts"][index], parameters(params, index))
        == (case["expected"])
    )


def parameters(params, index):
    """The recorded settings as parameters, the known ones in random order, for `write` to put right."""
    options = params["options"]
    varies = params["subseed_strength"] != 0
    resized = params["seed_resize_from_w"] > 0 and params["seed_resize_from_h"] > 0
    known = {
        "Steps": params["steps"],
        "Sampler": params["sampler_name"],
        "Schedule type": params["scheduler"],
        "CFG scale": params["cfg_scale"],
        "Seed": params["all_seeds"][index],
        "Face restoration": "CodeFormer" if params["restore_faces"] else None,
        "Size": f"{params['width']}x{params['height']}",
        "Model hash": params["sd_model_hash"],
        "Model": params["sd_model_name"],
        "VAE hash": params["sd_vae_hash"],
        "VAE": params["sd_vae_name"],
        "Variation seed": params["all_subseeds"][index] if varies else None,
        "Variation seed strength": params["subseed_strength"] if varies else None,
        "Seed resize from": f"{params['seed_resize_from_w']}x{params['seed_resize_from_h']}" if resized else None,
        "Conditional mask weight": 1.0 if params["is_using_inpainting_conditioning"] else None,
        "ENSD": options.get("eta_noise_seed_delta") if params["uses_ensd"] else None,
        "Token merging ratio": params.get("tmr"),
        "RNG": options.get("randn_source"),
        "Version": "v1.10.1",
    }
    shuffled = random.Random(index).sample(list(known.items()), len(known))
    return dict(shuffled) | params["extra_generation_params"]


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Z", "Cs"]), min_size=1)


@given(prompt=words, negative=words, value=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])))
def test_what_is_written_is_read_back(prompt, negative, value):
    text = infotext.write(prompt, negative, {"Steps": 20, "Seed": 1, "Size": "64x72", "Note": f"{value},"})
    mentioned = {"Steps": "20", "Seed": "1", "Size-1": "64", "Size-2": "72", "Note": f"{value},"}
    if not prompt.startswith("Negative prompt:"):
        assert infotext.read(text) == (prompt, negative, mentioned)


@given(st.text(st.sampled_from('ab ":,\\\n1x-0<[({|Negative prompt:First pass size')))
def test_any_text_can_be_parsed(text):
    found = infotext.parse(text)
    assert found["Clip skip"]


def test_absurd_sizes_are_left_alone():
    found = infotext.parse(f"a\nSteps: 1, Seed: 1, First pass size: {'9' * 5000}x1, Size: 0x0")
    assert found["Hires resize-1"] == 0


def test_styles_come_off_in_the_reverse_order_of_application():
    styles = [Style("photo", "photo of {prompt}", "drawing"), Style("fine", "masterpiece"), Style("empty")]
    assert infotext.strip_styles("photo of a cat, masterpiece", "drawing", styles) == (["fine", "photo"], "a cat", "")


@pytest.mark.parametrize(
    ("older", "newer"),
    [("v1.5.1", "1.6.0"), ("1.6.0-RC", "v1.6.0"), ("v1.7.0", "v1.7.0-225"), ("v1.7.0-224-gab12", "v1.7.0-225-gcd34"),
     ("1.9.4", "1.10.0")],
)  # fmt: skip
def test_versions_are_ordered(older, newer):
    assert version_of(older) < version_of(newer)


@pytest.mark.parametrize("text", [None, "", "pochade 0.1.0", "f2.0.1v1.10.1-previous-1", "main", "1..2"])
def test_other_programs_have_no_version_of_a1111(text):
    assert version_of(text) is None


@pytest.mark.parametrize(
    "text", ["a" * 300_000, "ab " * 100_000, "k: v, " * 30_000, 'ab: "' + '\\"' * 100_000, "\n" * 300_000]
)
def test_long_lines_take_linear_time(text):
    started = time.perf_counter()
    infotext.read(text)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("- ab: 1, / cd: 2, e f-g/h: 3", {"ab": "1", "cd": "2", "e f-g/h": "3"}),
        ("a: 1, bc: 2, de: 3, fg: 4", {"bc": "2", "de": "3", "fg": "4"}),
        ("(x) ab: 1, cd: 2, ef: 3", {"ab": "1", "cd": "2", "ef": "3"}),
    ],
)
def test_keys_begin_with_a_letter_and_have_two(line, pairs):
    assert infotext.read(f"p\n{line}") == ("p", "", pairs)
