"""A driver that dies by `kill -9` at a point of its own run. Started by `test_killed_driver`.

Arguments: a project's folder, the point, the mode; and those of further projects. It dies in the
last of them. In the others it copies the folder at the point, which is what a death there would
leave, and ends the run: a Java process for each takes most of a minute to come as far.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pyspark import SparkContext
from pyspark.sql import DataFrame

from privpipe.spark import Home, _release, open_home
from tests.faults._project import ROWS, people, protect_people


class Copied(BaseException):
    """The run is over; nothing catches this on its way."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def copy(folder: Path) -> None:
    shutil.copytree(folder, dead_of(folder))
    raise Copied


def dead_of(folder: Path) -> Path:
    """Where the copy lies."""
    return folder.with_name("dead")


def ended_after(step: Callable[..., Any], end: Callable[[], None]) -> Callable[..., Any]:
    def stepped(*args: Any, **options: Any) -> None:
        step(*args, **options)
        end()

    return stepped


def ended_before(step: Callable[..., Any], end: Callable[[], None]) -> Callable[..., Any]:
    return lambda *args, **options: end()


# The names that `privpipe.spark._release` calls, in its order.
POINTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "before keysets": ("_decide", ended_after),
    "after keysets": ("_make_keys", ended_after),
    "after PENDING": ("_begin", ended_after),
    "after columns": ("until_no_conflict", ended_before),
    "after the data": ("commit", ended_after),
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


def end_at(home: Home, point: str, mode: str, end: Callable[[], None]) -> None:
    if mode == "append":
        protect_people(home, "first")
    if point == "half of the data":
        half_written(home, home.project.path.parent / "warehouse" / "people")
    name, ended = POINTS[point]
    step = getattr(_release, name)
    setattr(_release, name, ended(step, end))
    try:
        protect_people(home, "nightly", mode)
    finally:
        setattr(_release, name, step)


def main(deaths: list[tuple[Path, str, str]]) -> None:
    from privpipe.spark._session import build_session

    *copied, (last, last_point, last_mode) = deaths
    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "600m",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(last / "spark"),
    }
    spark = build_session(settings)
    (last / "jvm").write_text(str(jvm()))
    for folder, point, mode in copied:
        with suppress(Copied):
            end_at(open_home(folder / "privpipe.yaml", spark), point, mode, partial(copy, folder))
    end_at(open_home(last / "privpipe.yaml", spark), last_point, last_mode, die)


if __name__ == "__main__":
    words = iter(sys.argv[1:])
    main(
        [
            (Path(folder), point, mode)
            for folder, point, mode in zip(words, words, words, strict=True)
        ]
    )
