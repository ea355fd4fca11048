"""Recorded facts of the reference web UI and of the reference tokenizer."""

import json
from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "vectors"


def cases(topic: str) -> list[dict]:
    return json.loads((_FOLDER / f"{topic}.json").read_text(encoding="utf-8"))["cases"]


def name(case: dict) -> str:
    return case["id"]
