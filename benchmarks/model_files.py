"""Verbs on model files of true size against the usual ways, in turns: seconds and memory of whole processes.

    python benchmarks/model_files.py [--cases inspect convert fp16 prune merge difference bake extract] [--repeats 3]
                                     [--width 320] [--folder DIR]

Rivals are the scripts that people use: torch.load or load_file, arithmetic on whole tensors, save_file; and `cp` as
what the disk can do. Files have just been written, so they come from the file cache. Seconds and megabytes are medians;
`best` and `worst` are the ratios of single turns.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from report import report

_POOL = 1 << 20  # so many different random numbers are enough
_LOAD = "import sys, torch; from safetensors.torch import load_file, save_file; a = sys.argv[1:]; "
RIVALS = {
    "inspect": "import sys, torch; d = torch.load(sys.argv[1], map_location='cpu'); print(len(d['state_dict']))",
    "convert": _LOAD + "save_file(torch.load(a[0], map_location='cpu')['state_dict'], a[1])",
    "fp16": _LOAD
    + "save_file({k: v.half() if v.is_floating_point() else v for k, v in load_file(a[0]).items()}, a[1])",
    "prune": _LOAD + "d = torch.load(a[0], map_location='cpu')['state_dict']; "
    "ema = {k: 'model_ema.' + k[6:].replace('.', '') for k in d if k.startswith('model.diffusion_model.')}; "
    "save_file({k: d[ema.get(k, k)].half() for k in d if not k.startswith('model_ema.')}, a[1])",
    "merge": _LOAD + "x, y = load_file(a[0]), load_file(a[1])\n"
    "for k in x:\n    x[k] = (1 - 0.3) * x[k] + 0.3 * y[k]\nsave_file(x, a[2])",
    "difference": _LOAD + "y, z = load_file(a[1]), load_file(a[2])\nfor k in y:\n    y[k] = y[k] - z[k]\n"
    "del z\nx = load_file(a[0])\nfor k in x:\n    x[k] = x[k] + 1.0 * y[k]\nsave_file(x, a[3])",
}


@dataclass(frozen=True)
class Case:
    """Two commands that end in the same place; the last word of each is the file that they write, if any."""

    name: str
    ours: list[str]
    rival: list[str]


def write(path: Path, width: int, dtype: str, seed: int, averages: bool = False) -> Path:
    """A checkpoint of SD 1's shapes whose values are made one tensor at a time while it is written."""
    import numpy as np

    from pochade import files
    from pochade.families import SD1
    from pochade.files.torch_zip_writing import saving_torch
    from pochade.networks import clip_shapes, unet_shapes, vae_shapes

    parts = {
        SD1.unet_prefix: unet_shapes(width, (1, 2, 4, 4), SD1.context_width, (0, 1, 2)),
        SD1.vae_prefix: vae_shapes(128 if width == 320 else 32, (1, 2, 4, 4)),
        SD1.encoders[0].prefix: clip_shapes(SD1.context_width, SD1.encoders[0].layers),
    }
    shapes = {prefix + name: shape for prefix, part in parts.items() for name, shape in part.items()}
    if averages:
        shapes |= {SD1.ema_name(name): shape for name, shape in shapes.items() if name.startswith(SD1.unet_prefix)}
    pool = (0.02 * np.random.default_rng(seed).standard_normal(_POOL)).astype({"F16": "f2", "F32": "f4"}[dtype])
    lazy = {
        name: files.LazyArray(files.TensorInfo(dtype, shape), lambda shape=shape: np.resize(pool, shape))
        for name, shape in shapes.items()
    }
    if path.suffix == ".ckpt":
        list(saving_torch(path, files.Weights(lazy), {"global_step": 470_000}))
        return path
    return files.save(path, files.Weights(lazy))


def cases(folder: Path, wanted: list[str], width: int) -> list[Case]:
    """Write the files that the wanted cases need, and return the cases."""

    def made(name: str, dtype: str = "F16", seed: int = 1, averages: bool = False) -> str:
        path = folder / name
        if not path.exists():  # in another process: a child's memory is counted from what its parent has
            subprocess.run(
                [sys.executable, __file__, "--write", str(path), str(width), dtype, str(seed), str(int(averages))],
                check=True,
            )
        return str(path)

    def verb(*words: str) -> list[str]:
        return [sys.executable, "-m", "pochade", *words]

    def script(name: str, *words: str) -> list[str]:
        return [sys.executable, "-c", RIVALS[name], *words]

    out, its = str(folder / "ours.safetensors"), str(folder / "rival.safetensors")

    def against_cp(source: str) -> Case:
        return Case("convert/cp", verb("convert", source, out, "--keep-junk"), ["cp", source, its])

    def halves() -> list[str]:
        return [made("a.safetensors"), made("b.safetensors", seed=2), made("c.safetensors", seed=3)]

    def lora() -> str:
        path = folder / "lora.safetensors"
        if not path.exists():
            one, other, _ = halves()
            os.spawnv(os.P_WAIT, sys.executable, verb("extract", one, other, "--rank", "8", "-o", str(path)))
        return str(path)

    full = ("full.ckpt", "F32", 1, True)
    plain = ("plain.ckpt", "F32")
    build: dict[str, Callable[[], list[Case]]] = {
        "inspect": lambda: [Case("inspect", verb("inspect", made(*full)), script("inspect", made(*full)))],
        "convert": lambda: [
            Case("convert", verb("convert", made(*plain), out), script("convert", made(*plain), its)),
            against_cp(made(*plain)),
        ],
        "fp16": lambda: [
            Case(
                "fp16",
                verb("convert", made("plain.safetensors", "F32"), out, "--dtype", "fp16"),
                script("fp16", made("plain.safetensors", "F32"), its),
            )
        ],
        "prune": lambda: [
            Case(
                "prune",
                verb("convert", made(*full), out, "--dtype", "fp16", "--ema", "use"),
                script("prune", made(*full), its),
            )
        ],
        "merge": lambda: [
            Case(
                "merge",
                verb("merge", f"0.7*{halves()[0]} + 0.3*{halves()[1]}", "-o", out),
                script("merge", *halves()[:2], its),
            )
        ],
        "difference": lambda: [
            Case(
                "difference",
                verb("merge", "{} + 1.0*({} - {})".format(*halves()), "-o", out),
                script("difference", *halves(), its),
            )
        ],
        "ties": lambda: [
            Case(
                "ties/cp",
                verb("merge", "--method", "ties", "--models", *halves(), halves()[1], "-o", out),
                ["cp", halves()[0], its],
            )
        ],
        "bake": lambda: [
            Case("bake/cp", verb("bake", halves()[0], "--lora", lora(), "-o", out), ["cp", halves()[0], its])
        ],
        "extract": lambda: [
            Case(
                "extract/cp",
                verb("extract", *halves()[:2], "--rank", "32", "-o", out),
                ["cp", halves()[0], its],
            )
        ],
    }
    return [case for name in wanted for case in build[name]()]


def run(words: list[str]) -> dict[str, float]:
    """Seconds, seconds of processor and most memory of one process with its children."""
    start = time.perf_counter()
    pid = os.posix_spawnp(words[0], words, os.environ, file_actions=_QUIET)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{words[:6]} failed")
    return {"s": time.perf_counter() - start, "cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}


_QUIET = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]


def measure(case: Case, repeats: int, folder: Path) -> dict[str, Any]:
    """One row: both commands in turns."""
    turns = []
    for _ in range(repeats):
        turns.append((run(case.ours), run(case.rival)))
        for name in ("ours.safetensors", "rival.safetensors"):
            (folder / name).unlink(missing_ok=True)
    ratios = [ours["s"] / rival["s"] for ours, rival in turns]
    ours, rival = ({key: median(turn[side][key] for turn in turns) for key in ("s", "cpu", "mb")} for side in (0, 1))
    return {
        "case": case.name, "ours_s": ours["s"], "rival_s": rival["s"], "ratio": ours["s"] / rival["s"],
        "best": min(ratios), "worst": max(ratios), "ours_mb": ours["mb"], "rival_mb": rival["mb"],
        "ours_cpu_s": ours["cpu"],
    }  # fmt: skip


def main() -> None:
    """Write the files, measure each case and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", nargs=5, help=argparse.SUPPRESS)  # one file
    known = ["inspect", "convert", "fp16", "prune", "merge", "difference", "ties", "bake", "extract"]
    parser.add_argument("--cases", nargs="+", choices=known, default=known)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--width", type=int, default=320, help="channels of the UNet's first level")
    parser.add_argument("--folder", type=Path, help="where to put the files; the system's temporary folder if not")
    options = parser.parse_args()
    if options.write:
        path, width, dtype, seed, averages = options.write
        write(Path(path), int(width), dtype, int(seed), averages == "1")
        return
    room = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        rows = [measure(case, options.repeats, room) for case in cases(room, options.cases, options.width)]
    finally:
        shutil.rmtree(room)
    report("model_files", rows, repeats=options.repeats, width=options.width)


if __name__ == "__main__":
    main()
