"""The same weights are found in any container, and different ones are told apart."""

from dataclasses import replace

import numpy as np
import pytest

from pochade import files
from pochade.events import Made
from pochade.files.torch_zip_writing import saving_torch
from pochade.library import duplicates
from pochade.library.database import connected
from pochade.library.duplicates import duplicating, same_weights, sample

from .models import entry


def weights(seed=1, dtype=np.float16):
    random = np.random.default_rng(seed)
    return {f"lora_unet_{each}.lora_down.weight": random.standard_normal((4, 300)).astype(dtype) for each in range(50)}


def saved(path, arrays):
    if path.suffix == ".pt":
        list(saving_torch(path, files.Weights.from_arrays(arrays), {}))
    else:
        files.save(path, arrays)
    return path


def listed(*paths):
    size = {"tensors": 50, "parameters": 60_000, "dtypes": ("F16",)}
    return [replace(entry(path.name, **size), path=path, file=path) for path in paths]


def groups(entries, exact=False):
    return [[each.name for each in event.result] for event in duplicating(entries, exact) if isinstance(event, Made)]


@pytest.fixture
def three(home, tmp_path):
    """A LoRA, the same as a pickle, and another."""
    one, two = saved(tmp_path / "one.safetensors", weights()), saved(tmp_path / "two.pt", weights())
    return listed(one, two, saved(tmp_path / "three.safetensors", weights(2)))


@pytest.mark.parametrize("exact", [False, True])
def test_a_pickle_and_its_safetensors_are_the_same(three, exact):
    assert groups(three, exact) == [["one.safetensors", "two.pt"]]


def test_one_number_is_enough_for_an_exact_look(home, tmp_path):
    changed = weights()
    changed["lora_unet_7.lora_down.weight"][0, 0] += 1
    pair = listed(saved(tmp_path / "a.safetensors", weights()), saved(tmp_path / "b.safetensors", changed))
    assert groups(pair) == [["a.safetensors", "b.safetensors"]]
    assert groups(pair, exact=True) == []


def test_numbers_that_are_none_are_compared_too(tmp_path):
    odd = weights()
    odd["lora_unet_7.lora_down.weight"][:] = np.nan
    assert same_weights(saved(tmp_path / "a.safetensors", odd), saved(tmp_path / "b.pt", odd))


def test_what_can_go_does_not_count(tmp_path):
    with_junk = weights() | {"betas": np.zeros(3, np.float32)}
    one, two = saved(tmp_path / "a.safetensors", with_junk), saved(tmp_path / "b.safetensors", weights())
    assert sample(one) == sample(two)
    assert same_weights(one, two)


def test_another_precision_is_another_model(tmp_path):
    one, two = (
        saved(tmp_path / "a.safetensors", weights()),
        saved(tmp_path / "b.safetensors", weights(dtype=np.float32)),
    )
    assert sample(one) != sample(two)
    assert not same_weights(one, two)


def test_names_of_one_file_are_no_duplicates(three, tmp_path):
    (tmp_path / "link.safetensors").symlink_to(three[0].path)
    (tmp_path / "hard.safetensors").hardlink_to(three[0].path)
    assert groups([three[0], *listed(tmp_path / "link.safetensors", tmp_path / "hard.safetensors")]) == []


def test_files_that_are_gone_or_broken_are_passed_over(three, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    entries = [*three, *listed(tmp_path / "broken.safetensors", tmp_path / "none.safetensors")]
    assert groups(entries) == [["one.safetensors", "two.pt"]]


def test_only_models_of_the_same_size_are_opened(three, monkeypatch):
    others = [replace(each, facts=replace(each.facts, tensors=number + 1)) for number, each in enumerate(three)]
    monkeypatch.setattr(duplicates, "open_model", lambda path: pytest.fail(f"{path} was opened"))
    assert groups(others) == []


def test_a_look_is_remembered(three, monkeypatch):
    with connected() as base:
        base.executemany("INSERT INTO files (path) VALUES (?)", [[bytes(each.file)] for each in three])
    first = groups(three)
    monkeypatch.setattr(duplicates, "open_model", lambda path: pytest.fail(f"{path} was opened"))
    assert groups(three) == first
