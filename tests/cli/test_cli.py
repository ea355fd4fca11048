import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pochade
from pochade.cli import COMMANDS
from pochade.errors import NumericalError

WORDS = [[each] for each in COMMANDS if each not in ("train", "evaluate")]
WORDS += [["train", "native"], ["evaluate", "picturebook"]]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_command_has_help_with_an_example_and_json(run, words):
    shown = run(*words, "--help")
    assert shown.exit_code == 0
    assert f"Example: pochade {' '.join(words)}" in shown.stdout
    assert "--json" in shown.stdout


def test_help_names_every_command_and_version_is_told(run):
    assert all(command in run("--help").stdout for command in COMMANDS)
    assert run("--version").stdout.startswith("pochade 0.")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["txt2img", "--help"], ["inspect", "--help"]])
def test_help_loads_neither_torch_nor_numpy(words):
    code = (
        "import sys; from pochade.cli import app\n"
        f"try: app({words!r})\n"
        "except SystemExit as end: code = end.code\n"
        "sys.exit(code or [name for name in ('torch', 'numpy', 'PIL') if name in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("failure", "code", "sentence"),
    [
        (NumericalError("NaN at step 3."), 3, "Error: NaN at step 3.\n"),
        (KeyboardInterrupt(), 4, "Stopped. What was saved before is complete.\n"),
        (MemoryError(), 5, "Error: Memory ran out; "),
        (RuntimeError("CUDA out of memory. Tried to allocate"), 5, "Error: Memory ran out; "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 5, "Error: Memory ran out; "),
        (OSError(errno.ENOSPC, "No space left on device", "x.png"), 5, "Error: x.png: No space left on device.\n"),
        (PermissionError(errno.EACCES, "Permission denied", "x.png"), 3, "Error: x.png: Permission denied.\n"),
    ],
)
def test_a_failure_is_one_sentence_and_a_code(run, pipeline, failure, code, sentence):
    pipeline.failure = failure
    done = run("txt2img", "a")
    assert done.exit_code == code
    last = done.stderr.splitlines(keepends=True)[-1]
    assert last.startswith(sentence)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_mistake_of_ours_keeps_its_traceback(run, pipeline):
    pipeline.failure = ZeroDivisionError("oops")
    assert isinstance(run("txt2img", "a").exception, ZeroDivisionError)


def test_a_traceback_can_be_asked_for(run, pipeline, monkeypatch):
    pipeline.failure = NumericalError("NaN.")
    assert isinstance(run("--traceback", "txt2img", "a").exception, NumericalError)
    monkeypatch.setenv("POCHADE_TRACEBACK", "1")
    assert isinstance(run("txt2img", "a").exception, NumericalError)


@pytest.mark.parametrize("words", [["paint"], ["txt2img"], ["txt2img", "a", "--steps", "x"], ["inspect", "--foo", "a"]])
def test_wrong_usage_is_2(run, words):
    assert run(*words).exit_code == 2


def test_a_wrong_command_offers_the_nearest(run):
    assert "txt2img" in run("txt2im", "a").stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopping_is_clean(tmp_path, stop):
    code = (
        # a shell that runs the tests in the background has its children ignore Ctrl-C
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from cli import pretend; pretend.install(); pretend.Pipeline.pause = 0.02\n"
        "from pochade.cli import main; main()"
    )
    tests = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), *sys.path])}
    command = [sys.executable, "-c", code, "txt2img", "a", "--count", "1000", "-o", "out"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    first = process.stdout.readline()
    process.send_signal(stop)
    started = time.monotonic()
    rest, errors = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode == 4
    assert errors.splitlines()[-1] == "Stopped. What was saved before is complete."
    assert "Traceback" not in errors
    saved = [line.strip() for line in (first + rest).splitlines()]
    assert sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "out").iterdir()) == sorted(saved)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have names of text alone")
@pytest.mark.parametrize("verb", ["inspect", "doctor", "scan"])
def test_names_that_are_no_text_can_be_shown(verb, tmp_path):
    path = tmp_path / os.fsdecode(b"mod\xe9le\x1b[31m.safetensors")
    pochade.save(path, {"a": np.ones(2)})
    command, strict = [sys.executable, "-m", "pochade", verb, path], os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    told = subprocess.run([*command, "--json"], env=strict, capture_output=True, check=True).stdout
    assert json.loads(told)["path"] == str(path)
    words = subprocess.run(command, env=strict, capture_output=True, check=True, text=True).stdout
    assert r"mod\udce9le\x1b[31m.safetensors" in words
