import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.errors import UsageError
from pochade.prompts import Emphasis, Tokenizer, chunk, token_count
from pochade.prompts.chunks import SLOT_TOKEN, Names
from pochade.prompts.tokenizer import END, START, tokenize

from .vectors import cases, name


@pytest.mark.parametrize("case", cases("webui/prompt_chunks"), ids=name)
def test_recorded_chunks(case):
    chunks = chunk(case["prompt"], embeddings=case["embeddings"], comma_backtrack=case["comma_backtrack"])
    found = [
        {
            "tokens": list(each.tokens),
            "multipliers": list(each.multipliers),
            "embeddings": [[slot.offset, slot.name, slot.count] for slot in each.slots],
        }
        for each in chunks
    ]
    assert found == case["expected_chunks"]
    assert token_count(chunks) == case["expected_token_count"]


@pytest.mark.parametrize("case", [each for each in cases("webui/emphasis") if "prompt" in each], ids=name)
def test_recorded_tokens_of_a_mode(case):
    (only,) = chunk(case["prompt"], emphasis=Emphasis.named(case["mode"]))
    length = len(case["expected_tokens"])
    assert list(only.tokens[:length]) == case["expected_tokens"]
    assert list(only.multipliers[:length]) == case["expected_multipliers"]


def test_an_empty_prompt_is_one_window_of_padding():
    (only,) = chunk("")
    assert only.tokens == (START, *[END] * 76)
    assert token_count([only]) == 0


def test_openclip_pads_behind_the_first_end():
    (only,) = chunk("a cat", pad=0)
    assert only.tokens == (START, 320, 2368, END, *[0] * 73)
    (only,) = chunk("a <|endoftext|> cat", pad=0)
    assert only.tokens == (START, 320, END, *[0] * 74)


def test_a_break_at_the_end_adds_no_window():
    chunks = chunk("a BREAK")
    assert len(chunks) == 1
    assert token_count(chunks) == 75


def test_the_longest_embedding_name_wins():
    (only,) = chunk("easy neg style", embeddings={"easy": 1, "easy neg": 2, "neg": 3})
    assert [(slot.name, slot.offset) for slot in only.slots] == [("easy neg", 0)]


def test_an_embedding_larger_than_a_window_is_refused():
    with pytest.raises(UsageError, match="76 vectors"):
        chunk("big", embeddings={"big": 76})


WORDS = st.lists(st.sampled_from(["cat", ",", "easyneg", "big", "(dog:1.3)", " BREAK ", "[x]", "日本", "&amp;"]))


def test_names_are_told_as_they_are_taken():
    names = Names(["easy", "easy neg", "neg", "break", "1.3"], Tokenizer())
    assert names.named_in("(easy neg:1.3) BREAK neg, neg, uneasy") == ["easy neg", "neg"]
    assert names.named_in("easy neg", passed_over={"easy neg"}) == ["easy", "neg"]
    assert names.named_in("(easy:1.3) BREAK", Emphasis.NONE) == ["easy", "1.3", "break"]
    assert names.named_in("") == []


@given(WORDS.map(" ".join) | st.text())
def test_a_prompt_has_slots_for_the_names_in_it(text):
    counts = {"easyneg": 8, "big": 75, "cat,": 2}
    slots = [slot.name for each in chunk(text, embeddings=counts) for slot in each.slots]
    assert list(dict.fromkeys(slots)) == Names(counts, Tokenizer()).named_in(text)


def test_no_emphasis_takes_brackets_and_break_as_text():
    (only,) = chunk("(a BREAK b:2)", emphasis=Emphasis.NONE)
    assert set(only.multipliers) == {1.0}
    assert list(only.tokens[1:-1])[: len(tokenize("(a BREAK b:2)"))] == tokenize("(a BREAK b:2)")


@given(WORDS.map(" ".join) | st.text(), st.integers(0, 75), st.sampled_from([END, 0]))
def test_every_window_is_77_long(text, comma_backtrack, pad):
    for each in chunk(text, None, {"easyneg": 8, "big": 75}, comma_backtrack, pad=pad):
        assert len(each.tokens) == len(each.multipliers) == 77
        assert each.tokens[0] == START
        assert END in each.tokens


@given(st.lists(st.sampled_from(["cat", ",", "dog"])).map(" ".join), st.integers(0, 75))
def test_joining_the_windows_keeps_the_tokens(text, comma_backtrack):
    chunks = chunk(text, comma_backtrack=comma_backtrack)
    tokens = [token for each in chunks for token in each.tokens if token not in (START, END, SLOT_TOKEN)]
    assert tokens == tokenize(text)
