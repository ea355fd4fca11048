import json
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from pochade.generation.parameters.fields import describe, parameters_of, recall
from pochade.generation.parameters.infotext import parse
from pochade.generation.parameters.picture_fields import RunFacts
from pochade.generation.request import Request

VECTORS = Path(__file__).parents[2] / "vectors" / "webui"
TASKS = json.loads((VECTORS / "infotext_tasks.json").read_text("utf-8"))["cases"]

RESOLVED = Request(
    "a red house",
    "mush",
    model="v1-5-pruned-emaonly.safetensors",
    model_hash="6ce0161689",
    steps=20,
    sampler="DPM++ 2M",
    schedule="Karras",
    seed=7,
    width=512,
    height=768,
    clip_skip=1,
    eta=1.0,
)
HEAD = "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 7, Size: 512x768, "
MODEL = "Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, "


def test_a_plain_request_reads_as_in_a1111():
    line = f"{HEAD}{MODEL}RNG: NV, Version: pochade 0.1.0"
    assert describe(RESOLVED) == f"a red house\nNegative prompt: mush\n{line}"


@pytest.mark.parametrize("case", TASKS, ids=lambda case: case["id"])
def test_every_task_reads_as_in_a1111(case):
    request, facts = Request(**case["request"]), RunFacts(**case["facts"])
    written = [describe(request, index, facts) for index in range(len(case["expected"]))]
    assert [text.removesuffix(", Version: pochade 0.1.0") for text in written] == case["expected"]


# What A1111 does not write: fields that hold files, settings without a name of their own, and what a mask without
# any other trace, or a blank one, was used for.
UNTOLD = {"image", "mask", "count", "batch", "resize_mode", "exact_steps", "clip_l_skip"}
NO_TRACE = {"inpaint-blank_only_masked": {"only_masked", "padding"}, "inpaint-blur0": {"mask_blur"}}


@pytest.mark.parametrize("case", TASKS, ids=lambda case: case["id"])
def test_every_task_of_a1111_is_recalled(case):
    recalled = recall(case["expected"][0])
    told = {field: value for field, value in case["request"].items() if field not in UNTOLD}
    told = {field: value for field, value in told.items() if field not in NO_TRACE.get(case["id"], ())}
    told["model"] = PurePath(told["model"]).stem
    told["schedule"] = None if told["schedule"] == "Automatic" else told["schedule"]
    told["refiner"] = PurePath(told.get("refiner", "")).stem
    assert recalled.request == Request(**{"clip_skip": 1} | told)
    assert recalled.ignored == ()


def test_the_pictures_behind_a_text_are_named():
    began_with = {case["id"]: recall(case["expected"][0]).began_with for case in TASKS}
    assert began_with["img2img-denoise_50"] == ("image",)
    assert began_with["inpaint-ddim"] == ("image", "mask")
    assert began_with["hires-latent"] == began_with["inpaint-model-txt2img"] == began_with["sdxl-euler"] == ()


def test_no_old_behaviour_follows_from_our_version():
    assert "Downcast alphas_cumprod" not in parse(describe(RESOLVED))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"clip_skip": 2, "tiling": True}, {"Clip skip": 2, "Tiling": True}),
        ({"rng": "gpu"}, {"RNG": None}),
        ({"rng": "cpu"}, {"RNG": "CPU"}),
        ({"emphasis": "No norm"}, {"Emphasis": None}),
        ({"emphasis": "No norm", "prompt": "a (cat)"}, {"Emphasis": "No norm"}),
        ({"sampler": "Euler a", "eta": 0.5, "ensd": 31337}, {"Eta": 0.5, "ENSD": 31337}),
        ({"sampler": "Euler a", "eta": 0.0, "ensd": 31337}, {"Eta": 0.0, "ENSD": None}),
        ({"sampler": "Euler", "ensd": 31337}, {"Eta": None, "ENSD": None}),
        ({"sampler": "DPM++ SDE", "ensd": 31337}, {"Eta": None, "ENSD": None}),
        ({"sampler": "DDIM", "eta": 0.5}, {"Eta DDIM": 0.5, "Eta": None}),
        ({"sampler": "DDIM", "eta": 0.0}, {"Eta DDIM": None, "Eta": None}),
        ({"schedule": "Beta"}, {"Beta schedule alpha": 0.6, "Beta schedule beta": 0.6}),
        ({"beta_alpha": 0.9}, {"Beta schedule alpha": None}),
        ({"variation_strength": 0.25, "variation_seed": 3}, {"Variation seed": 3, "Variation seed strength": 0.25}),
        ({"variation_seed": 3}, {"Variation seed": None}),
        ({"seed_resize_from": (64, 96)}, {"Seed resize from": "64x96"}),
        ({"zero_terminal_snr": True}, {"Noise Schedule": "Zero Terminal SNR"}),
        ({"model": "", "model_hash": ""}, {"Model": "picturebook", "Model hash": None}),
        ({"vae": "/x/b.vae.pt", "vae_hash": "735e4c3a44"}, {"VAE": "b.vae.pt", "VAE hash": "735e4c3a44"}),
    ],
)
def test_parameters_are_written_where_they_matter(changes, expected):
    found = parameters_of(replace(RESOLVED, **changes))
    assert {name: found.get(name) for name in expected} == expected


def test_pictures_of_a_batch_have_their_own_seeds():
    request = replace(RESOLVED, count=3, variation_seed=100)
    assert parameters_of(request, 2)["Seed"] == 9
    varied = parameters_of(replace(request, variation_strength=0.1), 2)
    assert (varied["Seed"], varied["Variation seed"]) == (7, 102)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rng": "cpu", "cfg": 5.5, "clip_skip": 2, "tiling": True, "discard_next_to_last": True},
        {"sampler": "Euler a", "eta": 0.5, "ensd": 31337, "s_noise": 1.01, "s_churn": 4.0, "s_tmax": 9.0},
        {"sampler": "DDIM", "eta": 0.25, "pad_cond_uncond_v0": True, "old_prompt_editing": True},
        {"ngms": 2.0, "ngms_all": True, "skip_early_cond": 0.1, "sigma_min": 0.1, "sigma_max": 8.0, "rho": 5.0},
        {"schedule": "Beta", "beta_alpha": 0.9, "prompt": "(a)", "emphasis": "Ignore", "zero_terminal_snr": True},
        {"variation_strength": 0.5, "variation_seed": 9, "seed_resize_from": (64, 96), "downcast_alphas": True},
        {"sampler": "UniPC", "uni_pc_order": 2, "uni_pc_variant": "bh2", "uni_pc_lower_order_final": False},
    ],
)
def test_a_request_survives_the_text(changes):
    request = replace(RESOLVED, **{"eta": None} | changes)
    recalled = recall(describe(request))
    assert recalled.ignored == ()
    assert replace(recalled.request, model=request.model) == request


def test_a_picture_of_a1111_is_recalled():
    text = (
        "a cat\nNegative prompt: dog\nSteps: 25, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1, Size: 513x770, "
        'Model hash: 6ce0161689, Model: v1, Denoising strength: 0.5, Lora hashes: "a: 12, b: 34", Version: v1.6.0'
    )
    recalled = recall(text)
    assert recalled.ignored == ()
    assert recalled.began_with == ("image",)
    assert recalled.request == Request(
        "a cat", "dog", steps=25, sampler="DPM++ 2M Karras", cfg=7.5, seed=1, width=512, height=768,
        model="v1", model_hash="6ce0161689", clip_skip=1, downcast_alphas=True, strength=0.5,
        lora_hashes="a: 12, b: 34",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sampler", "rest", "schedule"),
    [
        ("DPM++ 2M", "Version: v1.8.0", "Uniform"),
        ("DPM++ 2M Karras", "Version: v1.8.0", None),
        ("Restart", "Version: v1.8.0", None),
        ("DPM++ 2M", "Version: v1.10.1", None),
        ("DPM++ 2M", "Schedule type: Automatic, Version: v1.8.0", None),
        ("DPM++ 2M", "Note: none", None),
    ],
)
def test_before_1_9_a_bare_sampler_had_the_uniform_schedule(sampler, rest, schedule):
    assert recall(f"a\nSteps: 20, Sampler: {sampler}, Seed: 1, {rest}").request.schedule == schedule


def test_nonsense_numbers_are_passed_over():
    recalled = recall(f"a\nSteps: many, Seed: {'9' * 5000}, CFG scale: nan, Clip skip: 0, Size: 9x9, Sampler: Euler")
    assert recalled.request.validate() == Request("a", sampler="Euler")
    assert recalled.ignored == ("Steps", "Seed", "CFG scale", "Clip skip")


def test_embeddings_are_told_behind_the_second_pass():
    facts = RunFacts(embedding_hashes="zorp: 0123456789ab")
    text = describe(replace(RESOLVED, hires=2.0, old_prompt_editing=True), facts=facts)
    wanted = 'Hires upscaler: Latent, TI hashes: "zorp: 0123456789ab", Old prompt editing timelines: True'
    assert wanted in text
    assert recall(text).ignored == ()
    assert "TI hashes" not in describe(RESOLVED)


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("Hypernet: anime, Hypernet strength: 0.7, Hypernet hash: 0123abcd", "<hypernet:anime:0.7>"),
        ("Hypernet: anime", "<hypernet:anime:1.0>"),
    ],
)
def test_an_old_hypernetwork_becomes_a_tag(written, tag):
    recalled = recall(f"a cat\nSteps: 20, Sampler: Euler, Seed: 1, {written}")
    assert recalled.request.prompt == f"a cat{tag}"
    assert recalled.ignored == ()
