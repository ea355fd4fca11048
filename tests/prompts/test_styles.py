import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.errors import FileError, MalformedFileError, MissingFileError
from pochade.prompts import styles
from pochade.prompts.styles import Style

from .vectors import cases, name


@pytest.mark.parametrize("case", cases("webui/styles"), ids=name)
def test_recorded_styles(case):
    found = getattr(styles, case["op"])(case["style"], case["prompt"])
    assert (list(found) if case["op"] == "extract" else found) == case["expected"]


def test_extract_undoes_merge():
    for style in ("best quality", "a {prompt} b", "{prompt}, sharp"):
        assert styles.extract(style, styles.merge(style, "cat")) == (True, "cat")


def test_apply_goes_in_order_and_skips_unknown_names():
    known = {"one": Style("one", "x", "bad"), "two": Style("two", "<{prompt}>")}
    assert styles.apply(known, ["one", "nobody", "two"], "cat", "ugly") == ("<cat, x>", "ugly, bad")


def test_old_files_and_comments_are_read(tmp_path):
    path = tmp_path / "styles.csv"
    path.write_text('\ufeffname,text\nold,"a, b"\n# comment,c\n', encoding="utf-8")
    assert styles.read(path) == {"old": Style("old", "a, b")}


def test_blanks_behind_the_commas_do_not_count(tmp_path):
    path = tmp_path / "styles.csv"
    path.write_text('name, prompt, negative_prompt\nneat, "a, b", c\n', encoding="utf-8")
    assert styles.read(path) == {"neat": Style("neat", "a, b", "c")}


def test_a_failed_write_leaves_the_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "styles.csv"
    styles.write(path, [Style("a")])

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        styles.write(path, [Style("b")])
    assert list(styles.read(path)) == ["a"]
    assert {each.name for each in tmp_path.iterdir()} <= {"styles.csv", "styles.csv.bak"}


def test_writing_keeps_the_file_that_was_there(tmp_path):
    path = tmp_path / "styles.csv"
    first, second = Style("a", 'say "hi",\nyou', "日本"), Style("b", "{prompt}")
    styles.write(path, [first])
    styles.write(path, [first, second])
    assert styles.read(path) == {"a": first, "b": second}
    assert styles.read(tmp_path / "styles.csv.bak") == {"a": first}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["styles.csv", "styles.csv.bak"]


def test_bad_files_are_named(tmp_path):
    with pytest.raises(MissingFileError):
        styles.read(tmp_path / "none.csv")
    with pytest.raises(FileError, match="this is a folder"):
        styles.read(tmp_path)
    path = tmp_path / "styles.csv"
    path.write_bytes(b"name,prompt\na,\xff\xfe")
    with pytest.raises(MalformedFileError):
        styles.read(path)


@given(st.text(), st.text())
def test_any_style_merges_and_extracts(style, prompt):
    styles.merge(style, prompt)
    styles.extract(style, prompt)
