"""A verb that dies on the way leaves inputs and old results as they were, and the next run clears up behind it."""

import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from pochade import files

from ..families.manifests import narrow, shapes

RUN = """
import os, signal, sys
from pathlib import Path
from pochade.events import Step
from pochade.operations.convert import Conversion, converting
from pochade.operations.merge import Merge, merging
from pochade.operations.extract import extracting_part
a, b, target = map(Path, sys.argv[2:5])
work = {
    "convert": lambda: converting(a, target, Conversion(dtype="fp16", keep_junk=True)),
    "folder": lambda: converting(a, target, Conversion(keep_junk=True)),
    "ckpt": lambda: converting(a, target, Conversion()),
    "merge": lambda: merging([a, b], Merge(factors=(0.5, 0.5)), target),
    "extract": lambda: extracting_part(a, "unet", target),
}[sys.argv[1]]()
for number, event in enumerate(work):
    if isinstance(event, Step) and number == int(sys.argv[5]):
        os.kill(os.getpid(), signal.SIGKILL)
"""
TARGETS = {
    "convert": "x.safetensors",
    "folder": "x",
    "ckpt": "x.ckpt",
    "merge": "x.safetensors",
    "extract": "x.safetensors",
}
NEVER = 10**9


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(1)
    tensors = {name: rng.standard_normal(shape, np.float32) for name, shape in narrow(shapes("sd15.ldm"), 32).items()}
    a = files.save(folder / "a.safetensors", tensors)
    return a, files.save(folder / "b.safetensors", {name: -array for name, array in tensors.items()})


def run(verb, models, target, dies_at=NEVER, most=None):
    def limit():
        if most:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    words = [sys.executable, "-c", RUN, verb, *map(str, models), str(target), str(dies_at)]
    return subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=limit)


@pytest.mark.parametrize("verb", TARGETS)
def test_killed_in_the_middle(verb, models, tmp_path):
    before = [path.read_bytes() for path in models]
    target = tmp_path / TARGETS[verb]
    assert run(verb, models, target, dies_at=200).returncode == -signal.SIGKILL
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1  # what the killed one left
    assert run(verb, models, target).returncode == 0
    assert [each.name for each in tmp_path.iterdir()] == [target.name]
    assert len(files.open(target)) > 100
    assert [path.read_bytes() for path in models] == before


@pytest.mark.parametrize("verb", TARGETS)
def test_a_full_disk(verb, models, tmp_path):
    target = tmp_path / TARGETS[verb]
    done = run(verb, models, target, most=200_000)
    assert "the disk is full; nothing was changed" in done.stderr
    assert os.listdir(tmp_path) == []


def test_an_older_result_stays_until_the_new_one_is_whole(models, tmp_path):
    target = tmp_path / "x.safetensors"
    target.write_bytes(b"older")
    run("merge", models, target, dies_at=200)
    assert target.read_bytes() == b"older"
