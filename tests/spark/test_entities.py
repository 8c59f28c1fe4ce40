"""Tables of features of entities as what they are: protected tables with a past of their own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import current_columns, ledger
from privpipe.errors import (
    AppendMismatch,
    DecryptionError,
    NotProtected,
    SourceError,
    SpecError,
    TargetError,
)
from privpipe.features import EntitySpec, parse_features
from privpipe.spark import Home
from privpipe.spark.features._entity_rows import entity_rows
from privpipe.spark.features._entity_source import find_entities
from privpipe.spark.features._source import find_table
from tests.spark._project import make_home, policy_text

DAY = date(2024, 3, 1)
TOKEN = "{protect: tokenize, alphabet: digits, domain: patient}"
VISITS = {"patient": TOKEN, "visited": "encrypt", "cost": "encrypt"}
OUTCOMES = {"patient": TOKEN, "decided": "encrypt"}
SPEC = """\
version: 1
features: clinic.activity
source: {visits}
entity: patient
event_time: visited
labels: {{table: {outcomes}, entity: patient, time: decided}}
windows: [3d, 10d]
aggregates: {{visits: count, spend: {{sum: cost}}}}
privacy: none
columns: {{spend*: encrypt}}
"""
# Of each patient a visit of 10 on day 0, and on every second day of 20 one that costs its number.
VISIT_ROWS = [(f"10000{n}", at, at or 10) for n in range(3) for at in range(0, 20, 2)]
OUTCOME_ROWS = [("100000", 4), ("100001", 10), ("100001", 30), ("100002", 15)]


def told(patient: str, at: int) -> tuple[Any, ...]:
    """The row of features that belongs to a label."""
    found: list[Any] = [patient, at]
    for figure in (len, sum):
        for days in (3, 10):
            costs = [
                cost for who, day, cost in VISIT_ROWS if who == patient and at - days <= day < at
            ]
            found.append(figure(costs) if costs or figure is len else None)
    return tuple(found)


EXPECTED = sorted(told(*each) for each in OUTCOME_ROWS)


@pytest.fixture
def home(tmp_path: Path, spark: SparkSession) -> Home:
    return make_home(tmp_path / "home", spark)


def days(values: Iterable[int]) -> pa.Array:
    return pa.array([DAY + timedelta(days=each) for each in values], pa.date32())


def visit_rows(spark: SparkSession) -> DataFrame:
    who, at, cost = zip(*VISIT_ROWS, strict=True)
    return spark.createDataFrame(
        pa.table({"patient": pa.array(who), "visited": days(at), "cost": pa.array(cost)})
    )


def outcome_rows(spark: SparkSession) -> DataFrame:
    who, at = zip(*OUTCOME_ROWS, strict=True)
    return spark.createDataFrame(pa.table({"patient": pa.array(who), "decided": days(at)}))


def place(home: Home, name: str) -> str:
    return f"{home.project.path.parent}/warehouse/{name}"


def put(home: Home, name: str, df: DataFrame, columns: dict[str, str], mode: str = "error") -> None:
    policy = parse_policy(policy_text(f"clinic.{name}", columns))
    home.protect(policy, df, place(home, name), mode)  # type: ignore[arg-type]


def both(home: Home, visits: dict[str, str], outcomes: dict[str, str]) -> EntitySpec:
    """The two tables, protected so, and the spec over them."""
    put(home, "visits", visit_rows(home.spark), visits)
    put(home, "outcomes", outcome_rows(home.spark), outcomes)
    return spec_of(home)


def spec_of(home: Home, text: str = SPEC, outcomes: str = "outcomes") -> EntitySpec:
    spec = parse_features(
        text.format(visits=place(home, "visits"), outcomes=place(home, outcomes)), name="f.yaml"
    )
    assert isinstance(spec, EntitySpec)
    return spec


def by_day(home: Home, visits: str) -> EntitySpec:
    """The same figures, a row a day."""
    labels = "labels: {{table: {outcomes}, entity: patient, time: decided}}"
    text = SPEC.replace(labels, "grain: day").replace("{visits}", place(home, visits))
    return spec_of(home, text)


def rows(df: DataFrame) -> list[tuple[Any, ...]]:
    df = df.withColumn("decided", F.datediff("decided", F.lit(DAY)))
    return sorted(tuple(row) for row in df.collect())


def opened(home: Home, name: str = "activity") -> list[tuple[Any, ...]]:
    return rows(home.reveal(place(home, name), ["patient", "spend_3d", "spend_10d"], "test"))


def test_a_table_of_features_lives_as_a_protected_table(home: Home) -> None:
    spec, target = both(home, VISITS, OUTCOMES), place(home, "activity")
    run = home.features(spec, target, run_id="one")
    assert opened(home) == EXPECTED
    assert not any("patient" in each for each in run.warnings)
    [fact] = [each for each in current_columns(home.catalog, run.target) if each.path == "patient"]
    [theirs] = [
        each
        for each in current_columns(home.catalog, "./warehouse/outcomes")
        if each.path == "patient"
    ]
    assert (fact.protection, fact.table, fact.run_id) == ("tokenize", "clinic.activity", "one")
    for name in ("scope", "primitive", "key_id", "context", "settings", "type_json"):
        assert getattr(fact, name) == getattr(theirs, name)
    assert fact.key_id in run.key_ids

    # What it was made of, in which versions, stands in the run; in the table's own log the
    # versions alone.
    stored = home.spark.read.format("delta").load(target)
    record = home.catalog.run("one")
    assert record is not None
    assert json.loads(record.reads or "") == {"./warehouse/outcomes": 0, "./warehouse/visits": 0}
    history = home.spark.sql(f"DESCRIBE HISTORY delta.`{target}`").first()
    assert history is not None
    assert json.loads(history["userMetadata"])["versions"] == [0, 0]
    assert "outcomes" not in history["userMetadata"]
    assert stored.schema["patient"].metadata["privpipe.context"] == theirs.context

    # More events: appended are rows as of now, under an id of their own, and once.
    put(home, "visits", visit_rows(home.spark), VISITS, "append")
    with pytest.raises(TargetError):
        home.features(spec, target, run_id="two")
    for replayed in (False, True):
        again = home.features(spec, target, "append", run_id="two")
        assert (again.replayed, again.table_version, again.rows) == (replayed, 1, 4)
    doubled = [(*row[:2], *(each and each * 2 for each in row[2:])) for row in EXPECTED]
    assert opened(home) == sorted(EXPECTED + doubled)
    second = home.catalog.run("two")
    assert second is not None
    assert json.loads(second.reads or "") == {"./warehouse/outcomes": 0, "./warehouse/visits": 1}

    # A fresh key of the domain leaves three tables to be rekeyed, and this is one of them.
    rotated = home.rotate("domain:patient", fact.primitive)
    assert {each.target for each in rotated.stale} == {
        "./warehouse/visits", "./warehouse/outcomes", "./warehouse/activity"
    }  # fmt: skip
    home.rekey(place(home, "visits"))
    with pytest.raises(SpecError, match="one entity has two tokens"):
        home.features(spec, target, "append")
    home.rekey(place(home, "outcomes"))
    with pytest.raises(AppendMismatch, match=f"patient: key_id {fact.key_id} there"):
        home.features(spec, target, "append")
    assert home.rekey(target) is not None
    assert opened(home) == sorted(EXPECTED + doubled)
    home.features(spec, target, "append")
    assert len(opened(home)) == 12

    # What is released of it is charged with what it was made of, labels among them.
    known = ledger.lineage(home.catalog.runs(), ["./warehouse/activity"])
    assert known == ("./warehouse/activity", "./warehouse/outcomes", "./warehouse/visits")


def test_one_version_is_read_whatever_is_written_meanwhile(home: Home) -> None:
    spec = both(home, VISITS, OUTCOMES)
    source = find_entities(home._work, spec, place(home, "visits"))
    made = entity_rows(source)
    before = rows(made)
    put(home, "visits", visit_rows(home.spark), VISITS, "append")
    put(home, "outcomes", outcome_rows(home.spark), OUTCOMES, "append")
    assert rows(entity_rows(source)) == rows(made) == before
    # The facts too are those of the version that is read.
    put(home, "visits", visit_rows(home.spark), VISITS | {"cost": "keep"}, "overwrite")
    for version, protection in ((0, "encrypt"), (1, "encrypt"), (2, None)):
        table = find_table(home._work, place(home, "visits"), version)
        assert table.protection("cost") == protection
    for where in ("visits", "outcomes"):
        with pytest.raises(TargetError, match="the target is the source"):
            home.features(spec, place(home, where), "overwrite")
    assert home.spark.read.format("delta").load(place(home, "visits")).count() == len(VISIT_ROWS)


SHIFT = "{{protect: shift, days: {days}, subject: {subject}, domain: {domain}}}"


def shifted(domain: str = "dates", days: int = 60, subject: str = "patient") -> str:
    return SHIFT.format(days=days, subject=subject, domain=domain)


def test_shifted_times_meet_where_both_are_moved_alike(home: Home) -> None:
    visits = VISITS | {"visited": shifted()}
    both(home, visits, OUTCOMES | {"decided": shifted()})
    for name, rule in (
        ("bare", "keep"), ("other", shifted("another")), ("fewer", shifted(days=59)),
        ("own", "{protect: shift, days: 60, subject: patient}"),
    ):  # fmt: skip
        put(home, name, outcome_rows(home.spark), OUTCOMES | {"decided": rule})
    # A subject's dates move together, so a label may lie before another's first event.
    run = home.features(spec_of(home), place(home, "activity"))
    there = [row[2:] for row in opened(home)]
    assert sorted(map(str, there)) == sorted(str(row[2:]) for row in EXPECTED)
    assert not any("is shifted" in each for each in run.warnings)
    for name, words in (
        ("bare", "one is shifted, and one is not"), ("other", "different numbers of days"),
        ("fewer", "different numbers of days"), ("own", "different numbers of days"),
    ):  # fmt: skip
        with pytest.raises(SpecError, match=words):
            home.features(spec_of(home, outcomes=name), place(home, "never"))
    months = spec_of(home, SPEC.replace("[3d, 10d]", "[3d, 1month]"))
    source = find_entities(home._work, months, place(home, "visits"))
    assert source.warnings == ("visited is shifted, so weeks and months are of the shifted dates",)
    by_cost = visits | {"cost": "keep", "visited": shifted("costs", subject="cost")}
    put(home, "visits", visit_rows(home.spark), by_cost, "overwrite")
    source = find_entities(home._work, by_day(home, "visits"), place(home, "visits"))
    assert "visited is shifted by cost: where one patient has several" in source.warnings[0]


def test_labels_in_clear_hold_what_they_hold(home: Home) -> None:
    """Tokens that somebody has put into a table of his own meet; names do not."""
    both(home, VISITS, OUTCOMES)
    tokens = home.spark.read.format("delta").load(place(home, "outcomes")).select("patient")
    names = home.reveal(place(home, "outcomes"), ["patient", "decided"], "test")
    assert tokens.count() == 4
    names.write.format("delta").save(place(home, "names"))
    both_known = home.reveal(place(home, "outcomes"), ["decided"], "test")
    both_known.write.format("delta").save(place(home, "tokens"))
    for name, found in (("names", 0), ("tokens", 16)):
        run = home.features(spec_of(home, outcomes=name), place(home, f"by_{name}"))
        assert any("only where the two hold equal tokens" in each for each in run.warnings)
        assert any(each.startswith("nothing hides patient, decided") for each in run.warnings)
        counts = home.spark.read.format("delta").load(place(home, f"by_{name}"))
        assert counts.agg(F.sum(F.col("visits_3d") + F.col("visits_10d"))).first() == (found,)
        with pytest.raises(NotProtected):
            home.reveal(place(home, f"by_{name}"), ["patient"], "test")
    with pytest.raises(SourceError) as caught:
        home.features(spec_of(home, outcomes="nowhere"), place(home, "never"))
    assert "f.yaml:6 labels" in str(caught.value)
    assert not Path(place(home, "never")).exists()


def test_no_protection_is_lost_for_the_case_of_a_letter(home: Home) -> None:
    """A table names its columns otherwise than the spec, which means the same ones."""
    both(home, VISITS, OUTCOMES)
    labels = "labels: {{table: {outcomes}, entity: patient, time: DECIDED}}"
    text = SPEC.replace("visited", "VISITED").replace("decided", "DECIDED")
    assert labels in text
    by_label = text.replace("{{spend", "{{DEC*: encrypt, spend")
    by_day = text.replace(labels, "grain: day").replace("{{spend", "{{VISITED: encrypt, spend")
    for text, column in ((by_label, "decided"), (by_day, "visited")):
        target = place(home, f"by_{column}")
        run = home.features(spec_of(home, text), target)
        assert dict(home.spark.read.format("delta").load(target).dtypes)[column] == "binary"
        assert not any(column in each for each in run.warnings)


def test_what_stands_for_an_entity_stays_what_it_is(home: Home) -> None:
    kinds = {
        "vault": "{protect: vault, vault: patients}",
        "pseudonymize": "{protect: pseudonymize, domain: patient}",
        "with_key": "{protect: tokenize, alphabet: digits, domain: patient, key_column: true}",
    }
    for name, rule in kinds.items():
        put(home, f"visits_{name}", visit_rows(home.spark), VISITS | {"patient": rule})
        text = SPEC.replace("{visits}", place(home, f"visits_{name}"))
        text = text.replace(
            "labels: {{table: {outcomes}, entity: patient, time: decided}}", "grain: day"
        )
        home.features(parse_features(text.format()), place(home, name))
        facts = {each.path: each for each in current_columns(home.catalog, f"./warehouse/{name}")}
        assert facts["patient"].protection == ("tokenize" if name == "with_key" else name)
    patients = {"100000", "100001", "100002"}
    for name in ("vault", "with_key"):
        df = home.reveal(place(home, name), ["patient"], "test")
        assert {row["patient"] for row in df.collect()} == patients
    with pytest.raises(NotProtected, match="pseudonymize"):
        home.reveal(place(home, "pseudonymize"), ["patient"], "test")
    # Forgotten in the vault is forgotten here.
    assert home.forget("patients", ["100001"]) == 1
    kept = home.reveal(place(home, "vault"), ["patient"], "test", on_error="null")
    assert {row["patient"] for row in kept.collect()} == {"100000", None, "100002"}

    # Tokens of two keys, and values that are bound to others, are several of one entity.
    fact = next(
        each
        for each in current_columns(home.catalog, "./warehouse/visits_with_key")
        if each.path == "patient"
    )
    home.rotate(fact.scope, fact.primitive)
    rules = VISITS | {"patient": kinds["with_key"]}
    put(home, "visits_with_key", visit_rows(home.spark), rules, "append")
    text = SPEC.replace("{visits}", place(home, "visits_with_key"))
    text = text.replace(
        "labels: {{table: {outcomes}, entity: patient, time: decided}}", "grain: day"
    )
    with pytest.raises(SpecError, match="has tokens under 2 keys"):
        home.features(parse_features(text.format()), place(home, "never"))
    bound = {"patient": "{protect: encrypt_deterministic, bind: [id]}", "id": "keep"}
    df = visit_rows(home.spark).withColumn("id", F.monotonically_increasing_id())
    put(home, "bound", df, VISITS | bound)
    with pytest.raises(SpecError, match="has one token for each value of id"):
        home.features(by_day(home, "bound"), place(home, "never"))
    # A table that was put back to another protection is not taken at its catalog's word.
    put(home, "restored", visit_rows(home.spark), VISITS | {"patient": "encrypt"})
    put(home, "restored", visit_rows(home.spark), VISITS, "overwrite")
    home.spark.sql(f"RESTORE TABLE delta.`{place(home, 'restored')}` TO VERSION AS OF 0")
    with pytest.raises(DecryptionError, match="another"):
        home.features(by_day(home, "restored"), place(home, "never"))
