"""Prompts as context: what is encoded, how often, and how different lengths meet."""

from types import SimpleNamespace

import torch

from pochade.generation.text import PromptEncoder, RunText, TextRules
from pochade.prompts import Tokenizer

WIDTH = 2


class Encoder:
    """Stands in for the text encoder: a token's vector is its id; it notes the windows it was asked for."""

    def __init__(self):
        self.windows = []
        self.text_model = SimpleNamespace(final_layer_norm=SimpleNamespace(weight=torch.zeros(1)))

    def __call__(self, tokens, skip):
        self.windows += tokens.tolist()
        return tokens[..., None].float().expand(*tokens.shape, WIDTH)


def run_text(prompt, negative="", calls=4, **rules):
    encoder = Encoder()
    return encoder, RunText(PromptEncoder(encoder, Tokenizer(), TextRules(**rules)), prompt, negative, calls)


def test_equal_windows_are_encoded_once():
    encoder, _ = run_text("[a|b] cat", calls=40)
    assert len(encoder.windows) == 3  # a cat, b cat, and the empty negative


def test_batches_of_different_sizes_share_what_was_encoded():
    encoder, text = run_text("a AND b:0.5")
    before = len(encoder.windows)
    two, one = text.at(0, 2), text.at(0, 1)
    assert len(encoder.windows) == before
    assert (two.owners, two.weights) == ((0, 0, 1, 1), (1.0, 0.5, 1.0, 0.5))
    assert (one.owners, one.weights) == ((0, 0), (1.0, 0.5))
    assert two.parts.shape == (4, 77, WIDTH)
    assert two.uncond.shape == (2, 77, WIDTH)
    assert text.at(0, 1) is one


def test_different_lengths_stay_unless_a_rule_joins_them():
    long = "cat " * 80
    lengths = {
        name: tuple(part.shape[1] for part in (found.parts, found.uncond))
        for name, rules in {
            "neither": {},
            "pad": {"pad": True},
            "cut": {"pad_or_cut": True},
            "both": {"pad": True, "pad_or_cut": True},
        }.items()
        for found in [run_text("a", long, **rules)[1].at(0, 1)]
    }
    assert lengths == {"neither": (77, 154), "pad": (154, 154), "cut": (77, 77), "both": (77, 77)}
