"""Vaulted columns through a project: tokens in the table, values back, and what hangs on them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from delta import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import LEASE
from privpipe.errors import (
    AppendMismatch,
    DecryptionError,
    TargetError,
    TryAgain,
    UsageError,
    from_text,
)
from privpipe.spark import Home
from privpipe.spark._protect import protect_in
from privpipe.spark._setting import setting
from privpipe.spark._vault_table import entries
from tests.catalog._facts import run
from tests.spark._project import make_home, policy_text

COLUMNS = {
    "id": "keep",
    "person": "{protect: vault, vault: people}",
    "number": "{protect: vault, vault: numbers, format: 'digits:9'}",
    "note": "{protect: encrypt, bind: [person]}",
    "seen": "{protect: shift, days: 30, subject: person}",
}
POLICY = parse_policy(policy_text("clinic.visits", COLUMNS))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("home") / "home", spark)


@pytest.fixture(scope="module")
def source(spark: SparkSession) -> DataFrame:
    return spark.sql(
        "select id, if(id = 9, null, concat('person ', id % 3)) as person, id % 4 as number, "
        "if(id = 9, null, concat('note ', id)) as note, if(id = 9, null, date'2026-01-01') as seen "
        "from range(10)"
    )


@pytest.fixture(scope="module")
def target(home: Home, source: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("table") / "visits")
    home.protect(POLICY, source, place)
    return place


def rows(df: DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return sorted((tuple(row) for row in df.select("id", *columns).collect()), key=str)


def test_values_come_back_with_what_is_bound_to_their_tokens(
    home: Home, source: DataFrame, target: str
) -> None:
    stored = home.spark.read.format("delta").load(target)
    assert stored.select("person").distinct().count() == 4
    assert all("person " not in str(token) for (token,) in stored.select("person").collect())
    columns = ["person", "number", "note"]
    for on_error in ("fail", "null"):
        opened = home.reveal(target, columns, "test", on_error)
        assert rows(opened, *columns) == rows(source, *columns)
        assert opened.schema["number"].dataType == source.schema["number"].dataType
    # One subject's dates move alike, and what is bound to a token opens without the vault.
    moved = stored.groupBy("person").agg(F.countDistinct("seen").alias("days"))
    assert moved.where("person is not null and days <> 1").isEmpty()
    assert rows(home.reveal(target, ["note"], "test"), "note") == rows(source, "note")


def test_no_shuffle_of_a_large_vault_holds_what_is_in_clear(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for columns that the table keeps, and those that are bound to a token."""
    monkeypatch.setattr("privpipe.spark._vault._BROADCAST", -1)
    place, spark = str(tmp_path / "large"), home.spark
    told = {
        **COLUMNS,
        "note": "{protect: encrypt, bind: [Person, mail]}",
        "mail": "encrypt_deterministic",
        "card": "{protect: tokenize, alphabet: digits, tweak: id, key_column: true}",
        "inner.secret": "encrypt",
        "inner.kept": "keep",
        "gone": "drop",
    }
    policy = parse_policy(policy_text("clinic.large", told))
    vault = {"token", "fingerprint", "value", "link"}
    source = spark.sql(
        "select id, concat('person ', id % 3) as person, id % 4 as number, "
        "concat('note ', id) as note, date'2026-01-01' as seen, concat('mail ', id) as mail, "
        "lpad(id, 8, '7') as card, struct(concat('s ', id) as secret, id as kept) as inner, "
        "'gone' as gone from range(10)"
    )
    with setting(spark, "spark.sql.autoBroadcastJoinThreshold", "-1"):
        made = protect_in(source, home.plan(policy, source), home.catalog.location)
        moved = shuffled(made)
        assert len(moved) == 4
        for names in moved:
            clear = {name for name in names if not name.startswith("__privpipe_")}
            assert clear <= {"note", "card__key", *vault}, names
        home.protect(policy, source, place)
        back = home.reveal(place, ["person", "number", "note", "mail", "card", "inner"], "test")
        stored = set(spark.read.format("delta").load(place).columns)
        moved = shuffled(back)
        assert len(moved) == 4
        for names in moved:
            entry = {n for n in names if n.startswith("__privpipe_vault_") and "_entry_" in n}
            assert names - entry - vault <= stored, names
        columns = ["person", "number", "note", "mail", "card", "inner"]
        assert rows(back, *columns) == rows(source, *columns)
        assert back.columns == [name for name in source.columns if name != "gone"]


def shuffled(df: DataFrame) -> list[set[str]]:
    """The columns that each exchange in the plan of `df` takes in."""
    query = df._jdf.queryExecution()
    jvm: Any = df.sparkSession._jvm
    modes = jvm.org.apache.spark.sql.execution.ExplainMode
    text = query.explainString(modes.fromString("formatted"))
    found = re.findall(r"\(\d+\) Exchange\nInput \[\d+\]: \[(.*?)\]", text)
    return [set(re.sub(r"#\d+L?", "", each).split(", ")) for each in found]


@pytest.mark.parametrize("on_error", ["fail", "null", "quarantine"])
def test_into_a_target(
    home: Home, source: DataFrame, target: str, tmp_path: Path, on_error: str
) -> None:
    place = str(tmp_path / "clear")
    done = home.reveal_to(target, ["person", "note"], "test", place, on_error)  # type: ignore[arg-type]
    assert (done.rows, done.damaged) == (10, 0)
    clear = home.spark.read.format("delta").load(place)
    assert clear.columns == ["id", "person", "note", "seen"]
    assert rows(clear, "person", "note") == rows(source, "person", "note")
    alone = home.reveal_to(target, ["person"], "test", str(tmp_path / "alone"), on_error)  # type: ignore[arg-type]
    assert (alone.rows, alone.damaged) == (10, 0)


def test_an_append_gives_the_same_tokens_and_another_format_is_refused(
    home: Home, source: DataFrame, tmp_path: Path
) -> None:
    place = str(tmp_path / "twice")
    home.protect(POLICY, source, place)
    home.protect(POLICY, source, place, mode="append")
    stored = home.spark.read.format("delta").load(place)
    assert stored.count() == 20
    assert stored.select("person").distinct().count() == 4
    other = dict.fromkeys(COLUMNS, "keep")
    other["number"] = "{protect: vault, vault: people, format: 'digits:9'}"
    policy = parse_policy(policy_text("clinic.other", other))
    with pytest.raises(AppendMismatch, match="vault people"):
        home.plan(policy, source)
    with pytest.raises(AppendMismatch, match="vault people"):
        home.protect(policy, source, str(tmp_path / "other"))


def code_of(frame: DataFrame) -> str | None:
    """The code of the error that ends the reading of `frame`."""
    try:
        frame.collect()
    except PySparkException as error:
        told = from_text(str(error))
        return None if told is None else told.code
    return None


def test_a_token_that_the_vault_does_not_know(home: Home, target: str, tmp_path: Path) -> None:
    strange, clear = str(tmp_path / "strange"), str(tmp_path / "clear")
    two = home.spark.sql(
        "select id, 'person 1' as person, id as number, 'n' as note, date'2026-01-01' as seen "
        "from range(2)"
    )
    home.protect(POLICY, two, strange)
    home.spark.sql(f"update delta.`{strange}` set number = '000000000' where id = 1")
    assert code_of(home.reveal(strange, ["number"], "test")) == DecryptionError.code
    shown = home.reveal(strange, ["person", "number"], "test", "null")
    assert rows(shown, "person", "number") == [(0, "person 1", 0), (1, "person 1", None)]
    with pytest.raises(DecryptionError, match=r"1 row\(s\) hold values .* nothing was written"):
        home.reveal_to(strange, ["number"], "test", clear)
    done = home.reveal_to(strange, ["number"], "test", f"{clear}1", "null")
    assert (done.rows, done.damaged, done.quarantine) == (2, 1, None)
    done = home.reveal_to(strange, ["number", "note"], "test", clear, "quarantine")
    assert (done.rows, done.damaged) == (1, 1)
    assert done.quarantine is not None
    aside = home.spark.read.format("delta").load(done.quarantine)
    assert aside.columns == list(COLUMNS)
    assert rows(aside, "number") == [(1, "000000000")]
    written = "".join(file.read_text() for file in Path(clear, "_delta_log").glob("*.json"))
    assert '"numRecords' in written.replace("\\", "")
    assert '"number":0' not in written.replace("\\", ""), "no statistics of what was opened"


# A value is bound to its fingerprint, and a fingerprint to its token.
TAMPERED = [["value"], ["fingerprint", "value", "link"]]


def test_entries_whose_parts_are_exchanged_lead_nowhere(
    home: Home, source: DataFrame, tmp_path: Path
) -> None:
    """A token opens to its own value or to none, and no value gets another one's token."""
    place = str(tmp_path / "visits")
    home.protect(POLICY, source, place)
    vault = f"{home.catalog.location}/vaults/people"
    kept = entries(home.spark, vault).orderBy("number").collect()
    assert {len(row["value"]) for row in kept} == {12 + 32 + 16}, "no length tells a name"
    one, two = kept[:2]
    sound = rows(home.reveal(place, ["person"], "test"), "person")
    table = DeltaTable.forPath(home.spark, vault)
    version = table.history(1).collect()[0]["version"]
    for names in TAMPERED:
        table.update(
            F.col("number").isin(one["number"], two["number"]),
            {
                name: F.when(F.col("number") == one["number"], F.lit(two[name])).otherwise(
                    F.lit(one[name])
                )
                for name in names
            },
        )
        assert code_of(home.reveal(place, ["person"], "test")) == DecryptionError.code, names
        shown = rows(home.reveal(place, ["person"], "test", "null"), "person")
        for (key, found), (also, wanted) in zip(shown, sound, strict=True):
            assert key == also
            assert found in (None, wanted), names
        assert sum(found is not None for _, found in shown) == 3, "those of the third entry"
        if names != ["value"]:
            with pytest.raises(DecryptionError, match="entry of the vault"):
                home.protect(POLICY, source, str(tmp_path / "-".join(names)))
        table.restoreToVersion(version)
    home.spark.sql(
        f"update delta.`{vault}` set link = if(number = 1, null, link), "
        "value = case number when 2 then X'00' when 3 then null end where shard >= 0"
    )
    assert code_of(home.reveal(place, ["person"], "test")) == DecryptionError.code
    shown = rows(home.reveal(place, ["person"], "test", "null"), "person")
    assert {found for _, found in shown} == {None}
    table.restoreToVersion(version)
    assert rows(home.reveal(place, ["person"], "test"), "person") == sound


def test_what_expired_and_who_is_forgotten_leave_the_vault(
    home: Home, source: DataFrame, target: str
) -> None:
    vault = f"{home.catalog.location}/vaults/numbers"
    home.spark.sql(f"update delta.`{vault}` set expires_at = current_timestamp() where number = 1")
    (told,) = (each for each in home.vaults() if each.name == "numbers")
    assert (told.entries, told.expired, told.format) == (4, 1, "digits:9")
    assert told.fill == 4 / 500_000_000
    assert home.expire("numbers") == 1
    assert home.forget("numbers", source.select("number")) == 3
    assert home.forget("numbers", ["0", "1"]) == 0
    with pytest.raises(UsageError, match="one column"):
        home.forget("numbers", source)
    with pytest.raises(TargetError, match="no such vault"):
        home.forget("nobody", ["1"])
    with pytest.raises(UsageError, match=r"the family date .* columns are of "):
        home.forget("people", source.select("seen"))
    with pytest.raises(UsageError, match=r"the family date .* columns are of integer"):
        home.forget("numbers", ["2026-01-01"], family="date")
    shown = rows(home.reveal(target, ["number"], "test", "null"), "number")
    assert {found for _, found in shown} == {None}
    now = datetime.now(UTC)
    under_way = run("under way", started_at=now, lease_until=now + LEASE)
    home.catalog.begin_run(under_way)
    with pytest.raises(TryAgain, match="under way"):
        home.purge("numbers", hours=0)
    home.catalog.update_run(replace(under_way, state="FAILED"), held_by=under_way.owner)
    assert home.purge("numbers", hours=0) > 0
    (told,) = (each for each in home.vaults() if each.name == "numbers")
    assert (told.entries, told.given) == (0, 4)
