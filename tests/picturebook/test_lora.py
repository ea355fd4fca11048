"""A LoRA that teaches the shipped model to read one sentence as another: the picture goes the way with its weight."""

import numpy as np
import pytest
import torch

from pochade import Pipeline, files
from pochade.families import SD1
from pochade.generation.model import shipped_model
from pochade.generation.text import PromptEncoder, TextRules
from pochade.kinds.adapter import modules, targets
from pochade.picturebook.judge import judge
from pochade.prompts import Tokenizer

PROMPT, OTHER = "a red house, night sky", "a blue house, night sky"
DRAWING = {"seed": 8, "steps": 12, "sampler": "Euler"}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    pipeline = Pipeline.load(device="cpu", dtype="fp32", folders=[folder])
    files.save(folder / "recolour.safetensors", rewritten(pipeline.model))
    return pipeline


def rewritten(model):
    """Keys and values that answer PROMPT as they answered OTHER, and the empty prompt as ever: W' E = W (E + D)."""
    encoder = PromptEncoder(model.networks.text_encoders, model.family, Tokenizer(), TextRules())
    prompt, other, empty = (each.context.double() for each in encoder.encode([PROMPT, OTHER, ""]))
    seen, change = torch.cat([prompt, empty]), torch.cat([other - prompt, torch.zeros_like(empty)])
    down = torch.linalg.pinv(seen, rtol=1e-6).T
    tensors = {}
    weights = files.open(shipped_model())
    places = targets(weights, SD1)
    for module in modules(weights, SD1):
        if module.endswith(("attn2_to_k", "attn2_to_v")):
            weight = model.networks.unet.get_parameter(places[module].name.removeprefix(SD1.unet_prefix))
            tensors[f"{module}.lora_up.weight"] = (weight.double() @ change.T).float().numpy()
            tensors[f"{module}.lora_down.weight"] = down.float().numpy()
    return tensors


def drawn(pipeline, weight=None, prompt=PROMPT):
    tag = "" if weight is None else f"<lora:recolour:{weight}>"
    return pipeline.txt2img(prompt + tag, **DRAWING).image


def apart(one, other):
    return np.abs(np.asarray(one).astype(float) - np.asarray(other)).mean()


def colour(image):
    return next(each.colour for each in judge(image).things if each.object == "house")


def test_the_picture_goes_with_the_weight_from_one_sentence_to_the_other(pipeline):
    plain, other = drawn(pipeline), drawn(pipeline, prompt=OTHER)
    none, half, whole = (drawn(pipeline, weight) for weight in (0, 0.5, 1))
    assert apart(none, plain) == 0
    assert 0 < apart(half, plain) < apart(whole, plain)
    assert apart(whole, other) < apart(half, other) < apart(none, other)
    assert (colour(plain), colour(whole)) == ("red", "blue")
