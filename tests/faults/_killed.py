"""A driver that dies by `kill -9` at a point of its own run. Started by `test_killed_driver`.

Arguments: the project's folder, the point, the mode.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pyspark import SparkContext
from pyspark.sql import DataFrame

from privpipe.spark import Home, _release, open_home
from tests.faults._project import ROWS, people, protect_people


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_after(step: Callable[..., Any]) -> Callable[..., Any]:
    def stepped(*args: Any, **options: Any) -> None:
        step(*args, **options)
        die()

    return stepped


def killed_before(step: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **options: die()


# The names that `privpipe.spark._release` calls, in its order.
POINTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "before keysets": ("_decide", killed_after),
    "after keysets": ("_make_keys", killed_after),
    "after PENDING": ("_begin", killed_after),
    "after columns": ("until_no_conflict", killed_before),
    "after the data": ("commit", killed_after),
}


def half_written(home: Home, target: Path) -> None:
    """Dies, JVM and all, when a data file stands and the last task still runs."""

    def stay(rows: Iterator[Any]) -> Iterator[Any]:
        for row in rows:
            if row["id"].iloc[-1] == str(ROWS - 1):
                time.sleep(300)  # ended by the kill
            yield row

    def watch() -> None:
        while not any(path.stat().st_size for path in target.glob("part-*.parquet")):
            time.sleep(0.01)
        os.kill(jvm(), signal.SIGKILL)
        die()

    threading.Thread(target=watch, daemon=True).start()
    frame: DataFrame = people(home.spark, 0, ROWS)
    home.protect(
        home.project.path.parent / "people.yaml",
        frame.mapInPandas(stay, frame.schema),
        target,
        run_id="nightly",
    )


def jvm() -> int:
    gateway = SparkContext._gateway
    assert gateway is not None
    return int(gateway.proc.pid)


def main(folder: Path, point: str, mode: str) -> None:
    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "600m",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "spark"),
    }
    from privpipe.spark._session import build_session

    home = open_home(folder / "privpipe.yaml", build_session(settings))
    (folder / "jvm").write_text(str(jvm()))
    if mode == "append":
        protect_people(home, "first")
    if point == "half of the data":
        half_written(home, folder / "warehouse" / "people")
    name, killed = POINTS[point]
    setattr(_release, name, killed(getattr(_release, name)))
    protect_people(home, "nightly", mode)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
