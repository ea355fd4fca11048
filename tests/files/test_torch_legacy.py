"""Checkpoints of torch before 1.6, tars of its first releases and plain pickles: read as torch would, never run."""

import io
import pickle
import struct
import tarfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pochade import files
from pochade.errors import MalformedFileError, PochadeError, UnsafeFileError

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


def legacy(path, value):
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_format_is_read(tmp_path, dtype):
    tensors = {"a": torch.randn(3, 5).mul(9).to(dtype), "scalar": torch.ones(()).to(dtype)}
    weights = files.open(legacy(tmp_path / "x", tensors))
    assert weights.format == "ckpt-legacy"
    for name, tensor in tensors.items():
        assert weights.info(name).shape == tuple(tensor.shape)
        assert np.ascontiguousarray(weights[name]).tobytes() == tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def test_views_and_wrappers_are_read(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    value = {"state_dict": {"turned": base.T, "part": base[1:3, 2:5], "tied": base}, "global_step": 7}
    weights = files.open(legacy(tmp_path / "x", value))
    assert set(weights) == {"turned", "part", "tied"}
    assert weights.extra["global_step"] == 7
    np.testing.assert_array_equal(weights["turned"], base.T.numpy())
    np.testing.assert_array_equal(weights["part"], base[1:3, 2:5].numpy())


def test_a_plain_pickle_of_arrays_is_read(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.asfortranarray(np.eye(3, 2)), "step": 4}
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    weights = files.open(path)
    assert set(weights) == {"a", "b"}
    np.testing.assert_array_equal(weights["a"], arrays["a"])
    np.testing.assert_array_equal(weights["b"], arrays["b"])


def test_a_pickle_without_arrays_has_no_tensors(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps({"step": 4, "name": "cat"}, protocol=2))
    assert len(files.open(path)) == 0


@pytest.mark.parametrize("cut", [1, 9, 40])
def test_a_cut_file_is_named(tmp_path, cut):
    path = legacy(tmp_path / "x", {"a": torch.ones(100), "b": torch.ones(3)})
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(MalformedFileError, match="is cut"):
        files.open(path)


def test_bytes_after_the_last_storage_are_refused(tmp_path):
    path = legacy(tmp_path / "x", {"a": torch.ones(100)})
    path.write_bytes(path.read_bytes() + pickle.dumps(print))
    with pytest.raises(UnsafeFileError, match="follow its last pickle"):
        files.open(path)


class Harm:
    def __reduce__(self):
        return (exec, ("raise SystemExit",))


@pytest.mark.parametrize("place", range(5))
def test_code_in_any_of_the_five_pickles_is_refused_unrun(tmp_path, place):
    """The magic number, the protocol, the facts of the machine, the object, the list of storages."""
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {"a": 1}, []]
    parts[place] = Harm()
    path = tmp_path / "x"
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    with pytest.raises(UnsafeFileError, match="exec"):
        files.open(path)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_code_in_a_plain_pickle_is_refused_unrun(tmp_path, protocol):
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps({"a": Harm()}, protocol=protocol))
    with pytest.raises(UnsafeFileError, match="exec"):
        files.open(path)


def tarred(path, tensors: dict[str, torch.Tensor], inner: bytes | None = None):
    """A tar as torch 0.1.10 wrote it."""
    kind = torch.FloatStorage
    storages, described = pickle.dumps(len(tensors), 2), pickle.dumps(len(tensors), 2)
    for number, tensor in enumerate(tensors.values()):
        flat = tensor.contiguous().reshape(-1)
        storages += pickle.dumps((number, "cpu", kind), 2) + struct.pack("<q", flat.numel()) + flat.numpy().tobytes()
        described += pickle.dumps((100 + number, number, torch.FloatTensor), 2)
        sizes = (*tensor.shape, *tensor.contiguous().stride(), 0)
        described += struct.pack(f"<i4x{len(sizes)}q", tensor.ndim, *sizes)
    storages += pickle.dumps([], 2)

    class Saving(pickle.Pickler):
        def persistent_id(self, each):
            return each[1] if isinstance(each, tuple) and each[0] == "tensor" else None

    stream = io.BytesIO()
    Saving(stream, 2).dump({name: ("tensor", 100 + number) for number, name in enumerate(tensors)})
    parts = {"sys_info": pickle.dumps({}, 2), "storages": storages, "tensors": described}
    parts["pickle"] = stream.getvalue() if inner is None else inner
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_a_tar_is_read_as_torch_reads_it(tmp_path):
    tensors = {"a": torch.randn(3, 4), "b": torch.randn(5)}
    path = tarred(tmp_path / "x", tensors)
    weights = files.open(path)
    theirs = torch.load(path, weights_only=False)
    assert weights.format == "ckpt-legacy"
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())
        torch.testing.assert_close(theirs[name], tensor)


def test_code_in_a_tar_is_refused_unrun(tmp_path):
    with pytest.raises(UnsafeFileError, match="exec"):
        files.open(tarred(tmp_path / "x", {"a": torch.ones(2)}, pickle.dumps(Harm(), 2)))


def test_a_foreign_member_of_a_tar_is_refused(tmp_path):
    path = tarred(tmp_path / "x", {"a": torch.ones(2)})
    with tarfile.open(path, "a") as tar:
        tar.addfile(tarfile.TarInfo("../evil"), io.BytesIO())
    with pytest.raises(UnsafeFileError, match="evil"):
        files.open(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_always_explained(tmp_path, data):
    """Any change of bytes gives weights or one of our errors."""
    maker = data.draw(st.sampled_from([legacy, tarred]))
    content = bytearray(maker(tmp_path / "whole", {"a": torch.ones(2, 3), "b": torch.zeros(4)}).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged").write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        weights = files.open(tmp_path / "damaged")
        for name in weights:
            np.array(weights[name])
    except PochadeError:
        pass
