"""On a real cluster: an executor and Python workers killed in mid-job and in the pass of a private
release, and a KEK that is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from privpipe.errors import KekError
from tests.conftest import Cluster
from tests.faults._on_cluster import ROWS
from tests.faults._project import make_project

SCRIPT = """
from pathlib import Path
from tests.faults import _on_cluster
settings["spark.sql.execution.arrow.maxRecordsPerBatch"] = "500"
_on_cluster.main(build_session(settings), Path(sys.argv[1]))
"""


def kill_executor(victim: dict[str, int]) -> None:
    os.kill(victim["executor"], signal.SIGKILL)


def kill_workers(victim: dict[str, int]) -> None:
    """All Python workers of one executor, so the one that encrypts is among them."""
    for process in Path("/proc").glob("[0-9]*"):
        if parent_of(process) == victim["daemon"]:
            os.kill(int(process.name), signal.SIGKILL)


def parent_of(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return None


KILLS: dict[str, Callable[[dict[str, int]], None]] = {
    "worker": kill_workers,
    "executor": kill_executor,
}


def kill_both(driver: subprocess.Popen[str], folder: Path) -> Iterator[str]:
    """Kills each victim as it says who it is."""
    left, deadline = dict(KILLS), time.monotonic() + 400
    while left and driver.poll() is None and time.monotonic() < deadline:
        for name in [name for name in left if (folder / name).exists()]:
            left.pop(name)(json.loads((folder / name).read_text()))
            yield name
        time.sleep(0.05)


@pytest.fixture(scope="module")
def came(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of the two jobs, as their driver tells it."""
    folder = make_project(tmp_path_factory.mktemp("cluster-faults") / "project")
    driver = cluster.start(SCRIPT, str(folder))
    try:
        killed = [*kill_both(driver, folder), *kill_both(driver, folder / "pass")]
        out, err = driver.communicate(timeout=400)
    finally:
        driver.kill()
    assert driver.returncode == 0, err[-3000:]
    assert sorted(killed) == ["executor", "executor", "worker", "worker"]
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_job_outlives_an_executor_and_its_python_workers(came: dict[str, Any]) -> None:
    assert came["killed"] == {
        "state": "COMMITTED",
        "rows": ROWS,
        "there": ROWS,
        "right": ROWS,
        "ok": True,
    }


def test_a_pass_outlives_them_with_the_same_sums_and_one_draw(came: dict[str, Any]) -> None:
    assert came["pass"] == {
        "same": True,
        "kept": 2 * 1000,  # groups of each unit
        "draws": 1,
        "states": ["published"],
        "groups": 7,
        "stays": True,
    }


def test_an_executor_without_the_kek_says_so(came: dict[str, Any]) -> None:
    found = came["without_kek"]
    assert found["code"] == KekError.code
    assert "column name" in found["said"]
    assert "there is no KEK file on the machine" in found["said"]
    assert "hint:" in found["said"]
    assert (found["state"], found["error_code"]) == ("FAILED", KekError.code)
    assert not found["committed"]
    # Put back, the same run id does the run.
    assert (found["again"], found["rows"]) == ("COMMITTED", 100)
