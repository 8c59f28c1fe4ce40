"""Two processes at once, each with a Spark of its own; one of them dies by its own hand."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import PROJECT


def race(folder: Path, driver: str, *more: str) -> dict[str, str]:
    """Runs the module `driver` as `anna`, who dies, and as `bert`; what each said."""
    racers = {
        name: subprocess.Popen(
            [sys.executable, "-m", driver, str(folder), name, *more],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("anna", "bert")
    }
    said = {}
    deadline = time.monotonic() + 900  # a minute, on a machine with nothing else to do
    try:
        for name, racer in racers.items():
            out, err = racer.communicate(timeout=deadline - time.monotonic())
            said[name] = out + err
            assert racer.returncode == (-9 if name == "anna" else 0), err[-4000:]
    finally:
        for racer in racers.values():
            racer.kill()
            racer.communicate()
    return said
