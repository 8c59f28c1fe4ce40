"""A driver in a process of its own that reserves, and draws, at the same moment as another one.

Started by `test_ledger`. Arguments: the folder, this driver's name, and what it finds when it is
done. The driver `anna` dies by `kill -9` behind the commit of her last draw's record.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from privpipe.catalog import BudgetRecord, Catalog
from privpipe.catalog.ledger import open_budget, publish, reserve, start_draw
from privpipe.dp import Budget
from privpipe.errors import PrivpipeError
from privpipe.spark._catalog import delta_catalog
from privpipe.spark._session import build_session
from tests.catalog._budgets import wanted


def meet(folder: Path, name: str, point: str) -> None:
    """Returns once both drivers have come to this point."""
    (folder / f"ready-{name}-{point}").touch()
    deadline = time.monotonic() + 300
    while len(list(folder.glob(f"ready-*-{point}"))) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError("the other driver never came")
        time.sleep(0.005)


def release(catalog: Catalog, run_id: str, **changes: Any) -> str:
    """Reserves and draws; what came of it: the reservation that was drawn for, or a code."""
    try:
        uid = reserve(catalog, wanted(run_id, **changes)).release.uid
        return start_draw(catalog, uid).uid
    except PrivpipeError as error:
        return error.code


class Dying:
    """The catalog, whose process dies as soon as a draw is on record."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def add_budget_event(self, record: BudgetRecord) -> BudgetRecord:
        added = self._catalog.add_budget_event(record)
        if record.event == "draw":
            os.kill(os.getpid(), signal.SIGKILL)
        return added


def main(folder: Path, name: str) -> None:
    spark = build_session(
        {
            "spark.master": "local[1]",
            "spark.driver.memory": "600m",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.warehouse.dir": (folder / name).as_uri(),
            "spark.local.dir": str(folder / f"{name}-local"),
        }
    )
    spark.range(1).collect()
    catalog = delta_catalog(spark, str(folder / "catalog"))
    found: dict[str, Any] = {}
    meet(folder, name, "open")
    # Where no table is yet, so that the making of it races too.
    open_budget(catalog, "clinic", Budget.of_epsilon("3.5"))
    open_budget(catalog, name, Budget.of_epsilon(3))
    # Four releases, and room for three of them.
    for number in range(2):
        meet(folder, name, f"clinic-{number}")
        found[f"clinic-{number}"] = release(catalog, f"{name}-{number}")
    # One run in two processes, which nothing keeps apart here. A second attempt would fit too.
    meet(folder, name, "shared")
    found["shared"] = release(catalog, "shared", budget="anna", sources={"./of_anna": 0})
    # Two budgets, and the same data.
    meet(folder, name, "data")
    found["data"] = release(
        catalog, f"data-{name}", budget=name, unit="other", sources={"./one": None}
    )
    for uid in found.values():
        if len(uid) == 36:
            publish(catalog, uid, 7)
    (folder / f"found-{name}.json").write_text(json.dumps(found))
    meet(folder, name, "end")
    if name == "anna":
        dying: Any = Dying(catalog)
        open_budget(catalog, "last", Budget.of_epsilon(2))
        uid = reserve(catalog, wanted("dies", budget="last", sources={"./last": 0})).release.uid
        start_draw(dying, uid)
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
