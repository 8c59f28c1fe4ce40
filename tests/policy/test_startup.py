from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
SCRIPT = """
import sys
from privpipe.policy import load_policy
load_policy("conf/policies/visits.yaml")
heavy = {"pyspark", "delta", "tink", "pandas", "rich"} & set(sys.modules)
print(*sorted(heavy))
"""


def test_checking_a_policy_needs_nothing_heavy() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
