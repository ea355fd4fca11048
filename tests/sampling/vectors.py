"""Recorded facts: `webui` from the reference web UI, `sampling` from k-diffusion."""

import json
from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "vectors"


def cases(topic: str, origin: str = "webui") -> list[dict]:
    return json.loads((_FOLDER / origin / f"{topic}.json").read_text(encoding="utf-8"))["cases"]


def name(case: dict) -> str:
    return case["id"]
