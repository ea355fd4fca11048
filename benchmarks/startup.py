"""How long the command line takes from process start to the end, each time in a process of its own.

    python benchmarks/startup.py [--repeats 5] [--model FILE] [--only help inspect txt2img]

The file cache is warm after the first run, whose seconds are shown apart.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from report import report

import pochade

SHIPPED = Path(pochade.__file__).parent / "picturebook" / "picturebook.safetensors"
PROMPT = "a red house under a yellow sun, night sky"


def commands(model: Path, folder: Path) -> dict[str, list[str]]:
    """The command lines to measure, by name."""
    named = [] if model == SHIPPED else ["--model", str(model)]
    return {
        "help": ["--help"],
        "inspect": ["inspect", str(model)],
        "txt2img": ["txt2img", PROMPT, "--seed", "7", "-o", str(folder / "picture.png"), *named],
    }


def once(words: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process."""
    before, start = _children(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "pochade", *words], check=True, capture_output=True)
    return time.perf_counter() - start, _children() - before


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(name: str, words: list[str], repeats: int) -> dict[str, Any]:
    """One row: the first run, and medians of all."""
    runs = [once(words) for _ in range(repeats)]
    wall, cpu = (median(column) for column in zip(*runs, strict=True))
    return {"command": name, "wall_s": wall, "cpu_s": cpu, "first_wall_s": runs[0][0]}


def main() -> None:
    """Measure each command and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--only", nargs="+", choices=["help", "inspect", "txt2img"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = commands(options.model, Path(folder))
        rows = [measure(name, chosen[name], options.repeats) for name in options.only or chosen]
    report("startup", rows, repeats=options.repeats, model=options.model.name)


if __name__ == "__main__":
    main()
