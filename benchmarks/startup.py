"""How long the commands that need no Spark take, as whole processes.

    python benchmarks/startup.py

Prints the best of five, in seconds, beside a Python that does nothing; exits with 1 where a bar
is missed: help half a second, `check` and a look at a catalog in a folder one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
POLICY = PROJECT / "conf" / "policies" / "people.yaml"
CATALOG = PROJECT / "tests" / "golden" / "project" / "privpipe.yaml"
COMMANDS = {
    "python -c pass": (["-c", "pass"], None),
    "privpipe --help": (["-m", "privpipe", "--help"], 0.5),
    "privpipe check": (["-m", "privpipe", "check", str(POLICY)], 1.0),
    "privpipe catalog columns": (
        ["-m", "privpipe", "catalog", "columns", "--config", str(CATALOG)],
        1.0,
    ),
}


def best_of(count: int, arguments: list[str]) -> float:
    """Seconds of the fastest of `count` runs."""
    spans = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)  # noqa: S603
        spans.append(time.perf_counter() - began)
    return min(spans)


def main() -> int:
    """Prints the table."""
    missed = 0
    print("| command | seconds | promised |\n|---|---:|---:|")
    for name, (arguments, bar) in COMMANDS.items():
        took = best_of(5, arguments)
        missed += bar is not None and took > bar
        print(f"| {name} | {took:.2f} | {'' if bar is None else f'< {bar}'} |")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
