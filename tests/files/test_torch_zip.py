"""torch checkpoints: what torch saves is read without torch, and nothing in a pickle is ever run."""

import argparse
import os
import time
import zipfile
from collections import OrderedDict, defaultdict
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pochade import files
from pochade.errors import MalformedFileError, PochadeError, UnsafeFileError
from pochade.files.pickles import Stub

from .torch_zips import checkpoint, name, number, pickled, table, tensor, text, zipped

LENIENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint32,
]  # fmt: skip


def same(array, wanted):
    wanted = wanted.detach().contiguous()
    raw = wanted.reshape(-1).view(torch.uint8).numpy().tobytes() if wanted.numel() else b""
    return array.shape == tuple(wanted.shape) and np.ascontiguousarray(array).tobytes() == raw


def saved(path, value, **options):
    torch.save(value, path, **options)
    return files.open(path)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_format_is_read(tmp_path, dtype):
    tensors = {"a": torch.randn(3, 5).mul(9).to(dtype), "scalar": torch.ones(()).to(dtype), "none": torch.zeros(0, 3)}
    weights = saved(tmp_path / "x", tensors)
    assert weights.format == "ckpt"
    assert all(same(weights[each], wanted) for each, wanted in tensors.items())


def test_views_share_storage_and_keep_their_strides(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {"turned": base.T, "part": base[1:3, 2:5], "step": base[:, ::2], "tied": base, "again": base}
    tensors["wide"] = torch.ones(3).expand(1, 3)
    weights = saved(tmp_path / "x", tensors)
    assert all(same(weights[each], wanted) for each, wanted in tensors.items())
    assert weights["tied"].ctypes.data == weights["part"].ctypes.data - 8 * 4


def test_stored_tensors_are_mapped_not_copied(tmp_path):
    weights = saved(tmp_path / "x", {"a": torch.ones(1000)})
    assert np.shares_memory(weights["a"], weights["a"])
    assert torch.from_numpy(weights["a"]).sum() == 1000


def test_parameters_and_their_kin_are_tensors(tmp_path):
    odd = torch.ones(2)
    odd.note = "kept by torch as state"
    parameters = torch.nn.ParameterDict({"*": torch.nn.Parameter(torch.ones(3, 8))})
    weights = saved(tmp_path / "x", {"p": torch.nn.Parameter(torch.ones(2)), "odd": odd, "string_to_param": parameters})
    assert set(weights) == {"p", "odd", "string_to_param.*"}
    assert weights["string_to_param.*"].shape == (3, 8)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors, "epoch": 3},
        lambda tensors: {"state_dict": {"state_dict": tensors}, "epoch": 3},
        lambda tensors: {"model": tensors, "epoch": 3},
        lambda tensors: {"params_ema": tensors, "params": {"other": torch.ones(1)}},
        lambda tensors: {"module": {"state_dict": tensors}},
        lambda tensors: {"net": tensors},
        lambda tensors: {"ema": tensors, "epoch": 3},
        lambda tensors: {"model_ema": tensors},
        lambda tensors: {f"module.{name}": each for name, each in tensors.items()},
    ],
)
def test_wrappings_are_taken_off(tmp_path, wrap):
    tensors = OrderedDict({"a.weight": torch.ones(2), "b": torch.zeros(1)})
    assert list(saved(tmp_path / "x", wrap(tensors))) == ["a.weight", "b"]


def test_what_stands_beside_the_tensors_is_kept_as_data(tmp_path):
    value = {
        "state_dict": {"a": torch.ones(1)},
        "global_step": 470000,
        "args": argparse.Namespace(lr=0.1),
        "counts": defaultdict(int, {"x": 1}),
        "shape": torch.Size([1, 2]),
        "score": np.float32(0.5),
        "folder": Path("x"),
        "raw": b"\xff\0",
        "odd": {1, 2},
        "type": torch.float16,
        "device": torch.device("cpu"),
    }
    extra = saved(tmp_path / "x", value).extra
    assert extra["global_step"] == 470000
    assert isinstance(extra["args"], Stub) and extra["args"].state == {"lr": 0.1}
    assert (extra["counts"], extra["shape"], extra["raw"], extra["odd"]) == ({"x": 1}, (1, 2), b"\xff\0", {1, 2})


def test_embeddings_and_hypernetworks_get_dotted_names(tmp_path):
    network = {"linear.0.weight": torch.ones(4, 2)}
    weights = saved(tmp_path / "x", {320: (network, network), "step": 5, "name": "n"})
    assert set(weights) == {"320.0.linear.0.weight"}  # the same dictionary twice is entered once
    weights = saved(tmp_path / "y", {320: (network, dict(network)), "step": 5})
    assert set(weights) == {"320.0.linear.0.weight", "320.1.linear.0.weight"}
    assert weights.extra == {"step": 5}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_is_read(tmp_path, protocol):
    value = {
        "state_dict": {f"k{n}": torch.ones(1) for n in range(300)},
        "big": 2**70,
        "minus": -5,
        "x": [1.5, None, True],
    }
    weights = saved(tmp_path / "x", value, pickle_protocol=protocol)
    assert len(weights) == 300
    assert weights.extra == {"big": 2**70, "minus": -5, "x": [1.5, None, True]}


def test_packed_members_are_inflated(tmp_path):
    data = np.arange(4, dtype=np.float32).tobytes()
    (tmp_path / "x").write_bytes(checkpoint(pickled(table(a=tensor())), data, zipfile.ZIP_DEFLATED))
    assert files.open(tmp_path / "x")["a"].tolist() == [0, 1, 2, 3]


SYSTEM = text("x") + b"\x85R"
UNSAFE = {
    "global": name("os", "system") + SYSTEM,
    "builtin": name("builtins", "eval") + SYSTEM,
    "stack global": text("posix") + text("system") + b"\x93" + SYSTEM,
    "stack global through the memo": text("posix") + b"q\x00" + text("system") + b"q\x0100h\x00h\x01\x93" + SYSTEM,
    "inst": b"(" + text("x") + b"iposix\nsystem\n",
    "obj": b"(" + name("posix", "system") + text("x") + b"o",
    "dotted": text("collections") + text("OrderedDict.__init__") + b"\x93",
    "split elsewhere": text("torch._utils _rebuild_tensor_v2") + text("") + b"\x93",
    "space in the name": text("torch") + text("FloatStorage x") + b"\x93",
    "extension registry": b"\x82\x01",
    "as a key": b"}" + name("os", "system") + number(1) + b"s",
    "before the stream breaks": name("os", "system") + b"\xff",
    "known module, other name": name("torch._utils", "_import_dotted_name"),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_foreign_names_are_refused_and_nothing_is_run(tmp_path, monkeypatch, case):
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("code of the file was run"))
    path = tmp_path / "x"
    for pickle in (UNSAFE[case], table(a=tensor(), b=UNSAFE[case])):
        path.write_bytes(checkpoint(b"\x80\x04" + pickle + b"."))
        with pytest.raises(UnsafeFileError, match="nothing was run"):
            files.open(path)


@pytest.mark.parametrize(
    "more", [{"code/a.py": b"1"}, {".hidden/readme.txt": pickled(b"N")}, {"constants.pkl": b"."}, {"../up": b""}]
)
def test_members_that_torch_would_not_write_are_refused(tmp_path, more):
    (tmp_path / "x").write_bytes(checkpoint(pickled(table(a=tensor())), **more))
    with pytest.raises(UnsafeFileError, match="no weights need"):
        files.open(tmp_path / "x")


def test_a_second_pickle_behind_the_first_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(checkpoint(pickled(b"}") + pickled(UNSAFE["global"])))
    with pytest.raises(UnsafeFileError, match="follows"):
        files.open(tmp_path / "x")


DEEP = 50_000
BROKEN = {
    "no stop": b"}",
    "empty stack": b".",
    "unknown opcode": b"\xff.",
    "mark left": b"(.",
    "missing memo": b"h\x07.",
    "mark remembered": b"(q\x00.",
    "long text": b"X\xff\xff\xff\xff.",
    "wide text": b"\x8d" + b"\xff" * 8 + b".",
    "wide bytes": b"\x8e" + b"\xff" * 7 + b"\x7f.",
    "negative length": b"T\xff\xff\xff\xff.",
    "newest protocol": b"\x80\x09}.",
    "out of band": b"\x97.",
    "call of a text": text("x") + b")R.",
    "call of a stub": name("argparse", "Namespace") + b")R)R.",
    "keywords": name("argparse", "Namespace") + b")" + table(a=b"N") + b"\x92.",
    "state on a tensor": table(a=tensor() + b"}b") + b".",
    "items on a tensor": tensor() + text("a") + b"Ns.",
    "append to a dictionary": b"}Na.",
    "key without value": b"}(Nu.",
    "list as key": b"}]Ns.",
    "deep key": b"}" + b")" + b"\x85" * DEEP + b"Ns.",
    "huge key": b"}\x8a\x09" + b"\xff" * 8 + b"\x7fNs.",
    "huge number in digits": b"I" + b"9" * 100_000 + b"\n.",
    "unquoted text": b"Sx\n.",
    "names that are no texts": b"NN\x93.",
    "foreign persistent id": text("x") + b"Q.",
    "persistent line": b"Px\n.",
    "no such storage": table(a=tensor(key="1")) + b".",
    "storage of another size": table(a=tensor(count=5)) + b".",
    "negative storage": table(a=tensor(count=-4)) + b".",
    "beyond the storage": table(a=tensor(shape=(5,))) + b".",
    "offset beyond the storage": table(a=tensor(offset=1)) + b".",
    "negative offset": table(a=tensor(offset=-1)) + b".",
    "stride beyond the storage": table(a=tensor(shape=(2,), strides=(4,))) + b".",
    "negative stride": table(a=tensor(offset=3, strides=(-1,))) + b".",
    "negative size": table(a=tensor(shape=(-4,))) + b".",
    "swollen by stride 0": table(a=tensor(shape=(2**30, 2**30), strides=(0, 0))) + b".",
    "strides missing": table(a=tensor(strides=())) + b".",
    "huge and empty": table(a=tensor(shape=(0, 2**31 - 1, 2**31 - 1, 2**31 - 1), strides=(1, 1, 1, 1))) + b".",
    "tensor of texts": name("torch._utils", "_rebuild_tensor_v2") + b"(" + text("a") * 6 + b"tR.",
    "third form of nothing": name("torch._utils", "_rebuild_tensor_v3") + b")R.",
    "parameter of nothing": name("torch._utils", "_rebuild_parameter") + b"N\x85R.",
    "nested rebuilding": name("torch._tensor", "_rebuild_from_type_v2") + b"2" + b"N)N" + b"(" + b"NNNN" + b"tR.",
    "wrong encoding": name("_codecs", "encode") + text("a") + text("rot13") + b"\x86R.",
    "encoding of a list": name("_codecs", "encode") + b"]\x85R.",
    "big byte string": name("builtins", "bytearray") + b"J\xff\xff\xff\x7f\x85R.",
    "copies": b"](" + b"N" * 50_000 + b"eq\x00" + (name("builtins", "list") + b"h\x00\x85R") * 200 + b".",
}


@pytest.mark.parametrize(
    "swarm",
    [
        b"\x8f" * 1_100_000,
        name("argparse", "Namespace") + b"q\x00" + b"h\x00)R" * 850_000,
    ],
    ids=["sets", "stubs"],
)
@pytest.mark.slow
def test_what_takes_much_memory_counts_as_many_steps(tmp_path, swarm):
    (tmp_path / "x").write_bytes(checkpoint(b"\x80\x04" + swarm + b"."))
    with pytest.raises(MalformedFileError, match="steps"):
        files.open(tmp_path / "x")


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_pickle_gives_one_clear_error(tmp_path, case):
    path = tmp_path / "x"
    path.write_bytes(checkpoint(b"\x80\x02" + BROKEN[case]))
    began = time.process_time()
    with pytest.raises(MalformedFileError):
        files.open(path)
    assert time.process_time() - began < 0.5


def test_deep_and_circular_data_is_walked_safely(tmp_path):
    path = tmp_path / "x"
    circle = b"}q\x00" + text("me") + b"h\x00s" + text("a") + tensor() + b"s"
    for pickle in (table(a=tensor(), deep=b"]" * DEEP + b"a" * (DEEP - 1)), circle):
        path.write_bytes(checkpoint(pickled(pickle)))
        assert list(files.open(path)) == ["a"]


def test_two_tensors_of_one_name_are_refused(tmp_path):
    value = b"}(" + text("a.b") + tensor() + text("a") + table(b=tensor()) + b"u"
    (tmp_path / "x").write_bytes(checkpoint(pickled(value)))
    with pytest.raises(MalformedFileError, match="two tensors"):
        files.open(tmp_path / "x")


GOOD = checkpoint(pickled(table(a=tensor())))
DIRECTORY = GOOD.index(b"PK\1\2")


def changed(position, value, content=GOOD):
    return content[:position] + value + content[position + len(value) :]


ZIPS = {
    "cut": GOOD[:-1],
    "cut in half": GOOD[: len(GOOD) // 2],
    "something before": b"PK\3\4" + GOOD,
    "something behind": GOOD + b"\0",
    "other name inside": changed(30, b"b"),
    "other size inside": changed(22, b"\1"),
    "encrypted": changed(DIRECTORY + 8, b"\1"),
    "other method": changed(DIRECTORY + 10, b"\x0c"),
    "negative count": changed(len(GOOD) - 14, b"\xff\xff\xff\xff"),
    "directory elsewhere": changed(len(GOOD) - 6, b"\1\0\0\0"),
    "member elsewhere": changed(DIRECTORY + 42, b"\7\0\0\0"),
    "member beyond the end": changed(DIRECTORY + 42, b"\xf0\xff\xff\x7f"),
    "wrong checksum": changed(14, b"\0\0\0\0", changed(DIRECTORY + 16, b"\0\0\0\0")),
    "no pickle": zipped({"archive/version": b"3\n"}),
    "two pickles": zipped({"a/data.pkl": pickled(b"}"), "b/data.pkl": pickled(b"}")}),
    "big endian": checkpoint(pickled(table(a=tensor())), byteorder=b"big"),
    "bomb": checkpoint(b"\x80\x02" + b"N0" * 5_000_000 + b"N.", method=zipfile.ZIP_DEFLATED),
    "storage bomb": checkpoint(pickled(table(a=tensor(count=10**7))), bytes(4 * 10**7), zipfile.ZIP_DEFLATED),
}


@pytest.mark.parametrize("case", ZIPS)
def test_a_broken_zip_gives_one_clear_error(tmp_path, case):
    path = tmp_path / "x"
    path.write_bytes(ZIPS[case])
    began = time.process_time()
    with pytest.raises(MalformedFileError):
        files.open(path)
    assert time.process_time() - began < 0.5


def test_a_damaged_packed_storage_is_an_error_when_it_is_used(tmp_path):
    data = np.random.default_rng(0).bytes(4000)
    whole = checkpoint(pickled(table(a=tensor(count=1000, shape=(1000,)))), data, zipfile.ZIP_DEFLATED)
    at = whole.index(b"archive/data/0") + 2000
    (tmp_path / "x").write_bytes(whole[:at] + bytes(500) + whole[at + 500 :])
    weights = files.open(tmp_path / "x")
    with pytest.raises(MalformedFileError, match="data/0"):
        weights["a"]


@LENIENT
@given(data=st.data())
def test_random_damage_never_gives_another_error(tmp_path, data):
    whole = bytearray(GOOD)
    inside = st.integers(30, DIRECTORY - 1) if data.draw(st.booleans()) else st.integers(0, len(whole) - 1)
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(inside)] = data.draw(st.integers(0, 255))
    path = tmp_path / "x"
    path.write_bytes(whole)
    try:
        weights = files.open(path)
        assert all(weights[each].shape == weights.info(each).shape for each in weights)
    except PochadeError:
        pass


@LENIENT
@given(
    body=st.binary(max_size=60),
    seed=st.lists(st.sampled_from(b"()]}tuesaRbQcqh0129.\x85\x86\x93\x81\x94K"), max_size=40),
)
def test_random_pickles_never_give_another_error(tmp_path, body, seed):
    (tmp_path / "x").write_bytes(checkpoint(b"\x80\x04" + bytes(seed) + body))
    with suppress(PochadeError):
        files.open(tmp_path / "x")
