"""How long a checkpoint takes until its networks are ready to sample, after torch is imported.

    python benchmarks/load.py [--repeats 3] [--dtypes bf16 fp32] [--threads 2] [--width 320] [--folder DIR]

Writes a random fp16 checkpoint of SD 1.5's true shapes (width 320: 2.1 GB) and loads it, each time in a process of its
own. The file has just been written, so it comes from the file cache.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from report import report

DTYPES = ("bf16", "fp32", "fp16")
_POOL = 1 << 20  # so many different random numbers are enough


def write(path: Path, width: int) -> Path:
    """A checkpoint whose values are made one tensor at a time while it is written."""
    from pochade import files
    from pochade.families import SD1
    from pochade.networks import clip_shapes, unet_shapes, vae_shapes

    parts = {
        SD1.unet_prefix: unet_shapes(width, (1, 2, 4, 4), SD1.context_width, (0, 1, 2)),
        SD1.vae_prefix: vae_shapes(128 if width == 320 else 32, (1, 2, 4, 4)),
        SD1.encoders[0].prefix: clip_shapes(SD1.context_width, SD1.encoders[0].layers),
    }
    pool = (0.02 * np.random.default_rng(1).standard_normal(_POOL)).astype(np.float16)
    shapes = {prefix + name: shape for prefix, part in parts.items() for name, shape in part.items()}
    lazy = {
        name: files.LazyArray(files.TensorInfo("F16", shape), lambda shape=shape: np.resize(pool, shape))
        for name, shape in shapes.items()
    }
    return files.save(path, files.Weights(lazy))


def load(path: Path, dtype: str, threads: int) -> dict[str, float]:
    """Seconds from after the import of torch to networks that are ready, in this process."""
    import torch

    torch.set_num_threads(threads)
    start, cpu = time.perf_counter(), time.process_time()
    from pochade import files
    from pochade.families import SD1
    from pochade.networks import networks_of

    kind = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}[dtype]
    networks = networks_of(files.open(path), SD1, torch.device("cpu"), kind)
    taken = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - start}
    assert not networks.unet.training
    return taken | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measure(path: Path, dtype: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row: medians over processes."""
    words = [sys.executable, __file__, "--load", str(path), "--dtypes", dtype, "--threads", str(options.threads)]
    runs = [
        json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        for _ in range(options.repeats)
    ]
    return {"dtype": dtype} | {name: median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    """Write the file, measure each dtype and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["bf16", "fp32"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--width", type=int, default=320, help="channels of the UNet's first level")
    parser.add_argument("--folder", type=Path, help="where to put the checkpoint; the system's temporary folder if not")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)  # one measured process
    options = parser.parse_args()
    if options.load:
        print(json.dumps(load(options.load, options.dtypes[0], options.threads)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = write(Path(folder) / "checkpoint.safetensors", options.width)
        rows = [measure(path, dtype, options) for dtype in options.dtypes]
        size = path.stat().st_size / 1e9
    report("load", rows, gb=round(size, 3), threads=options.threads, repeats=options.repeats)


if __name__ == "__main__":
    main()
