"""Families are told by names and ranks, whatever the widths."""

import dataclasses

import pytest

from pochade.families import SD1, SD2, SDXL, SDXL_REFINER, recognise

from .manifests import manifest, narrow, part, shapes, without

FULL = shapes("sd15.ldm")
EMA_ONLY = without(FULL, "model.diffusion_model.")
NOVELAI = {name.replace(".text_model.", "."): shape for name, shape in FULL.items()}
FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize(
    "tensors",
    [
        FULL,
        narrow(FULL),
        without(FULL, "model_ema."),
        EMA_ONLY,
        NOVELAI,
        without(NOVELAI, "first_stage_model."),
        without(FULL, "cond_stage_model.", "first_stage_model."),
        without(FULL, "model"),
    ],
    ids=["full", "narrow", "pruned", "ema-only", "novelai", "no-vae", "unet-only", "text-only"],
)
def test_sd1_is_recognised_in_every_shape(tensors):
    assert recognise(tensors) is SD1


REAL = [
    ("sd15", SD1, "base", "epsilon"),
    ("nai", SD1, "base", "epsilon"),
    ("sd15-inpainting", SD1, "inpainting", "epsilon"),
    ("ip2p", SD1, "instruct-pix2pix", "epsilon"),
    ("sd2-base", SD2, "base", None),
    ("sd2-v", SD2, "base", None),
    ("sd2-inpainting", SD2, "inpainting", "epsilon"),
    ("sd2-depth", SD2, "depth", "epsilon"),
    ("x4-upscaler", SD2, "x4-upscaler", "v"),
    ("unclip-h", SD2, "unclip-h", "v"),
    ("unclip-l", SD2, "unclip-l", "v"),
    ("sdxl-base", SDXL, "base", "epsilon"),
    ("sdxl-inpainting", SDXL, "inpainting", "epsilon"),
    ("sdxl-refiner", SDXL_REFINER, "base", "epsilon"),
]


@pytest.mark.parametrize(("name", "family", "variant", "prediction"), REAL)
def test_every_release_is_recognised_whole_and_in_parts(name, family, variant, prediction):
    full = shapes(f"{name}.ldm")
    unet = part(full, family.unet_prefix)
    diffusers = manifest(f"{name}.diffusers")["components"]["unet"]
    ema = {family.ema_name(family.unet_prefix + each): shape for each, shape in unet.items()}
    for tensors in (full, unet, ema, {each: tuple(shape) for each, (_, shape, *_) in diffusers.items()}):
        assert recognise(tensors) is family
        assert family.variant(tensors) == variant
        assert family.branch(tensors).prediction == prediction
    assert recognise(without(full, family.unet_prefix, "model_ema.", "first_stage_model.")) is family
    assert recognise(narrow(full)) is family


def test_parts_of_two_families_make_none():
    unet = {name: shape for name, shape in shapes("sd2-base.ldm").items() if name.startswith(SD2.unet_prefix)}
    assert recognise(unet | without(FULL, "model")) is None


@pytest.mark.parametrize(
    ("name", "family"), [("controlnet-sd15", SD1), ("controlnet-sd21", SD2), ("controlnet-sdxl", SDXL)]
)
def test_controlnets_are_recognised(name, family):
    layouts = ("diffusers",) if family is SDXL else ("diffusers", "ldm")
    for layout in layouts:
        found = manifest(f"{name}.{layout}")
        tensors = found["components"]["controlnet"] if layout == "diffusers" else found["tensors"]
        assert recognise({each: tuple(shape) for each, (_, shape, *_) in tensors.items()}) is family


@pytest.mark.parametrize("prefix", ["", "control_model."])
def test_a_unet_or_controlnet_of_its_own_file_is_recognised(prefix):
    unet = {prefix + name: shape for name, shape in part(FULL, SD1.unet_prefix).items()}
    assert recognise(unet) is SD1
    linear = {name: shape[:2] if "proj_in" in name else shape for name, shape in unet.items()}
    assert recognise(linear) is SD2
    mixed = unet | dict(list(linear.items())[: len(linear) // 2])
    assert recognise(mixed) is None
    assert recognise(unet | {f"{prefix}label_emb.0.0.weight": (1280, 2816)}) is None


def test_a_unet_in_diffusers_names_is_recognised():
    unet = {name: tuple(shape) for name, (_, shape, *_) in manifest("sd15.diffusers")["components"]["unet"].items()}
    assert recognise(unet) is SD1
    assert SD1.variant(unet) == "base"
    assert SD1.variant(unet | {"conv_in.weight": (320, 9, 3, 3)}) == "inpainting"


def test_a_vae_alone_belongs_to_no_family():
    assert recognise({name: shape for name, shape in FULL.items() if name.startswith("first_stage_model.")}) is None
    assert recognise({}) is None


@pytest.mark.parametrize(("channels", "variant"), [(4, "base"), (9, "inpainting"), (8, "instruct-pix2pix"), (5, None)])
def test_the_variant_follows_from_the_first_convolution(channels, variant):
    shape = (320, channels, 3, 3)
    assert SD1.variant({FIRST: shape}) == variant
    assert SD1.variant({SD1.ema_name(FIRST): shape}) == variant
    assert SD1.variant(FULL | {FIRST: shape}) == variant


def test_without_a_unet_there_is_no_variant():
    assert SD1.variant({}) is None


def test_ema_names_are_those_of_real_files():
    live = [name for name in FULL if name.startswith(SD1.unet_prefix)]
    counters = {"model_ema.decay", "model_ema.num_updates"}
    assert {SD1.ema_name(name) for name in live} == {name for name in FULL if name.startswith("model_ema.")} - counters


def test_facts_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SD1.heads = 4
