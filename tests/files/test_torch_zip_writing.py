"""Checkpoints that Pochade writes: torch reads them, our own reader too, and the same weights give the same bytes."""

import numpy as np
import pytest
import torch

from pochade import files
from pochade.errors import UsageError
from pochade.events import Saved, Step
from pochade.files.torch_zip_writing import saving_torch

from .test_torch_zip import same

TENSORS = {
    "a": torch.randn(3, 5),
    "half": torch.randn(2, 3, 4).half(),
    "brain": torch.randn(7).bfloat16(),
    "ids": torch.arange(77)[None],
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
    "ключ": torch.ones(300_000),
}


def written(tmp_path, name="out.ckpt"):
    source = files.save(
        tmp_path / "in.safetensors",
        {name: each.numpy() if each.dtype != torch.bfloat16 else brain(each) for name, each in TENSORS.items()},
    )
    path = tmp_path / name
    return path, list(saving_torch(path, files.open(source), {"global_step": 840_000, "note": "x"}))


def brain(tensor):
    import ml_dtypes

    return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)


def test_torch_reads_what_is_written(tmp_path):
    path, events = written(tmp_path)
    found = torch.load(path, weights_only=True)
    assert found["global_step"] == 840_000
    assert found["note"] == "x"
    for name, tensor in TENSORS.items():
        assert found["state_dict"][name].dtype == tensor.dtype
        assert torch.equal(found["state_dict"][name], tensor)
    assert torch.equal(torch.load(path, mmap=True)["state_dict"]["a"], TENSORS["a"])
    assert isinstance(events[-1], Saved)
    assert all(isinstance(event, Step) for event in events[:-1])


def test_our_reader_reads_it_and_calls_it_safe(tmp_path):
    path, _ = written(tmp_path)
    weights = files.open(path)
    assert all(same(weights[name], tensor) for name, tensor in TENSORS.items())
    assert [each.verdict for each in files.scan(path)] == ["safe"]


def test_the_same_weights_give_the_same_bytes(tmp_path):
    assert written(tmp_path, "a.ckpt")[0].read_bytes() == written(tmp_path, "b.ckpt")[0].read_bytes()


def test_what_torch_has_no_storage_for_is_refused(tmp_path):
    weights = files.Weights.from_arrays({"a": np.ones(3, np.uint32)})
    with pytest.raises(UsageError, match="safetensors file instead"):
        list(saving_torch(tmp_path / "x.ckpt", weights, {}))
    assert not list(tmp_path.iterdir())
