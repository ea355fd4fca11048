"""Prompts as conditions: what is encoded, how often, what is told beside, and how different lengths meet."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pochade import Request
from pochade.errors import UsageError
from pochade.families import SD1, SD2, SDXL, SDXL_REFINER
from pochade.generation.extra_networks.embeddings import Embedding
from pochade.generation.text import PromptEncoder, RunText, TextRules, check_clip_skip
from pochade.networks import CLIPText, OpenCLIPText, clip_shapes, fresh, openclip_shapes
from pochade.networks.layers import sinusoid
from pochade.prompts import Emphasis, Tokenizer

WIDTH = 2


class Encoder(nn.Module):
    """Stands in for a text encoder: a token's vector is its id; it notes the windows it was asked for."""

    def __init__(self):
        super().__init__()
        self.windows = []
        self.nothing = nn.Parameter(torch.zeros(1))

    def embed(self, tokens):
        self.windows += tokens.tolist()
        return tokens[..., None].float().repeat(1, 1, WIDTH)

    def encode(self, vectors, skip, norm):
        return vectors


def run_text(prompt, negative="", calls=4, before=None, **rules):
    encoder = Encoder()
    prompts = PromptEncoder((encoder,), SD1, Tokenizer(), TextRules(**rules))
    return encoder, RunText(prompts, prompt, negative, calls, before)


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
    assert two.parts.context.shape == (4, 77, WIDTH)
    assert two.uncond.context.shape == (2, 77, WIDTH)
    assert (two.parts.prompted, two.uncond.prompted) == ((True,) * 4, (False,) * 2)
    assert text.at(0, 1) is one


def test_different_lengths_stay_unless_a_rule_joins_them():
    long = "cat " * 80
    lengths = {
        name: tuple(part.context.shape[1] for part in (found.parts, found.uncond))
        for name, rules in {
            "neither": {},
            "pad": {"pad": True},
            "cut": {"pad_or_cut": True},
            "both": {"pad": True, "pad_or_cut": True},
        }.items()
        for found in [run_text("a", long, **rules)[1].at(0, 1)]
    }
    assert lengths == {"neither": (77, 154), "pad": (154, 154), "cut": (77, 77), "both": (77, 77)}


def test_a_second_pass_goes_on_where_the_first_ended():
    """Whole numbers count on from the first pass, fractions from 1."""
    first, again = (run_text("[a:b:0.5]", calls=4, before=before)[1] for before in (None, 4))
    a, b = (run_text(word)[1].at(0, 1).parts.context for word in "ab")
    assert torch.equal(first.at(0, 1).parts.context, a)
    assert torch.equal(again.at(0, 1).parts.context, b)
    later = run_text("[a:b:6]", calls=4, before=4)[1]
    assert torch.equal(later.at(0, 1).parts.context, a)
    assert torch.equal(later.at(3, 1).parts.context, b)


@pytest.fixture(scope="module")
def first():
    return fresh(CLIPText, clip_shapes(64, 3), 1).eval()


@pytest.fixture(scope="module")
def second():
    return fresh(OpenCLIPText, openclip_shapes(128, 3), 2).eval()


@pytest.fixture(scope="module")
def sdxl(first, second):
    rules = TextRules(size=(96, 64), crop=(3, 5))
    return PromptEncoder((first, second), SDXL, Tokenizer(), rules)


def ids(text, pad):
    tokens = Tokenizer().encode(text)
    return torch.tensor([[49406, *tokens, 49407, *[pad] * (75 - len(tokens))]])


@torch.no_grad()
def test_sdxl_sees_both_encoders_side_by_side_each_with_its_own_padding(sdxl, first, second):
    (found,) = sdxl.encode(["a cat"])
    plain, open_clip = ids("a cat", 49407), ids("a cat", 0)
    assert torch.equal(found.context[:, :64], first(plain, 2, norm=False)[0])
    vectors, pooled = second.encode_pooled(second.embed(open_clip), torch.tensor([3]), 2, norm=False)
    assert torch.equal(found.context[:, 64:], vectors[0])
    numbers = sinusoid(torch.tensor([64.0, 96, 5, 3, 64, 96]), 256).flatten()  # heights come first
    assert torch.equal(found.classes, torch.cat([pooled[0], numbers]))


def test_the_summary_is_that_of_the_first_window(sdxl):
    short, long = sdxl.encode(["cat " * 75])[0], sdxl.encode(["cat " * 75 + "and a dog"])[0]
    assert short.context.shape == (77, 192)
    assert long.context.shape == (154, 192)
    assert torch.equal(short.classes, long.classes)


def test_emphasis_restores_each_encoder_s_own_mean(sdxl):
    plain, weighted = sdxl.encode(["a cat"])[0].context, sdxl.encode(["a (cat:1.5)"])[0].context
    for part in (slice(0, 64), slice(64, 192)):
        torch.testing.assert_close(weighted[:, part].mean(), plain[:, part].mean(), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(weighted, plain, rtol=1e-2)


def test_an_empty_negative_prompt_is_zeros_for_sdxl_but_sizes_stay(sdxl):
    nothing, encoded = sdxl.encode([""], negative=True)[0], sdxl.encode([""])[0]
    assert not nothing.context.any()
    assert not nothing.classes[:128].any()
    assert torch.equal(nothing.classes[128:], encoded.classes[128:])
    assert encoded.context.any()
    assert sdxl.encode(["", "a"], negative=True)[0].context.any()  # edited: not empty all the time


def test_the_refiner_is_told_scores_of_beauty(second):
    rules = TextRules(size=(64, 64), scores=(7.0, 2.0))
    refiner = PromptEncoder((second,), SDXL_REFINER, Tokenizer(), rules)
    for score, negative in ((7.0, False), (2.0, True)):
        classes = refiner.encode(["a"], negative)[0].classes
        assert classes.shape == (128 + 5 * 256,)
        assert torch.equal(classes[-256:], sinusoid(torch.tensor([score]), 256)[0])


@torch.no_grad()
def test_clip_skip_holds_where_a_family_heeds_it(first, second):
    def skipped(networks, family, **rules):
        return PromptEncoder(networks, family, Tokenizer(), TextRules(**rules)).encode(["a cat"])[0].context

    plain, open_clip = ids("a cat", 49407), ids("a cat", 0)
    assert torch.equal(skipped((first,), SD1, clip_skip=2), first(plain, 2)[0])
    assert torch.equal(skipped((second,), SD2, clip_skip=2), second(open_clip)[0])
    for asked, layer in ((False, 2), (True, 3)):
        both = skipped((first, second), SDXL, clip_skip=3, clip_l_skip=asked)
        assert torch.equal(both[:, :64], first(plain, layer, norm=False)[0])
        assert torch.equal(both[:, 64:], second(open_clip, 2, norm=False)[0])


def test_a_clip_skip_that_leaves_no_layer_is_refused(first, second):
    check_clip_skip(Request(clip_skip=3), (first,), SD1)
    with pytest.raises(UsageError, match="clip_skip is 4, but this model's text encoder has 3 layers"):
        check_clip_skip(Request(clip_skip=4), (first,), SD1)
    check_clip_skip(Request(clip_skip=12), (second,), SD2)
    check_clip_skip(Request(clip_skip=12), (first, second), SDXL)
    with pytest.raises(UsageError, match="clip_skip"):
        check_clip_skip(Request(clip_skip=12, clip_l_skip=True), (first, second), SDXL)


def with_embeddings(encoder, **vectors):
    """The same encoder where words stand for vectors, of each text encoder."""
    found = {name: Embedding(name, each, digest=f"hash of {name}") for name, each in vectors.items()}
    return replace(encoder, embeddings_in=lambda texts: found)


@torch.no_grad()
def test_each_encoder_of_sdxl_gets_its_own_vectors(sdxl, first, second):
    (word,) = Tokenizer().encode("dog")
    own = tuple(network.embed(torch.tensor([word])) for network in (first, second))
    (found,) = with_embeddings(sdxl, zorp=own).encode(["a zorp, big"])
    (wanted,) = sdxl.encode(["a dog, big"])
    assert torch.equal(found.context, wanted.context)
    assert torch.equal(found.classes, wanted.classes)
    assert [[each.name for each in window] for window in found.embeddings] == [["zorp"]]


def substituted(text, **rules):
    """The context of a text in which zorp stands for 4 vectors of -1, -2, -3, -4, and flam for one of -9."""
    prompts = PromptEncoder((Encoder(),), SD1, Tokenizer(), TextRules(emphasis=Emphasis.NO_NORM, **rules))
    zorp, flam = (torch.tensor(each)[:, None].expand(-1, WIDTH) for each in ([-1.0, -2, -3, -4], [-9.0]))
    return with_embeddings(prompts, zorp=(zorp,), flam=(flam,)).encode([text])[0].context[:, 0].tolist()


def test_vectors_stand_where_their_word_stood():
    cat, dog = Tokenizer().encode("cat dog")
    assert substituted("cat zorp dog")[:8] == [49406, cat, -1, -2, -3, -4, dog, 49407]
    assert substituted("(zorp:0.5) flam")[1:6] == [-0.5, -1, -1.5, -2, -9]


def test_vectors_that_do_not_fit_wholly_move_to_the_next_window():
    cat = Tokenizer().encode("cat")
    assert substituted("cat " * 71 + "zorp")[70:] == [*cat * 2, -1, -2, -3, -4, 49407]
    moved = substituted("cat " * 72 + "zorp")
    assert moved[70:79] == [*cat * 3, 49407, 49407, 49407, 49407, 49406, -1]
    assert moved[79:83] == [-2, -3, -4, 49407]


def test_windows_that_differ_in_their_embeddings_alone_are_not_taken_for_one():
    prompts = PromptEncoder((Encoder(),), SD1, Tokenizer(), TextRules())
    vectors = {name: (torch.full((1, WIDTH), value),) for name, value in (("zorp", -1.0), ("flam", -9.0))}
    found = with_embeddings(prompts, **vectors).encode(["zorp", "flam", "!"])
    assert [each.context[1, 0].item() for each in found] == [-1, -9, Tokenizer().encode("!")[0]]


def test_hashes_are_listed_by_who_reads_last(sdxl):
    """Each encoder of SDXL reads the negative prompt and then the parts, the windows of all their texts in turn."""
    vectors = {name: (torch.zeros(1, 64), torch.zeros(1, 128)) for name in ("zorp", "flam", "glim")}
    encoder = with_embeddings(sdxl, **vectors)
    text = RunText(encoder, "[zorp BREAK flam:glim:2] AND zorp AND zorp", "flam", 4)
    assert [[each.name for each in part] for part in text.embeddings] == [["zorp", "glim", "flam"], ["zorp"]]
    order = [*["zorp"] * 2, *["zorp", "glim", "flam"] * 2, *["flam"] * 2]
    assert text.embedding_hashes == ", ".join(f"{name}: hash of {name}" for name in order)


def test_classes_go_with_the_rows_of_their_parts(sdxl):
    text = RunText(sdxl, "a cat AND a dog", "", 4).at(0, 2)
    cat, dog = (sdxl.encode([word])[0].classes for word in ("a cat", "a dog"))
    assert torch.equal(text.parts.classes, torch.stack([cat, dog, cat, dog]))
    assert text.uncond.classes.shape == (2, len(cat))


def test_rules_come_from_the_request():
    request = Request(width=96, height=64, crop=(1, 2), aesthetic_score=5, clip_l_skip=True)
    rules = TextRules.of(request)
    assert (rules.size, rules.crop, rules.scores, rules.clip_l_skip) == ((96, 64), (1, 2), (5.0, 2.5), True)
    assert TextRules.of(replace(request, crop=None)).crop == (0, 0)
