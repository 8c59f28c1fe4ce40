"""A process that writes a catalog folder as fast as it can, and says what it was told it wrote.

Started by `tests/spark/test_catalog_here.py`. Arguments: the folder, this process's name, and how
many rounds. Each line that it prints is a fact that a write returned for, with its table.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from privpipe.catalog import CHANGING, Outrun, merge_rows, open_folder, update_run
from tests.catalog._facts import column, event, keyset, run

LEDGER = "privpipe-budgets"


def take(step: Callable[[], bool]) -> None:
    """Takes the step until no other writer was faster."""
    for _ in range(1000):
        try:
            assert step(), "it is Spark's to write"
        except Outrun:
            time.sleep(random.uniform(0.001, 0.02))
        else:
            return
    raise TimeoutError("always outrun")


def say(table: str, *fact: object) -> None:
    sys.stdout.write(json.dumps([table, *fact]) + "\n")
    sys.stdout.flush()


def hammer(folder: str, name: str, rounds: int) -> None:
    for number in range(rounds):
        own = keyset(f"own-{name}", version=number, wrapped=name)
        shared = keyset(f"shared-{number}", wrapped=name)
        take(lambda: merge_rows(folder, "keysets", [own, shared], replace=False))  # noqa: B023 (taken at once)
        say("keysets", own.scope, own.version)

        begun = run(f"run-{number}", owner=name, run_uid=f"uid-{number}")
        take(lambda: merge_rows(folder, "runs", [begun], replace=False))  # noqa: B023
        now = open_folder(folder).run(begun.run_id)
        assert now is not None
        taken = replace(now, owner=name + "!", error_code=name)
        take(lambda: update_run(folder, taken, CHANGING, held_by=now.owner))  # noqa: B023
        say("runs", begun.run_id)

        facts = [column(run(f"{name}-{number}", run_uid=f"{name}-{number}"), "a")]
        take(lambda: merge_rows(folder, "columns", facts, replace=True))  # noqa: B023
        say("columns", facts[0].run_uid)
        say("budgets", *spend(folder, name))


def spend(folder: str, name: str) -> tuple[int, str]:
    """Number and uid of an event behind all that are there."""
    while True:
        seq = len(open_folder(folder).budget_events()) + 1
        wanted = event(seq, budget=name)
        take(lambda: merge_rows(folder, "budgets", [wanted], replace=False, notes=(seq, LEDGER)))  # noqa: B023
        if open_folder(folder).budget_events()[seq - 1] == wanted:
            return seq, wanted.uid


def main(folder: str, name: str, rounds: int) -> None:
    Path(folder).with_name(f"ready-{name}").touch()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda thread: hammer(folder, name + thread, rounds), "xy"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
