"""A driver in a process of its own that gets tokens at the same moment as another one.

Started by `test_vault_race`. Arguments: the folder, this driver's name, the rounds. With its last
tokens added and not yet read, the driver `anna` dies by `kill -9`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from privpipe.spark import _vault
from privpipe.spark._session import build_session
from privpipe.spark._vault_format import parse_vault_format
from privpipe.spark._vault_table import ensure_vault
from tests.spark._vault import NAME, work

TOKENS = "base62:8"


def session(folder: Path, name: str) -> SparkSession:
    events = folder / f"events-{name}"
    events.mkdir()
    return build_session(
        {
            "spark.master": "local[1]",
            "spark.driver.memory": "600m",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.warehouse.dir": (folder / name).as_uri(),
            "spark.local.dir": str(folder / f"{name}-local"),
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": events.as_uri(),
        }
    )


def meet(folder: Path, name: str, number: int) -> None:
    """Returns once both drivers have come to this point."""
    (folder / f"ready-{name}-{number}").touch()
    deadline = time.monotonic() + 300
    while len(list(folder.glob(f"ready-*-{number}"))) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError("the other driver never came")
        time.sleep(0.005)


def die_behind_the_commit() -> None:
    add: Any = vars(_vault)["add_missing"]

    def added(*args: Any, **options: Any) -> None:
        add(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    vars(_vault)["add_missing"] = added


def main(folder: Path, name: str, rounds: int) -> None:
    spark = session(folder, name)
    steps, path = work(TOKENS), str(folder / "vault")
    found: dict[str, str] = {}
    for number in range(rounds):
        values = spark.read.parquet(str(folder / f"values-{name}-{number}.parquet"))
        meet(folder, name, number)
        ensure_vault(spark, path, NAME, parse_vault_format(TOKENS))
        got = _vault.tokens_for(path, steps, values)
        for row in got.collect():
            assert found.setdefault(row["fingerprint"].hex(), row["token"]) == row["token"]
        got.explain(True)
        (folder / f"found-{name}.json").write_text(json.dumps(found))
    if name == "anna":
        die_behind_the_commit()
        last = spark.read.parquet(str(folder / "values-last.parquet"))
        _vault.tokens_for(path, steps, last)
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
