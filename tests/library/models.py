"""Entries without files, for what looks at nothing else."""

from pathlib import Path

from pochade.library.entries import Entry, Facts, Notes


def entry(name, kind="lora", bytes=1000, sha256=None, notes=None, **facts):
    path = Path("/models") / f"{name}.safetensors"
    return Entry(path, Path("/models"), name, path, bytes, Facts(kind=kind, **facts), notes or Notes(), sha256)
