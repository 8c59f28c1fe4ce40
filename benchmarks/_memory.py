"""How much memory Spark's Python workers have taken, by the system's own count."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["worker_peak"]


def worker_peak() -> float:
    """The most that one Python worker of this driver has ever held resident, in MiB."""
    peaks = [
        int(_status(process)["VmHWM"].split()[0])
        for process in Path("/proc").glob("[0-9]*")
        if _is_worker(process)
    ]
    return max(peaks, default=0) / 1024


def _is_worker(process: Path) -> bool:
    try:
        command = (process / "cmdline").read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return False
    return "pyspark.daemon" in command and os.getpid() in _ancestors(process)


def _ancestors(process: Path) -> list[int]:
    found = []
    while parent := int(_status(process).get("PPid", "0")):
        found.append(parent)
        process = process.with_name(str(parent))
    return found


def _status(process: Path) -> dict[str, str]:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return {"VmHWM": "0 kB"}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
