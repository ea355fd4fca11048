import json
import os

import pytest

from pochade.library.headers import header_of

TENSORS = '"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}'


def written(path, text, data=b"xx"):
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    path.write_bytes(len(content).to_bytes(8, "little") + content + data)
    return path


def header(tmp_path, metadata, tensors=TENSORS, data=b"xx"):
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    return header_of(written(tmp_path / "a.safetensors", f'{{"__metadata__":{text},{tensors}', data))


def test_the_same_tensors_are_the_same_whatever_is_said(tmp_path):
    one, two = header(tmp_path, {"a": "b"}), header(tmp_path, {"a": "longer", "é": "x\n"})
    assert one.tensors == two.tensors
    assert (one.metadata, two.metadata) == ({"a": "b"}, {"a": "longer", "é": "x\n"})


def test_other_tensors_or_other_sizes_are_others(tmp_path):
    one = header(tmp_path, {}).tensors
    assert header(tmp_path, {}, TENSORS.replace("U8", "I8")).tensors != one
    assert header(tmp_path, {}, data=b"x").tensors != one


WRONG = [
    *("null", "3", "[]", '["a"]', '[["a", "b"]]', "{", "[" * 100_000),
    *('{"a": 3}', '{"a": "b", "a": "c"}', '{"a": "\\ud800"}', '{"a": {}}'),
]


@pytest.mark.parametrize("metadata", WRONG)
def test_metadata_of_another_form_is_left_to_the_strict_reader(tmp_path, metadata):
    assert header(tmp_path, metadata) is None


SMALL = (2).to_bytes(8, "little") + b"{}"


@pytest.mark.parametrize("content", [b"", b"x" * 7, b"\xff" * 30, SMALL, b"PK\3\4" + bytes(40)])
def test_other_files_are_left_to_their_readers(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert header_of(tmp_path / "a") is None


def test_what_is_no_file_or_has_no_metadata_is_left_too(tmp_path):
    assert header_of(tmp_path) is None
    assert header_of(tmp_path / "none") is None
    assert header_of(written(tmp_path / "a", "{" + TENSORS)) is None
    assert header_of(written(tmp_path / "a", b'{"__metadata__":{"a":"\xff"}}')) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    assert header_of(tmp_path / "a.safetensors") is None
