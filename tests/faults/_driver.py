"""A driver in a process of its own that does as it is told, a line of JSON at a time.

Started by `test_two_drivers`, which has two of them do the same thing at the same moment: each
waits at a point of its run until the other has come there too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from privpipe.errors import PrivpipeError
from privpipe.spark import _release, open_home
from privpipe.spark._catalog_tables import CatalogTable
from privpipe.spark._session import build_session
from tests.faults._project import people

PATIENCE = 300


def meet(place: Path, name: str) -> None:
    """Returns once both drivers have come to `place`."""
    place.mkdir(exist_ok=True, parents=True)
    (place / name).touch()
    deadline = time.monotonic() + PATIENCE
    while len(list(place.iterdir())) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the other driver never came to {place.name}")
        time.sleep(0.01)


def meet_in_tasks(frame: DataFrame, place: Path, name: str) -> DataFrame:
    """`frame`, whose rows come once both drivers' write jobs are running: by then each has looked
    at the target, and neither has committed."""

    def wait(rows: Iterator[Any]) -> Iterator[Any]:
        place.mkdir(exist_ok=True, parents=True)
        (place / name).touch()
        deadline = time.monotonic() + PATIENCE
        while len(list(place.iterdir())) < 2:
            if time.monotonic() > deadline:
                raise TimeoutError("the other driver's job never ran")
            time.sleep(0.01)
        yield from rows

    return frame.mapInPandas(wait, frame.schema)


def met_before(step: Callable[..., Any], place: Path, name: str) -> Callable[..., Any]:
    def met(*args: Any, **options: Any) -> Any:
        meet(place, name)
        return step(*args, **options)

    return met


def met_before_keysets(place: Path, name: str) -> Callable[..., Any]:
    insert = CatalogTable.insert

    def met(self: CatalogTable, records: Any) -> None:
        if self.table.name == "keysets":
            meet(place, name)
        insert(self, records)

    return met


def protect(spark: SparkSession, asked: dict[str, Any]) -> dict[str, Any]:
    folder, place, name = Path(asked["folder"]), Path(asked["place"]), asked["name"]
    frame = people(spark, *asked["people"])
    begin, insert = _release._begin, CatalogTable.insert
    if asked["meet"] == "tasks":
        frame = meet_in_tasks(frame, place, name)
    elif asked["meet"] == "begin":
        _release._begin = met_before(begin, place, name)
    elif asked["meet"] == "keysets":
        CatalogTable.insert = met_before_keysets(place, name)  # type: ignore[method-assign]
    try:
        run = open_home(folder / "privpipe.yaml", spark).protect(
            folder / asked["policy"],
            frame,
            folder / asked["target"],
            asked["mode"],
            run_id=asked["run_id"],
        )
    except PrivpipeError as error:
        return {"code": error.code, "said": str(error)}
    finally:
        _release._begin = begin
        CatalogTable.insert = insert  # type: ignore[method-assign]
    return {"state": run.state, "replayed": run.replayed, "version": run.table_version}


def main(scratch: Path) -> None:
    answers = os.fdopen(os.dup(1), "w")
    spark = build_session(
        {
            "spark.master": "local[1]",
            "spark.driver.memory": "600m",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.warehouse.dir": str(scratch),
        }
    )
    for line in sys.stdin:
        answers.write(json.dumps(protect(spark, json.loads(line))) + "\n")
        answers.flush()
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
