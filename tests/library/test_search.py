"""The words of a query, and what they find."""

import pytest

from pochade.errors import UnknownNameError, UsageError
from pochade.library.entries import Notes
from pochade.library.search import query

from .models import entry

ENTRIES = [
    entry("animals/red_fox", family="sdxl", algorithm="locon", rank=32, bytes=200_000_000, sha256="abcdef12",
          notes=Notes(base="Pony", trigger_words=("vulpes",), tags=("animal",))),
    entry("animals/cat", family="sd1", algorithm="lora", rank=8, notes=Notes(description="no fox at all")),
    entry("dream", "checkpoint", family="sd1", variant="inpainting", prediction="epsilon", dtypes=("F16", "F32"),
          bytes=2_000_000_000, format="ckpt"),
    entry("evil", "unknown", verdict="malicious", problems=("unsafe-pickle",)),
    entry("cut", "unknown", verdict="corrupt", problems=("truncated",)),
    entry("neg", "embedding", title="Bad Hands", trigger_words=("neg",), says_words=True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "red_fox cat dream evil cut neg"),
        ("fox", "red_fox cat"),
        ("FOX animals/", "red_fox cat"),
        ("fox -vulpes", "cat"),
        ('"no fox"', "cat"),
        ('"no fox', "cat"),
        ('-"no fox" animals', "red_fox"),
        ("no at", "cat"),
        ("base:sdxl kind:lora fox", "red_fox"),
        ("base:pony", "red_fox"),
        ("base:sd-1", "cat dream"),
        ("kind:lora", "red_fox cat"),
        ("kind:LyCORIS", "red_fox cat"),
        ("kind:locon", "red_fox"),
        ("kind:ti", "neg"),
        ("-kind:lora -unsafe: -kind:embedding", "dream"),
        ("name:fox", "red_fox"),
        ("trigger:vul", "red_fox"),
        ("trigger:", "red_fox neg"),
        ("tag:anim", "red_fox"),
        ("-tag:", "cat dream evil cut neg"),
        ("size:>2gb", ""),
        ("size:>=2GB", "dream"),
        ("size:2g", "dream"),
        ("size:<1kb", ""),
        ("size:<=1kb", "cat evil cut neg"),
        ("size:>0.1gb size:<1.5gib", "red_fox"),
        ("rank:32", "red_fox"),
        ("variant:inpaint prediction:eps dtype:f32 format:ckpt", "dream"),
        ("problem:", "evil cut"),
        ("problem:trunc", "cut"),
        ("unsafe:", "evil cut"),
        ("unsafe:malicious", "evil"),
        ("hash:ABCDEF", "red_fox"),
        ("path:/models/animals", "red_fox cat"),
        ('"bad hands"', "neg"),
        ('tag:"anim"', "red_fox"),
    ],
)
def test_queries(text, found):
    assert " ".join(each.stem for each in query(text).among(ENTRIES)) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kid:lora", r'no search key \'kid\': known are kind, base, .* write "kid:lora"'),
        ("size:big", "size:big cannot be understood; write it like size:>2gb"),
        ("size:", "size: cannot be understood"),
        ("rank:x", "rank:x cannot be understood"),
    ],
)
def test_a_wrong_query_is_explained(text, said):
    with pytest.raises(UsageError, match=said):
        query(text)


def test_the_nearest_kind_is_offered():
    with pytest.raises(UnknownNameError, match="did you mean lora"):
        query("kind:loar")


def test_words_with_a_colon_are_looked_for_in_quotes():
    assert [each.stem for each in query('"a:b"').among([*ENTRIES, entry("x", notes=Notes(description="a:b"))])] == ["x"]


def test_a_dash_alone_is_a_word():
    assert [each.name for each in query("red - fox").among([entry("red - fox"), entry("red fox")])] == ["red - fox"]
