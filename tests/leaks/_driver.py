"""A driver that protects, reveals and fails in every way, in the folder that `_scene` built.

Started as a process of its own: `python _driver.py`, the folder being the current one.
"""

# ruff: noqa: T201 (what it prints is searched too)
from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pyspark import cloudpickle
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe import load_policy
from privpipe.catalog import KeysetRecord, ledger
from privpipe.cli import main as command
from privpipe.dp import Budget
from privpipe.features import parse_features
from privpipe.keys import open_ref, opener_of, read_key_file
from privpipe.spark import Home, open_home, protect
from privpipe.spark._facts import facts_of
from privpipe.spark._reveal import columns_to_open, reveal
from privpipe.spark._source import read_source
from privpipe.spark._udf import reveal_udf
from tests.leaks._others import REVERSIBLE

PEOPLE = "warehouse/people"
FEATURES = """
version: 1
features: leaks.features
source: warehouse/people
unit: mail
groups: {name: select}
bounds: {groups: 1, rows: 1}
aggregates:
  n: count
  s: {sum: number, low: 0, high: 10}
  m: {quantile: number, low: 0, high: 10, bins: 4, at: 0.5}
  d: {distinct: ssn}
privacy: {budget: leaks, epsilon: 1, delta: 1e-9, floor: 1000000}
"""
EXACT = """
version: 1
features: leaks.exact
source: warehouse/people
unit: mail
groups: {name: select}
aggregates: {n: count, d: {distinct: number}, least: {min: ssn}, top: {top: ssn}}
privacy: {k_anonymity: 1000000, l_diversity: {ssn: 2}}
"""
PARQUET = "source/people.parquet"
OTHERS = "warehouse/others"
PRIVATE = "secrets/private.pem"
ARCHIVE = "imported:archive"
# A catalog that says another type than the one that was protected.
WRONG_TYPES = (
    ("pin", "int"),
    ("pin", "date"),
    ("pin", "decimal(3,2)"),
    ("name", "bigint"),
    ("name", "boolean"),
    ("number", "date"),
    ("number", "string"),
)
IN_JSON = {"int": "integer", "bigint": "long"}
LEAVES = ["name", "ssn", "mail", "pin", "number", "card.number", "visits[].note", "attrs{}"]


def main() -> None:
    logging.basicConfig(filename="logs/python.log", level=logging.DEBUG)
    with open_home("privpipe.yaml") as home:
        home.catalog.add_keysets(planted_keysets(home))
        work(home)
        other_work(home)
        private_work(home)
        pickles(home)
        failures(home)
    commands()


def planted_keysets(home: Home) -> list[KeysetRecord]:
    now = datetime.now(UTC)
    return [
        KeysetRecord(**each, version=1, kek_uri=home.project.kek, created_at=now)
        for each in json.loads(Path("keysets.json").read_text())
    ]


def work(home: Home) -> None:
    """What a user does: spilled, shuffled, appended, joined, revealed, verified."""
    policy = load_policy("people.yaml")
    source = home.spark.read.parquet(PARQUET)
    shuffled = source.repartition(2, "name").sortWithinPartitions("name")
    print(home.protect(policy, shuffled, PEOPLE, run_id="first"))
    print(home.protect(policy, PARQUET, PEOPLE, mode="append"))
    source.write.format("delta").save("source/people_delta")
    print(home.protect(policy, "source/people_delta", PEOPLE, mode="append"))
    plan = home.plan(policy, source)
    print(plan, repr(home), repr(home.keys), repr(home.catalog))
    protect(source, plan).explain(True)
    revealed = home.reveal(PEOPLE, LEAVES, "the leak search")
    revealed.explain(True)
    opened = revealed.repartition(2, "ssn").sortWithinPartitions("ssn")
    # Some rows in Python, all of them through shuffle and spill.
    assert len(opened.limit(700).collect()) == 700
    opened.write.format("noop").mode("overwrite").save()
    there = home.spark.read.format("delta").load(PEOPLE)
    print(there.alias("a").join(there.alias("b"), "mail").count())
    there.show(3, truncate=False)
    home.reveal_to(PEOPLE, LEAVES, "the leak search", "revealed/people")
    home.reveal_to(PEOPLE, LEAVES, "the leak search", "revealed/people.parquet")
    print(home.verify(PEOPLE), home.repair())
    for kind in ("parquet", "orc", "csv", "json"):
        print(home.protect("folders.yaml", f"source/folders.{kind}", f"warehouse/in_{kind}"))
    for name in ("good.csv", "good.json"):
        print(home.protect("text.yaml", f"source/{name}", f"warehouse/{name.replace('.', '_')}"))


def other_work(home: Home) -> None:
    """The same for every other protection."""
    source = home.spark.read.parquet("source/others.parquet")
    shuffled = source.repartition(2, "named").sortWithinPartitions("named")
    for name, kind, path in (("legacy", "FERNET", "secrets/fernet"), ("archive", "PEM", PRIVATE)):
        print(home.keys.add_imported(read_key_file(Path(path), kind), name))
    print(home.protect("others.yaml", shuffled, OTHERS))
    print(home.protect("others.yaml", "source/others.parquet", OTHERS, mode="append"))
    plan = home.plan("others.yaml", source)
    print(plan, *plan.warnings)
    opened = home.reveal(OTHERS, REVERSIBLE, "the leak search", opener=ARCHIVE)
    opened.explain(True)
    opened.repartition(2, "token").write.format("noop").mode("overwrite").save()
    there = home.spark.read.format("delta").load(OTHERS)
    print(there.alias("a").join(there.alias("b"), "named").count())
    there.show(3, truncate=False)
    home.reveal_to(OTHERS, REVERSIBLE, "the leak search", "revealed/others.parquet", opener=PRIVATE)
    print(home.verify(OTHERS), home.verify(OTHERS, opener=PRIVATE))
    archive = home.keys.find(ARCHIVE, "PEM")
    assert archive is not None
    facts, keys = facts_of(home.catalog, f"./{OTHERS}"), home.keys.with_opener(opener_of(archive))
    # A vault's tokens come back by a join: no closure has to do with them.
    by_worker = [name for name in REVERSIBLE if name != "vaulted"]
    columns = columns_to_open(there.schema, by_worker, facts, keys)
    closures = [reveal_udf(column.tasks, column.moved).func for column in columns]
    Path("out/other_closures.pickle").write_bytes(dumps(closures))


def private_work(home: Home) -> None:
    """Figures of groups whose names are secret, and of which none may show; and of all together."""
    ledger.open_budget(home.catalog, "leaks", Budget.of_epsilon(10, delta="1e-6"))
    hidden = parse_features(FEATURES)
    print(home.features(hidden, "warehouse/features"), hidden, hidden.canonical_text)
    home.spark.read.format("delta").load("warehouse/features").explain(True)
    together = FEATURES.replace("groups: {name: select}", "groups: {}")
    whole = parse_features(together.replace(", floor: 1000000", ""))
    print(home.features(whole, "warehouse/whole"), home.attack(whole, units=1, draws=300))
    home.spark.read.format("delta").load("warehouse/whole").show(truncate=False)
    exact = parse_features(EXACT)
    print(home.features(exact, "warehouse/exact"), exact, exact.canonical_text)
    home.spark.read.format("delta").load("warehouse/exact").explain(True)


def pickles(home: Home) -> None:
    """Whatever travels, as it travels; with the keys open in this very process."""
    plan = home.plan("people.yaml", PARQUET)
    refs = [home.keys.ref(scope, kind, family=family) for scope, kind, family in plan.scopes]
    for ref in refs:
        print(ref, repr(open_ref(ref)))
    facts = facts_of(home.catalog, f"./{PEOPLE}")
    schema = home.spark.read.format("delta").load(PEOPLE).schema
    opened = columns_to_open(schema, LEAVES, facts, home.keys)
    closures = [reveal_udf(column.tasks, column.moved).func for column in opened]
    travelling: dict[str, Any] = {
        "plan": replace(plan, keys=None),
        "refs": refs,
        "facts": facts,
        "closures": closures,
    }
    for name, what in travelling.items():
        Path(f"out/{name}.pickle").write_bytes(dumps(what))
    refused("pickle the keyset", partial(dumps, open_ref(refs[0])))


def dumps(what: Any) -> bytes:
    """As Spark pickles what it sends."""
    data: bytes = cloudpickle.dumps(what)  # type: ignore[no-untyped-call]
    return data


def failures(home: Home) -> None:
    """What fails, and how it is told."""
    frame = home.spark.read.format("delta").load(PEOPLE)
    facts = facts_of(home.catalog, f"./{PEOPLE}")
    tampered = frame.withColumn("name", F.expr("substr(name, 1, length(name) - 1)"))
    refused("tampered", lambda: read(reveal(tampered, ["name"], facts, home.keys)))
    wrong = open_home("wrong.yaml", home.spark)
    refused("wrong KEK", lambda: read(wrong.reveal(PEOPLE, ["name", "ssn"], "the leak search")))
    refused("wrong KEK, protect", lambda: wrong.protect("people.yaml", PARQUET, "warehouse/none"))
    for path, kind in WRONG_TYPES:
        lied = [
            replace(fact, type=kind, type_json=json.dumps(IN_JSON.get(kind, kind)))
            if fact.path == path
            else fact
            for fact in facts
        ]
        there = frame.withMetadata(path, {})
        # Only its hash is asked for: what a wrong type makes of a value is a value still.
        refused(
            f"{path} as {kind}",
            lambda: read(reveal(there, [path], lied, home.keys).select(F.hash(path))),  # noqa: B023
        )
    for name in ("torn.csv", "unfit.csv", "torn.json"):
        source, target = f"source/{name}", f"warehouse/{name.replace('.', '_')}"
        refused(name, partial(home.protect, "text.yaml", source, target))
        refused(f"{name}, read", partial(read_protected, home, source))
    refused("no token", partial(home.protect, "others.yaml", "source/unfit.parquet", "./none"))
    refused("sealed", lambda: read(home.reveal(OTHERS, ["sealed"], "the leak search")))
    refused("one way", lambda: home.reveal(OTHERS, ["masked"], "the leak search"))
    moved = home.spark.read.format("delta").load(OTHERS).withColumn("named", F.lit("x"))
    told = facts_of(home.catalog, f"./{OTHERS}")
    refused("moved", lambda: read(reveal(moved, ["bound"], told, home.keys)))
    refused("as text", lambda: home.protect("people.yaml", "source/good.csv", "warehouse/none"))


def read_protected(home: Home, source: str) -> None:
    """The way of those who hold their own DataFrames: nothing is read before it is used."""
    policy = load_policy("text.yaml")
    df = read_source(home.spark, str(Path(source).absolute()), policy.schema)
    read(protect(df, home.plan(policy, df)))


def read(df: DataFrame) -> None:
    df.write.format("noop").mode("overwrite").save()


def refused(what: str, step: Callable[[], Any]) -> None:
    """Takes a step that may fail, and tells its error in every way that Python has."""
    print(f"== {what}")
    try:
        step()
    except Exception as error:
        print(error, repr(error), vars(error))
        traceback.print_exc()
        logging.getLogger("a user's").exception("it failed")
    else:
        print("no error")


def commands() -> None:
    """The command line with stack traces."""
    for words in (
        "plan people.yaml --source source/people.parquet",
        "protect text.yaml --source source/torn.csv --target warehouse/none",
        "reveal warehouse/people --columns name --purpose leaks --config wrong.yaml",
        "keys list",
        "keys backup out/backup.json",
        "catalog columns",
        "catalog runs --json",
    ):
        print(f"== privpipe {words}: {command([*words.split(), '--debug'])}")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
