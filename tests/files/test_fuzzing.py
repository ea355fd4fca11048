"""However a file is damaged, reading it ends soon, in little memory, with its tensors or with a clear error."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("fuzzing.py")


def fuzz(count, seed):
    return subprocess.run([sys.executable, PROGRAM, str(count), str(seed)], capture_output=True, text=True, check=False)


def test_a_thousand_damaged_files_are_explained():
    done = fuzz(1000, 1)
    assert (done.stdout, done.returncode) == ("1000\n", 0), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_a_hundred_thousand_damaged_files_are_explained(seed):
    done = fuzz(20_000, seed)
    assert (done.stdout, done.returncode) == ("20000\n", 0), done.stderr
