"""Start-up is a promise: help below half a second, check below one, and no Spark for either."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
POLICY = PROJECT / "conf" / "policies" / "people.yaml"

LOADED = """
import sys
from privpipe.cli import main
sys.stdout = open("/dev/null", "w")
code = main({argv!r})
sys.stderr.write(" ".join(sorted({{name.partition(".")[0] for name in sys.modules}})))
sys.exit(code)
"""


def best_of(count: int, *argv: str) -> float:
    spans = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "privpipe", *argv], check=True, capture_output=True)
        spans.append(time.perf_counter() - began)
    return min(spans)


def loaded(*argv: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(argv=list(argv))],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    return set(done.stderr.split())


def test_help_is_there_within_half_a_second() -> None:
    assert best_of(5, "--help") < 0.5


def test_check_is_done_within_a_second() -> None:
    assert best_of(5, "check", str(POLICY)) < 1


@pytest.mark.parametrize("argv", [("--help",), ("protect", "--help"), ("check", str(POLICY))])
def test_what_is_heavy_stays_away(argv: tuple[str, ...]) -> None:
    heavy = {"pyspark", "delta", "deltalake", "tink", "cryptography", "numpy", "pyarrow", "pandas"}
    assert not loaded(*argv) & heavy
