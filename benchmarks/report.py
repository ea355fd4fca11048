"""What every benchmark prints: a table for people, then the same as one line of JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def report(name: str, rows: Sequence[Row], **settings: Any) -> None:
    """Print measured rows with the settings they hold for and the state of the machine."""
    facts = settings | {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "cpu": _cpu()}
    print(name + ": " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    print(_table(rows))
    print(json.dumps({"benchmark": name, **facts, "rows": rows}))


def _table(rows: Sequence[Row]) -> str:
    names = list(rows[0])
    cells = [names] + [[_shown(row[name]) for name in names] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cpu() -> str:
    """The processor's name, where the system tells it."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
