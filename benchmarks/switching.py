"""What it costs to go back and forth between two checkpoints of true size, in one process, as a grid over models does.

    python benchmarks/switching.py [--switches 20] [--dtype auto] [--width 320] [--folder DIR]

Writes two random fp16 checkpoints of SD 1.5's true shapes (width 320: 2.1 GB each) and loads them in turns. `resident`
is the memory of the process after each switch: it should stay where it was after the first ones.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from load import write
from report import report


def switch(paths: list[Path], count: int, dtype: str) -> list[dict[str, float]]:
    """Load the checkpoints in turns, each after the one before has gone."""
    from pochade import Pipeline

    taken = []
    pipeline = None
    for number in range(count):
        start, cpu = time.perf_counter(), time.process_time()
        pipeline = None
        pipeline = Pipeline.load(paths[number % len(paths)], device="cpu", dtype=dtype)
        spent = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - start}
        taken.append(spent | {"resident_mb": _resident()})
    assert pipeline is not None
    return taken


def _resident() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main() -> None:
    """Write the files, switch and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--width", type=int, default=320, help="channels of the UNet's first level")
    parser.add_argument("--folder", type=Path, help="for the checkpoints; the system's temporary one if not")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        paths = [write(Path(folder, f"{name}.safetensors"), options.width) for name in "ab"]
        first, *later = switch(paths, options.switches + 1, options.dtype)
    half = len(later) // 2
    parts = {"first load": [first], "first half": later[:half], "second half": later[half:]}
    rows = [
        {"switches": name}
        | {key: median(each[key] for each in part) for key in first}
        | {"most_cpu_s": max(each["cpu_s"] for each in part), "most_mb": max(each["resident_mb"] for each in part)}
        for name, part in parts.items()
    ]
    report("switching", rows, dtype=options.dtype, switches=options.switches)


if __name__ == "__main__":
    main()
