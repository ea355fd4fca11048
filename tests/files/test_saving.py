"""Saving: whole or not at all, and readable by everyone."""

import errno
import os
from functools import partial
from itertools import repeat
from threading import Barrier

import ml_dtypes
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pochade import files
from pochade.errors import FileError, ResourceError, UsageError
from pochade.files import LazyArray, TensorInfo, Weights
from pochade.files.dtypes import numpy_dtype
from pochade.files.saving import saving

DTYPES = ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32", "I16", "I8", "U8", "BOOL"]
TORCH = {"BF16": torch.bfloat16, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F16": torch.float16}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda name: name != "__metadata__")
LENIENT = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def arrays(draw):
    dtype = numpy_dtype(draw(st.sampled_from(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    raw = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2, (*shape, dtype.itemsize), dtype=np.uint8)
    return raw.view(dtype)[..., 0]


def raw(array):
    return np.ascontiguousarray(array).tobytes(), array.dtype.name, array.shape


def failing(error):
    def load():
        raise error

    return Weights({"a": LazyArray.of(np.ones(3)), "b": LazyArray(TensorInfo("F32", (2,)), load)})


@LENIENT
@given(tensors=st.dictionaries(NAMES, arrays(), max_size=6), metadata=st.dictionaries(NAMES, NAMES, max_size=3))
def test_what_is_saved_is_read_again(tmp_path, tensors, metadata):
    path = files.save(tmp_path / "a.safetensors", tensors, metadata)
    read = files.open(path)
    assert {name: raw(read[name]) for name in read} == {name: raw(array) for name, array in tensors.items()}
    assert read.metadata == metadata
    assert all(read.info(name).nbytes == read[name].nbytes for name in read)


@LENIENT
@given(tensors=st.dictionaries(NAMES, arrays(), max_size=6))
def test_the_reference_library_reads_our_files(tmp_path, tensors):
    path = files.save(tmp_path / "a.safetensors", tensors)
    theirs = safetensors.torch.load_file(path)
    assert theirs.keys() == tensors.keys()
    for name, array in tensors.items():
        assert theirs[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes() == array.tobytes()


def test_tensors_are_aligned_whatever_their_order(tmp_path):
    tensors = {"a": np.ones(3, np.int8), "b": np.ones(3, np.float64), "c": np.ones(5, np.float16), "d": np.float32(1)}
    read = files.open(files.save(tmp_path / "x", {name: np.asarray(array) for name, array in tensors.items()}))
    assert all(read[name].flags.aligned for name in read)


def test_odd_layouts_are_written_as_plain_ones(tmp_path):
    tensors = {"turned": np.arange(6).reshape(2, 3).T, "big": np.arange(3, dtype=">f4"), "step": np.arange(9)[::2]}
    read = files.open(files.save(tmp_path / "x", tensors))
    assert all(np.array_equal(read[name], tensors[name]) for name in tensors)
    assert read.info("big").dtype == "F32"


def test_metadata_is_kept_unless_new_is_given(tmp_path):
    source = Weights.from_arrays({"a": np.ones(1)}, {"title": "ü"})
    assert files.open(files.save(tmp_path / "x", source)).metadata == {"title": "ü"}
    assert files.open(files.save(tmp_path / "x", source, {})).metadata == {}


def test_a_file_may_be_saved_over_itself(tmp_path):
    path = files.save(tmp_path / "x", {"a": np.arange(100_000)})
    source = files.open(path)
    files.save(path, source, {"again": "yes"})
    assert np.array_equal(files.open(path)["a"], np.arange(100_000))
    assert np.array_equal(source["a"], np.arange(100_000))


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(errno.ENOSPC, "full"), ResourceError),
        (OSError(errno.EIO, "broken"), FileError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ValueError("odd"), ValueError),
    ],
)
def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, error, seen):
    path = files.save(tmp_path / "x", {"old": np.ones(2)})
    with pytest.raises(seen):
        files.save(path, failing(error))
    assert list(files.open(path)) == ["old"]
    assert os.listdir(tmp_path) == ["x"]


def test_what_a_killed_process_left_is_taken_over(tmp_path):
    path = tmp_path / "x"
    seen = []
    watch = Weights({"a": LazyArray(TensorInfo("F64", (1,)), lambda: seen.extend(os.listdir(tmp_path)) or np.ones(1))})
    files.save(path, watch)
    left = next(name for name in seen if name.endswith(".part"))
    (tmp_path / left).write_bytes(b"x" * 10_000)
    files.save(path, {"a": np.ones(1)})
    assert os.listdir(tmp_path) == ["x"]
    assert files.open(path)["a"] == 1


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "x"
    inner = partial(files.save, path, {"inner": np.ones(1)})
    outer = Weights({"outer": LazyArray(TensorInfo("F64", (1,)), lambda: inner() and np.ones(1))})
    with pytest.raises(FileError, match="another process"):
        files.save(path, outer)
    assert os.listdir(tmp_path) == []


def test_one_tensor_is_made_while_another_is(tmp_path):
    meeting = Barrier(2, timeout=10)
    info = TensorInfo("I64", (3,))
    pair = {name: LazyArray(info, lambda: np.full(3, meeting.wait()).cumsum()) for name in "ab"}
    found = files.open(files.save(tmp_path / "x", Weights(pair)))
    assert sorted(found[name].tolist() for name in found) == [[0, 0, 0], [1, 2, 3]]


def test_who_stops_listening_ends_the_work(tmp_path):
    count = 1 << 28
    long = LazyArray(TensorInfo("U8", (count,)), lambda: np.zeros(count), lambda: repeat(np.zeros(1, np.uint8), count))
    events = saving(tmp_path / "x", Weights({"a": LazyArray.of(np.ones(1)), "b": long}), {})
    next(events)
    events.close()  # hours before it would be written
    assert os.listdir(tmp_path) == []


def test_a_disk_without_room_is_refused_before_writing(tmp_path):
    huge = Weights({"a": LazyArray(TensorInfo("F32", (1 << 50,)), lambda: np.ones(1))})
    with pytest.raises(ResourceError, match="MB free"):
        files.save(tmp_path / "x", huge)
    assert os.listdir(tmp_path) == []


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.save(tmp_path / "link", {"a": np.ones(1)})
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").is_file()


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        ({"__metadata__": np.ones(1)}, {}),
        ({"a": np.ones(1)}, {"n": 1}),
        ({"\ud800": np.ones(1)}, {}),
        ({"a": np.ones(1)}, {"\ud800": ""}),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path, tensors, metadata):
    with pytest.raises(UsageError):
        files.save(tmp_path / "x", tensors, metadata)
    assert os.listdir(tmp_path) == []


def test_numbers_without_a_name_are_refused(tmp_path):
    with pytest.raises(UsageError, match="complex128"):
        files.save(tmp_path / "x", {"a": np.ones(1, np.complex128)})


def test_a_tensor_unlike_its_announcement_is_refused(tmp_path):
    wrong = Weights({"a": LazyArray(TensorInfo("F32", (2,)), lambda: np.ones(3, np.float32))})
    with pytest.raises(UsageError, match="announced"):
        files.save(tmp_path / "x", wrong)
    wrong = Weights({"a": LazyArray(TensorInfo("F32", (2,)), lambda: np.ones(2, ml_dtypes.bfloat16))})
    with pytest.raises(UsageError, match="announced"):
        files.save(tmp_path / "x", wrong)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileError, match="cannot be written"):
        files.save(tmp_path / "none" / "x", {"a": np.ones(1)})
