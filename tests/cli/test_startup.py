"""Start-up is a promise: nothing heavy is imported for it. `benchmarks/startup.py` times it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
# One that seals nothing: a public key is read with cryptography.
POLICY = PROJECT / "conf" / "policies" / "web_logs.yaml"

LOADED = """
import sys
from privpipe.cli import main
sys.stdout = open("/dev/null", "w")
code = main({argv!r})
sys.stderr.write(" ".join(sorted({{name.partition(".")[0] for name in sys.modules}})))
sys.exit(code)
"""


def loaded(*argv: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(argv=list(argv))],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("argv", [("--help",), ("protect", "--help"), ("check", str(POLICY))])
def test_what_is_heavy_stays_away(argv: tuple[str, ...]) -> None:
    heavy = {"pyspark", "delta", "deltalake", "tink", "cryptography", "numpy", "pyarrow", "pandas"}
    assert not loaded(*argv) & heavy
