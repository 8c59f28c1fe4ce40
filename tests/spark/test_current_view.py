"""The SQL of docs/catalog.md is the current view that privpipe itself takes."""

from __future__ import annotations

import random
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from privpipe.catalog import TABLES, RunRecord, RunState, current_run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PAGE = Path(__file__).resolve().parents[2] / "docs" / "catalog.md"
START = datetime(2026, 1, 1, tzinfo=UTC)


def _runs(target: str, draw: random.Random) -> list[RunRecord]:
    states: list[RunState] = ["COMMITTED", "COMMITTED", "COMMITTED", "FAILED", "PENDING"]
    runs = []
    for number in range(draw.randrange(5)):
        began = START + timedelta(minutes=draw.randrange(60), seconds=number)
        state = draw.choice(states)
        done = state == "COMMITTED"
        runs.append(
            RunRecord(
                run_id=f"{target}-{number}",
                run_uid=f"uid-{target}-{number}",
                state=state,
                table="t",
                source="s",
                target=target,
                mode="overwrite",
                policy_hash="",
                policy="{}",
                owner="host:1:1",
                lease_until=began,
                started_at=began,
                finished_at=began + timedelta(minutes=draw.randrange(30)) if done else None,
                table_version=10 * draw.randrange(4) + number if done else None,
                privpipe_version="0",
            )
        )
    return runs


def test_the_sql_of_the_page_is_the_current_view(spark: SparkSession) -> None:
    found = re.search(r"```sql\n(WITH .*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    draw = random.Random(20)
    targets = {f"t{at}": _runs(f"t{at}", draw) for at in range(200)}
    runs = [run for each in targets.values() for run in each]
    shape = ", ".join(f"`{column.name}` {column.kind}" for column in TABLES["runs"].columns)
    names = [column.name for column in TABLES["runs"].columns]
    rows = [tuple(asdict(run)[name] for name in names) for run in runs]
    spark.createDataFrame(rows, shape).createOrReplaceTempView("runs")
    facts = [(run.run_uid, run.target, "surname") for run in runs]
    spark.createDataFrame(
        facts, "run_uid string, target string, path string"
    ).createOrReplaceTempView("columns")
    try:
        shown = {row["target"]: row["run_uid"] for row in spark.sql(found.group(1)).collect()}
    finally:
        spark.catalog.dropTempView("runs")
        spark.catalog.dropTempView("columns")
    current = {target: current_run(each, target) for target, each in targets.items()}
    assert shown == {target: run.run_uid for target, run in current.items() if run is not None}
    assert len(shown) > 100
