from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
SCRIPT = """
import sys, time
from privpipe.policy import load_policy
load_policy("conf/policies/visits.yaml")
heavy = {"pyspark", "delta", "tink", "pandas", "rich"} & set(sys.modules)
print(time.process_time(), *sorted(heavy))
"""


def test_checking_a_policy_is_quick_and_needs_no_spark() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(3)
    ]
    assert [run[1:] for run in runs] == [[], [], []]
    # Seconds of CPU, interpreter and imports included: the best of three, as machines are shared.
    assert min(float(run[0]) for run in runs) < 0.5
