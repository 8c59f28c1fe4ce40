"""A driver killed between each pair of steps: afterwards the table is right, once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.conftest import PROJECT
from tests.faults._killed import dead_of
from tests.faults._project import (
    ROWS,
    everyone,
    home_in,
    is_settled,
    make_project,
    opened,
    people,
    protect_people,
)

# Point and mode: the run's state at death, and whether its data was committed.
DEATHS = {
    ("before keysets", "error"): (None, False),
    ("after keysets", "error"): (None, False),
    ("after PENDING", "error"): ("PENDING", False),
    ("after columns", "error"): ("PENDING", False),
    ("half of the data", "error"): ("PENDING", False),
    ("after the data", "error"): ("PENDING", True),
    ("after the data", "append"): ("PENDING", True),
}
KILLED_IN_A_JOB = ("half of the data", "error")
KEYSETS = {"before keysets": 0}
# Where no run was begun there is nothing to repair.
CASES = [
    pytest.param(death, repaired, id=f"{', '.join(death)}, {'repaired' if repaired else 'left'}")
    for death, (state, _) in DEATHS.items()
    for repaired in ([True, False] if state else [False])
]


def die(*deaths: tuple[Path, str, str]) -> str:
    """Runs a driver up to its death in the last folder; what it wrote to standard error."""
    for folder, _, _ in deaths:
        make_project(folder)
    driver = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.faults._killed",
            *(str(each) for death in deaths for each in death),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert driver.returncode == -9, driver.stderr[-2000:]
    # Its JVM dies with it, and until then it might still write.
    jvm, deadline = int((deaths[-1][0] / "jvm").read_text()), time.monotonic() + 60
    while Path(f"/proc/{jvm}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{jvm}").exists()
    return driver.stderr


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """The project's folder after each death."""
    folders = {death: tmp_path_factory.mktemp("died") / "project" for death in DEATHS}
    drivers = [
        [(folders[death], *death) for death in DEATHS if (death == KILLED_IN_A_JOB) == in_a_job]
        for in_a_job in (True, False)
    ]
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        for said in pool.map(lambda deaths: die(*deaths), drivers):
            assert "Traceback" not in said
    killed = {deaths[-1][0] for deaths in drivers}
    return {
        death: folder if folder in killed else dead_of(folder) for death, folder in folders.items()
    }


@pytest.mark.parametrize(("death", "repaired"), CASES)
def test_a_run_whose_driver_died_is_repeated_once(
    dead: dict[tuple[str, str], Path],
    death: tuple[str, str],
    repaired: bool,
    spark: SparkSession,
    tmp_path: Path,
) -> None:
    (point, mode), (state, written) = death, DEATHS[death]
    shutil.copytree(dead[death], tmp_path / "project")
    home = home_in(tmp_path / "project", spark)
    found = home.catalog.run("nightly")
    assert (found and found.state) == state
    assert len(home.catalog.keysets()) == KEYSETS.get(point, 2)
    uids = {found.run_uid} if found else set()

    if repaired:
        settled = {each.run_id: each.state for each in home.repair()}
        assert settled == ({"nightly": "COMMITTED" if written else "ABANDONED"} if state else {})
    target = tmp_path / "project" / "warehouse" / "people"
    half = point == "half of the data"
    if half:
        assert list(target.glob("*.parquet"))
        frame = people(spark, 0, ROWS)
        home.protect(tmp_path / "project" / "people.yaml", frame, target, run_id="nightly")
    else:
        said = protect_people(home, "nightly", mode)
        assert said == ("COMMITTED, replayed" if written else "COMMITTED")

    runs, times = (["first", "nightly"], 2) if mode == "append" else (["nightly"], 1)
    is_settled(home, target, runs, spare_files=half)
    assert uids <= {run.run_uid for run in home.catalog.runs()}
    assert len(home.catalog.keysets()) == 2
    assert opened(home, target) == everyone(range(ROWS), times)
    if not half:
        return
    # Made over another's leavings, it is a table like any other.
    detail = spark.sql(f"describe detail delta.`{target}`").first()
    assert detail is not None
    assert detail["properties"]["privpipe.table"] == "clinic.people"
    assert protect_people(home, "another", "append") == "COMMITTED"
    assert opened(home, target) == everyone(range(ROWS), times + 1)
