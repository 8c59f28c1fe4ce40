"""Two processes, each with a Spark of its own, race for the same names in one catalog."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from privpipe.catalog import open_folder

PROJECT = Path(__file__).resolve().parents[2]
ROUNDS = 2

# Each waits at the barrier with its session up, then writes as fast as it can: first where no
# table is, so that the making of tables races too.
RACER = """
import json, sys, time
from dataclasses import replace
from pathlib import Path
from privpipe.spark._catalog import delta_catalog
from privpipe.spark._session import build_session
from tests.catalog._facts import keyset, run

folder, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
spark = build_session({
    "spark.master": "local[1]",
    "spark.driver.memory": "600m",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.warehouse.dir": (folder / name).as_uri(),
    "spark.local.dir": str(folder / (name + "-local")),
})
spark.range(1).collect()
store = delta_catalog(spark, str(folder / "catalog"))
won = []

def barrier(number):
    (folder / f"ready-{name}-{number}").touch()
    while len(list(folder.glob(f"ready-*-{number}"))) < 2:
        time.sleep(0.005)

for number in range(rounds):
    barrier(number)
    keysets = store.add_keysets([
        keyset(f"table:{number}", wrapped=name, key_id=number),
        keyset("table:own-" + name, wrapped=name, version=number),
    ])
    begun = store.begin_run(run(f"run-{number}", owner=name))
    barrier(rounds + number)
    taken = store.update_run(replace(begun, owner=name + "!", error_code=name), held_by=begun.owner)
    won.append([keysets[0].wrapped, keysets[1].wrapped, begun.owner, taken.owner])
print("WON " + json.dumps(won))
spark.stop()
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[list[str]]]]:
    """The catalog after the race, and what each racer took for the winners, round by round."""
    folder = tmp_path_factory.mktemp("race")
    racers = {
        name: subprocess.Popen(
            [sys.executable, "-c", RACER, str(folder), name, str(ROUNDS)],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("anna", "bert")
    }
    won: dict[str, list[list[str]]] = {}
    deadline = time.monotonic() + 900  # a minute, on a machine with nothing else to do
    try:
        for name, racer in racers.items():
            out, err = racer.communicate(timeout=deadline - time.monotonic())
            assert racer.returncode == 0, err[-4000:]
            won[name] = json.loads(out.rpartition("WON ")[2])
    finally:
        for racer in racers.values():
            racer.kill()
            racer.communicate()
    return folder / "catalog", won


Outcome = tuple[Path, dict[str, list[list[str]]]]


def test_both_see_the_same_winners(outcome: Outcome) -> None:
    _, won = outcome
    for anna, bert in zip(won["anna"], won["bert"], strict=True):
        shared, own = 0, 1
        assert anna[shared] == bert[shared]
        assert (anna[own], bert[own]) == ("anna", "bert"), "neither loses what is its own"
        assert anna[2:] == bert[2:]


def test_one_row_a_name(outcome: Outcome) -> None:
    folder, won = outcome
    store = open_folder(folder)
    names = [(each.scope, each.version) for each in store.keysets()]
    assert len(names) == len(set(names)) == 3 * ROUNDS
    runs = store.runs()
    assert sorted(each.run_id for each in runs) == [f"run-{number}" for number in range(ROUNDS)]
    by_name = {each.scope: each.wrapped for each in store.keysets() if each.version == 1}
    for number, (keyset, _, begun, taken) in enumerate(won["anna"]):
        assert by_name[f"table:{number}"] == keyset
        row = next(each for each in runs if each.run_id == f"run-{number}")
        assert row.owner == taken
        assert taken == f"{row.error_code}!", "the row is one racer's, whole"
        assert begun in ("anna", "bert")
