"""Reading safetensors: exactly what the format says, and one clear error for everything else."""

import json
import os
import struct
import time
import tracemalloc
import warnings

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pochade import files
from pochade.errors import MalformedFileError, PochadeError

LENIENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def entry(dtype="F32", shape=(4,), begin=0, end=16):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def packed(header, data=bytes(16), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


BROKEN = {
    "length beyond the file": packed({"a": entry()}, length=10**6),
    "absurd length": packed({"a": entry()}, length=2**63),
    "zero length": packed({"a": entry()}, length=0),
    "list": packed([]),
    "not JSON": packed(b"{'a':1}"),
    "not UTF-8": packed(b'{"\xe9":1}'),
    "surrogate": packed({"\ud800": entry()}),
    "NUL padding": packed(json.dumps({"a": entry()}).encode() + b"\0\0"),
    "NaN": packed(b'{"a":NaN}'),
    "long number": packed(b'{"a":' + b"9" * 100_000 + b"}"),
    "deep": packed(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "deep shape": packed(b'{"a":{"dtype":"F32","shape":' + b"[" * 900 + b"]" * 900 + b',"data_offsets":[0,16]}}'),
    "surrogate in the metadata": packed(b'{"__metadata__":{"a":"\\ud800"}}', b""),
    "entry twice": packed(b'{"a":%s,"a":%s}' % ((json.dumps(entry("U8", (0,), 0, 0)).encode(),) * 2), b""),
    "field twice": packed(b'{"a":{"dtype":"F32","dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
    "comma at the end": packed(json.dumps({"a": entry()}).encode()[:-1] + b", }"),
    "no comma": packed(json.dumps({"a": entry()}).encode()[:-1] + b' "b":{}}'),
    "only a comma": packed(b"{,}", b""),
    "not closed": packed(json.dumps({"a": entry()}).encode()[:-1]),
    "two objects": packed(json.dumps({"a": entry()}).encode() * 2),
    "three million lists": packed(b'{"a":[' + b"[]," * 3_000_000 + b"[]]}", b""),
    "three million lists inside": packed(b'{"a":{"b":[' + b"[]," * 3_000_000 + b"[]]}}", b""),
    "three million texts inside": packed(b'{"a":{"b":[' + b'"",' * 3_000_000 + b'""]}}', b""),
    "three million objects": packed(b'{"a":{"b":[' + b"{}," * 3_000_000 + b"{}]}}", b""),
    "a long text": packed(b'{"a":"' + b"a" * 20_000_000 + b'"}', b""),
    "twice": packed(b'{"a":1,"a":2}'),
    "metadata twice": packed(b'{"__metadata__":{},"__metadata__":{}}', b""),
    "number as metadata": packed({"__metadata__": {"a": 1}}, b""),
    "text as metadata": packed({"__metadata__": "a"}, b""),
    "no entry": packed({"a": 1}),
    "field missing": packed({"a": {"dtype": "F32", "shape": [4]}}),
    "field too many": packed({"a": {**entry(), "more": 1}}),
    "unknown dtype": packed({"a": entry("FLOAT")}),
    "dtype no text": packed({"a": entry(["F32"])}),
    "negative": packed({"a": entry(shape=(-2, -2))}),
    "fraction": packed({"a": entry(shape=(4.0,))}),
    "true as size": packed({"a": entry("U8", (True,), 0, 1)}, b"\0"),
    "huge": packed({"a": entry(shape=(2**62, 2**62))}),
    "huge yet empty": packed({"a": entry(shape=(0, 2**63), end=0)}, b""),
    "hundred dimensions": packed({"a": entry("U8", (1,) * 100, 0, 1)}, b"\0"),
    "wrong size": packed({"a": entry("F16")}),
    "negative offsets": packed({"a": entry(begin=-16, end=0)}),
    "turned offsets": packed({"a": entry(begin=16, end=0)}),
    "text offsets": packed({"a": {**entry(), "data_offsets": ["0", "16"]}}),
    "overlap": packed({"a": entry(), "b": entry()}),
    "gap": packed({"a": entry(shape=(2,), end=8), "b": entry(shape=(1,), begin=12)}),
    "gap at the start": packed({"a": entry(shape=(2,), begin=8)}),
    "cut data": packed({"a": entry()}, bytes(15)),
    "more data": packed({"a": entry()}, bytes(17)),
    "three bytes": b"\1\2\3",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_gives_one_clear_error_quickly(tmp_path, case):
    path = tmp_path / "x.safetensors"
    path.write_bytes(BROKEN[case])
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(MalformedFileError, match=r"x\.safetensors: \w"):
        files.open(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 0.5  # 0.1 s with a margin for tracing and a busy machine
    assert peak < 50e6


def test_a_sparse_header_costs_nothing(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(struct.pack("<Q", 90_000_000) + b"{")
    os.truncate(path, 10**11)
    tracemalloc.start()
    with pytest.raises(MalformedFileError, match="NUL"):
        files.open(path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@LENIENT
@given(data=st.data())
def test_random_damage_never_gives_another_error(tmp_path, data):
    whole = bytearray(packed({"__metadata__": {"k": "v"}, "a": entry(), "b": entry("BF16", (2, 2), 16, 24)}, bytes(24)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    try:
        weights = files.open(path)
    except PochadeError:
        return
    assert all(weights[name].shape == weights.info(name).shape for name in weights)


@pytest.mark.parametrize("padding", [b"", b" ", b"   ", b"\n\t "])
def test_padding_and_unaligned_data_are_fine(tmp_path, padding):
    values = np.arange(4, dtype=np.float32)
    path = tmp_path / "x"
    path.write_bytes(packed(json.dumps({"a": entry()}).encode() + padding, values.tobytes()))
    assert np.array_equal(files.open(path)["a"], values)


def test_texts_may_hold_braces_quotes_and_escapes(tmp_path):
    metadata = {"json": '{"x": {"y": "}\\""}}', "{": "}", "é": "\n\u2028\\"}
    header = {"__metadata__": metadata, '} "odd': entry(), "": entry("U8", (0,), 16, 16)}
    for ascii_only in (True, False):
        text = json.dumps(header, indent=1, ensure_ascii=ascii_only).encode()
        (tmp_path / "x").write_bytes(packed(text))
        weights = files.open(tmp_path / "x")
        assert (weights.metadata, set(weights)) == (metadata, {'} "odd', ""})


def test_arrays_are_views_that_torch_takes_without_copy(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"a": torch.randn(3, 4), "b": torch.ones(2, dtype=torch.bfloat16)}, path)
    before = path.read_bytes()
    weights = files.open(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(weights["a"])
        half = torch.from_numpy(weights["b"].view(np.int16)).view(torch.bfloat16)
    assert tensor.data_ptr() == weights["a"].ctypes.data
    assert half.tolist() == [1, 1]
    tensor.zero_()
    assert path.read_bytes() == before


def test_a_view_outlives_its_weights(tmp_path):
    files.save(tmp_path / "x", {"a": np.arange(1000)})
    array = files.open(tmp_path / "x")["a"]
    assert np.array_equal(array, np.arange(1000))


def test_weights_tell_of_their_tensors_without_reading(tmp_path):
    files.save(tmp_path / "x", {"a": np.ones((2, 3), np.float16)}, {"title": "t"})
    weights = files.open(str(tmp_path / "x"))
    info = weights.info("a")
    assert (info.dtype, info.shape, info.size, info.nbytes) == ("F16", (2, 3), 6, 12)
    assert weights.shapes() == {"a": (2, 3)}
    assert (weights.format, weights.path, weights.metadata) == ("safetensors", tmp_path / "x", {"title": "t"})
    assert "a" in weights and "b" not in weights and len(weights) == 1
    assert repr(weights).startswith("<Weights: 1 tensors, safetensors")


def test_many_tensors_are_read_in_good_time(tmp_path):
    names = {f"name.{number}": entry("U8", (1,), number, number + 1) for number in range(20_000)}
    (tmp_path / "x").write_bytes(packed(names, bytes(20_000)))
    began = time.process_time()
    assert len(files.open(tmp_path / "x")) == 20_000
    assert time.process_time() - began < 2


def test_many_entries_are_all_read_and_none_may_stand_there_twice(tmp_path):
    table = {f"t{number}": entry("U8", (1,), number, number + 1) for number in range(600)}
    path = tmp_path / "x.safetensors"
    path.write_bytes(packed(table, bytes(600)))
    assert list(files.open(path)) == list(table)
    text = json.dumps(table)[:-1] + ', "t0": ' + json.dumps(entry("U8", (1,), 600, 601)) + "}"
    path.write_bytes(packed(text.encode(), bytes(601)))
    with pytest.raises(MalformedFileError, match="'t0' stands there twice"):
        files.open(path)
