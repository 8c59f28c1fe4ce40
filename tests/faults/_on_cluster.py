"""What the driver of `test_cluster` runs on a real cluster: it prints what came of it as JSON.

Arguments behind the cluster's settings: the project's folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession

from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.errors import PrivpipeError
from privpipe.features import parse_features
from privpipe.spark import Home, _release, open_home
from privpipe.spark.features import _run
from tests.faults._project import people, write_policy

ROWS = 40_000
PARTS = 8
# The tasks that become victims, by partition, and what of them is killed.
VICTIMS = {2: "worker", 5: "executor"}


def staying(frame: DataFrame, folder: Path) -> DataFrame:
    """`frame`, two of whose tasks pass on a batch or two and then wait to be killed, once each."""

    def stay(batches: Iterator[Any]) -> Iterator[Any]:
        context = TaskContext.get()
        assert context is not None
        victim = VICTIMS.get(context.partitionId())
        for number, batch in enumerate(batches):
            if number == 2 and victim and not (folder / victim).exists():
                tell(folder, victim)
                time.sleep(600)  # ended by the kill
            yield batch

    return frame.mapInPandas(stay, frame.schema)


def tell(folder: Path, victim: str) -> None:
    """Leaves for the test, whole or not at all, whom to kill."""
    daemon = os.getppid()
    state = Path(f"/proc/{daemon}/stat").read_text()
    executor = int(state.rpartition(")")[2].split()[1])
    temporary = folder / f".{victim}"
    temporary.write_text(json.dumps({"daemon": daemon, "executor": executor}))
    temporary.rename(folder / victim)


def killed_in_mid_job(home: Home, folder: Path) -> dict[str, Any]:
    target = folder / "warehouse" / "people"
    frame = staying(people(home.spark, 0, ROWS, parts=PARTS), folder)
    run = home.protect(folder / "people.yaml", frame, target, run_id="nightly")
    shown = home.reveal(target, ["name", "ssn"], "a test")
    right = shown.where("name = concat('name ', id) and ssn = lpad(id, 9, '0')")
    return {
        "state": run.state,
        "rows": run.rows,
        "there": shown.count(),
        "right": right.select("id").distinct().count(),
        "ok": home.verify(target).ok,
    }


FEATURES = """\
version: 1
features: clinic.visits
source: {source}
unit: ssn
groups: {{id: select}}
bounds: {{groups: 2, rows: 3}}
aggregates: {{n: count, u: units, d: {{distinct: name}}}}
privacy: {{budget: clinic, epsilon: 1, delta: 1e-7}}
"""


def killed_in_mid_pass(home: Home, folder: Path) -> dict[str, Any]:
    """A release whose pass over the rows loses a worker and an executor, beside a quiet pass."""
    target, away = folder / "warehouse" / "visits", folder / "pass"
    away.mkdir()
    frame = home.spark.range(0, ROWS // 2, 1, PARTS).selectExpr(
        "cast(id % 7 as string) as id",
        "concat('name ', id % 50) as name",
        "lpad(pmod(hash(id), 1000), 9, '0') as ssn",
    )
    home.protect(write_policy(folder, "visits"), frame, target, run_id="visits")
    ledger.open_budget(home.catalog, "clinic", Budget.of_epsilon(2, delta="1e-6"))
    stage: Any = _run
    right, draw, passes, draws = stage.group_sums, stage.draw, [], []

    def disturbed(df: DataFrame, *args: Any, **options: Any) -> Any:
        passes.append(right(df, *args, **options))
        passes.append(right(staying(df.repartition(PARTS), away), *args, **options))
        return passes[-1]

    def counted(*args: Any) -> Any:
        draws.append(args)
        return draw(*args)

    stage.group_sums, stage.draw = disturbed, counted
    try:
        place = folder / "warehouse" / "figures"
        spec = parse_features(FEATURES.format(source=target))
        home.features(spec, place, run_id="figures")
    finally:
        stage.group_sums, stage.draw = right, draw
    quiet, shaken = ((each.groups, each.sums, *each.pairs[0]) for each in passes)
    stored = home.spark.read.format("delta").load(str(place))
    return {
        "same": all((a == b).all() for a, b in zip(quiet, shaken, strict=True)),
        "kept": int(shaken[1][:, 0].sum()),
        "draws": len(draws),
        "states": [each.state for each in ledger.attempts(home.catalog, "figures")],
        "groups": stored.count(),
        "stays": sorted(stored.collect()) == sorted(stored.collect()),
    }


def without_kek(home: Home, folder: Path) -> dict[str, Any]:
    """The KEK is gone when the job's tasks begin, and no executor has this table's key open."""
    kek, away = folder / "secrets" / "kek.json", folder / "secrets" / "away.json"
    target = folder / "warehouse" / "other"
    release: Any = _release
    commit = release.commit

    def lost(*args: Any, **options: Any) -> None:
        kek.rename(away)
        commit(*args, **options)

    def protect() -> str:
        frame = people(home.spark, 0, 100)
        return home.protect(write_policy(folder, "other"), frame, target, run_id="other").state

    release.commit = lost
    try:
        error = failure(protect)
    finally:
        release.commit = commit
        away.rename(kek)
    found = home.catalog.run("other")
    assert found is not None
    return {
        "code": error.code,
        "said": str(error),
        "state": found.state,
        "error_code": found.error_code,
        "committed": bool(list(target.glob("_delta_log/*.json"))),
        "again": protect(),
        "rows": home.reveal(target, ["name", "ssn"], "a test").count(),
    }


def failure(step: Callable[[], object]) -> PrivpipeError:
    try:
        step()
    except PrivpipeError as error:
        return error
    raise AssertionError("it went well")


def main(spark: SparkSession, folder: Path) -> None:
    home = open_home(folder / "privpipe.yaml", spark)
    came = {
        "killed": killed_in_mid_job(home, folder),
        "pass": killed_in_mid_pass(home, folder),
        "without_kek": without_kek(home, folder),
    }
    print(json.dumps(came))  # noqa: T201
    spark.stop()
