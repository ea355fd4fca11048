import gzip
import hashlib
import subprocess
import sys
import time
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.prompts import Tokenizer, tokenize
from pochade.prompts.tokenizer import END, START, WINDOW

from .vectors import cases, name


@pytest.mark.parametrize("case", cases("tokenizer"), ids=name)
def test_recorded_ids(case):
    assert tokenize(case["text"]) == case["ids"]


def test_the_table_is_the_published_one():
    packed = resources.files("pochade.prompts").joinpath("clip_merges.txt.gz").read_bytes()
    table = gzip.decompress(packed)
    assert table.count(b"\n") == END + 1 - 2 * 256 - 2
    assert hashlib.sha256(table).hexdigest() == "d308b7377a8ceaa9707a21614fe8c831b9196e197b7aeb69833359362907af02"
    assert "MIT License" in resources.files("pochade.prompts").joinpath("NOTICE.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", []),
        (" \t\n ", []),
        ("A Photo  of\na CAT", [320, 1125, 539, 320, 2368]),
        ("<|startoftext|>cat<|endoftext|>", [START, 2368, END]),
        ("<|StartOfText|>", [START]),
        ("caf&eacute;", tokenize("café")),
        ("schÃ¶n", tokenize("schön")),
        ("ｆｕｌｌ", tokenize("full")),
        ("a\x00\x1fb", tokenize("ab")),
        ("\ud83d", tokenize("\ufffd")),
    ],
)
def test_text_rules(text, ids):
    assert tokenize(text) == ids


def test_padded_frames_and_cuts():
    tokenizer = Tokenizer()
    assert tokenizer.padded("a cat") == [START, 320, 2368] + [END] * 74
    assert tokenizer.padded("a cat", pad=0) == [START, 320, 2368, END] + [0] * 73
    assert tokenizer.padded("cat " * 100) == [START] + [2368] * 75 + [END]


@given(st.text())
def test_any_text_has_ids(text):
    ids = Tokenizer().encode(text)
    assert all(0 <= token <= END for token in ids)
    assert len(Tokenizer().padded(text)) == WINDOW


@pytest.mark.parametrize(
    "text", ["a" * 20000, "ab" * 10000, "'s" * 10000, "\u0345" * 10000, "日" * 10000, "<|" * 10000]
)
def test_long_words_are_fast(text):
    begin = time.process_time()
    tokenize(text)
    assert time.process_time() - begin < 1.0


def test_plain_text_needs_neither_ftfy_nor_torch():
    code = (
        "import sys; from pochade.prompts import tokenize; tokenize('A red house, (night:1.2)!');"
        "sys.exit(bool({'ftfy', 'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
