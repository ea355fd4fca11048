"""Families are told by names and ranks, whatever the widths."""

import dataclasses

import pytest

from pochade.families import SD1, recognise

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


@pytest.mark.parametrize("name", ["sd2-base.ldm", "sdxl-base.ldm"])
def test_other_families_are_not_sd1(name):
    assert recognise(shapes(name)) is None
    assert recognise(narrow(shapes(name))) is None


@pytest.mark.parametrize("prefix", ["", "control_model."])
def test_a_unet_or_controlnet_of_its_own_file_is_recognised(prefix):
    unet = {prefix + name: shape for name, shape in part(FULL, SD1.unet_prefix).items()}
    assert recognise(unet) is SD1
    linear = {name: shape[:2] if "proj_in" in name else shape for name, shape in unet.items()}
    assert recognise(linear) is None
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
    with pytest.raises(TypeError):
        SD1.variants[5] = "depth"
