"""Verbs on model files of true size against the usual ways, in turns: seconds and memory of whole processes.

    python benchmarks/model_files.py [--cases fp16 merge ...] [--repeats 3] [--most N] [--folder DIR] [--rivals PYTHON]

Rivals are the scripts that people use: torch.load or load_file, arithmetic on whole tensors (merges by the web UI's own
formulas), a full decomposition of every module, save_file; `cp` as what the disk can do; and sd-mecha and picklescan,
where the interpreter of --rivals has them. Files have just been written or read, so they come from the file cache.
Seconds and megabytes are medians; `best` and `worst` are the ratios of single turns. `first_s` is a run of ours before
all turns, when the hashes of the files that it reads, which its result keeps, are not remembered yet.
"""

import argparse
import gzip
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from report import report

_POOL = 1 << 20  # so many different random numbers are enough
_NAMES = Path(__file__).parents[1] / "tests" / "manifests"
_TARGETS = ("ours.safetensors", "rival.safetensors")
_CACHE = "cache"
_LORA = "lora-8.safetensors"
_LOAD = "import re, sys, torch; from safetensors.torch import load_file, save_file; a = sys.argv[1:]\n"
_MODULES = r"(model\.diff|cond_).*(to_[qkv]|to_out\.0|net\.0\.proj|net\.2|proj_in|proj_out|_proj|fc[12])\.weight$"
SCRIPTS = {
    "load": "import sys, torch; d = torch.load(sys.argv[1], map_location='cpu'); print(len(d['state_dict']))",
    "save": _LOAD + "save_file(torch.load(a[0], map_location='cpu')['state_dict'], a[1])",
    "halve": _LOAD + "save_file({k: v.half() for k, v in load_file(a[0]).items()}, a[1])",
    "prune": _LOAD + "d = torch.load(a[0], map_location='cpu')['state_dict']\n"
    "ema = {k: 'model_ema.' + k[6:].replace('.', '') for k in d if k.startswith('model.diffusion_model.')}\n"
    "save_file({k: d[ema.get(k, k)].half() for k in d if not k.startswith('model_ema.')}, a[1])",
    "sum": _LOAD + "x, y = load_file(a[0]), load_file(a[1])\n"
    "for k in x:\n    x[k] = (1 - 0.3) * x[k] + 0.3 * y[k]\nsave_file(x, a[2])",
    "difference": _LOAD + "y, z = load_file(a[1]), load_file(a[2])\nfor k in y:\n    y[k] = y[k] - z[k]\n"
    "del z\nx = load_file(a[0])\nfor k in x:\n    x[k] = x[k] + 1.0 * y[k]\nsave_file(x, a[3])",
    "decompose": _LOAD + f"x, y, out = load_file(a[0]), load_file(a[1]), {{}}\n"
    f"for k in filter(re.compile(r'{_MODULES}').match, x):\n"
    "    u, s, v = torch.linalg.svd((y[k].float() - x[k].float()).flatten(1), full_matrices=False)\n"
    "    out[k + '.up'], out[k + '.down'] = (u[:, :32] * s[:32]).half().contiguous(), v[:32].half().contiguous()\n"
    "save_file(out, a[2])",
    "sd_mecha": "import sys, sd_mecha as m; a = sys.argv[1:]\n"
    "m.merge(m.weighted_sum(m.model(a[0]), m.model(a[1]), alpha=0.3), output=a[2])",
}


@dataclass(frozen=True)
class Model:
    """A file of random numbers with the names and shapes of a real one."""

    dtype: str = "F16"
    seed: int = 1
    family: str = "sd15"
    averages: bool = False

    def write(self, path: Path, most: int | None) -> None:
        """Write it, no side of a tensor longer than `most`; values are made one tensor at a time."""
        import numpy as np

        from pochade import files
        from pochade.files.torch_zip_writing import saving_torch

        names = json.loads(gzip.decompress((_NAMES / f"{self.family}.ldm.json.gz").read_bytes()))["tensors"]
        noise = 0.02 * np.random.default_rng(self.seed).standard_normal(_POOL)
        pool = noise.astype({"F16": "f2", "F32": "f4"}[self.dtype])
        lazy = {}
        for name, (dtype, full) in names.items():
            if dtype == "F32" and (self.averages or not name.startswith("model_ema.")):
                shape = tuple(min(side, most or side) for side in full)
                info = files.TensorInfo(self.dtype, shape)
                lazy[name] = files.LazyArray(info, lambda shape=shape: np.resize(pool, shape))
        if path.suffix == ".ckpt":
            list(saving_torch(path, files.Weights(lazy), {"global_step": 470_000}))
        else:
            files.save(path, files.Weights(lazy))


MODELS = {
    "full.ckpt": Model("F32", averages=True),
    "plain.ckpt": Model("F32"),
    "plain.safetensors": Model("F32"),
    "a.safetensors": Model(),
    "b.safetensors": Model(seed=2),
    "c.safetensors": Model(seed=3),
    "xl-1.safetensors": Model(family="sdxl-base"),
    "xl-2.safetensors": Model(seed=2, family="sdxl-base"),
}
"""By the name of the file that they are written to when a case needs it."""


@dataclass(frozen=True)
class Case:
    """Our verb, and the rival that ends in the same place: one of SCRIPTS, a command, or the module that it `needs`."""

    name: str
    ours: str
    rival: str
    needs: str = ""

    def commands(self, python: str) -> tuple[list[str], list[str]]:
        """Return both as words."""
        rival = shlex.split(self.rival)
        if rival[0] in SCRIPTS:
            rival = [python, "-c", SCRIPTS[rival[0]], *rival[1:]]
        elif self.needs:
            rival = [python, "-m", *rival]
        return [sys.executable, "-m", "pochade", *shlex.split(self.ours)], rival


_SUM = "merge '0.7*a.safetensors + 0.3*b.safetensors' -o ours.safetensors"
_SUM_XL = "merge '0.7*xl-1.safetensors + 0.3*xl-2.safetensors' -o ours.safetensors"
CASES = (
    Case("inspect", "inspect full.ckpt", "load full.ckpt"),
    Case("scan", "scan full.ckpt", "picklescan -p full.ckpt", needs="picklescan"),
    Case("convert", "convert plain.ckpt ours.safetensors", "save plain.ckpt rival.safetensors"),
    Case("convert/cp", "convert plain.ckpt ours.safetensors --keep-junk", "cp plain.ckpt rival.safetensors"),
    Case(
        "fp16", "convert plain.safetensors ours.safetensors --dtype fp16", "halve plain.safetensors rival.safetensors"
    ),
    Case("prune", "convert full.ckpt ours.safetensors --dtype fp16 --ema use", "prune full.ckpt rival.safetensors"),
    Case("merge", _SUM, "sum a.safetensors b.safetensors rival.safetensors"),
    Case("merge/mecha", _SUM, "sd_mecha a.safetensors b.safetensors rival.safetensors", needs="sd_mecha"),
    Case(
        "difference",
        "merge 'a.safetensors + 1.0*(b.safetensors - c.safetensors)' -o ours.safetensors",
        "difference a.safetensors b.safetensors c.safetensors rival.safetensors",
    ),
    Case(
        "ties/cp",
        "merge --method ties --models a.safetensors b.safetensors c.safetensors b.safetensors -o ours.safetensors",
        "cp a.safetensors rival.safetensors",
    ),
    Case(
        "bake/cp",
        "bake a.safetensors --lora lora-8.safetensors -o ours.safetensors",
        "cp a.safetensors rival.safetensors",
    ),
    Case(
        "extract",
        "extract a.safetensors b.safetensors --rank 32 -o ours.safetensors",
        "decompose a.safetensors b.safetensors rival.safetensors",
    ),
    Case("sdxl", _SUM_XL, "sum xl-1.safetensors xl-2.safetensors rival.safetensors"),
    Case("sdxl/cp", _SUM_XL, "cp xl-1.safetensors rival.safetensors"),
)


def prepare(case: Case, most: int | None) -> None:
    """Write the files that a case reads where they are missing, each in a process of its own: a child's memory is
    counted from what its parent has.
    """
    for name in MODELS:
        if name in case.ours and not Path(name).exists():
            words = [] if most is None else ["--most", str(most)]
            subprocess.run([sys.executable, __file__, "--write", name, *words], check=True)
    if _LORA in case.ours and not Path(_LORA).exists():
        extract = ["extract", "a.safetensors", "b.safetensors", "--rank", "8", "-o", _LORA]
        subprocess.run([sys.executable, "-m", "pochade", *extract], check=True, capture_output=True)


def run(words: list[str]) -> dict[str, float]:
    """Seconds, seconds of processor and most memory of one process with its children."""
    start = time.perf_counter()
    pid = os.posix_spawnp(words[0], words, os.environ, file_actions=_QUIET)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{words[:6]} failed")
    for name in _TARGETS:
        Path(name).unlink(missing_ok=True)
    return {"s": time.perf_counter() - start, "cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}


_QUIET = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]


def measure(case: Case, repeats: int, python: str) -> dict[str, Any]:
    """One row: both commands in turns."""
    shutil.rmtree(_CACHE, ignore_errors=True)
    words, its_words = case.commands(python)
    first = run(words)
    turns = [(run(words), run(its_words)) for _ in range(repeats)]
    ratios = [ours["s"] / rival["s"] for ours, rival in turns]
    ours, rival = ({key: median(turn[side][key] for turn in turns) for key in ("s", "cpu", "mb")} for side in (0, 1))
    return {
        "case": case.name, "ours_s": ours["s"], "rival_s": rival["s"], "ratio": median(ratios),
        "best": min(ratios), "worst": max(ratios), "first_s": first["s"], "ours_cpu_s": ours["cpu"],
        "rival_cpu_s": rival["cpu"], "ours_mb": ours["mb"], "rival_mb": rival["mb"],
    }  # fmt: skip


def is_there(module: str, python: str) -> bool:
    """Tell whether an interpreter has a module."""
    return not module or subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def main() -> None:
    """Write the files, measure each case and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="NAME", choices=MODELS, help=argparse.SUPPRESS)  # one file, here
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in CASES])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--most", type=int, help="no side of a tensor longer than this, to try the script out")
    parser.add_argument("--folder", type=Path, help="where to put the files; the system's temporary folder if not")
    parser.add_argument("--rivals", default=sys.executable, help="the interpreter that has sd_mecha and picklescan")
    options = parser.parse_args()
    if options.write:
        MODELS[options.write].write(Path(options.write), options.most)
        return
    chosen = [case for case in CASES if not options.cases or case.name in options.cases]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.chdir(folder)
        os.environ["XDG_CACHE_HOME"] = str(Path(folder, _CACHE))  # remembered hashes
        rows = []
        for case in chosen:
            if is_there(case.needs, options.rivals):
                prepare(case, options.most)
                rows.append(measure(case, options.repeats, options.rivals))
            else:
                print(f"{case.name}: {options.rivals} has no {case.needs}", file=sys.stderr)
    report("model_files", rows, repeats=options.repeats, most=options.most or "all")


if __name__ == "__main__":
    main()
