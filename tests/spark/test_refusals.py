"""What must be refused, with its code, and with source, target and catalog left as they were."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.errors import (
    AppendMismatch,
    ClearHistory,
    DecryptionError,
    DomainConflict,
    KekError,
    NotProtected,
    PolicyError,
    PrivpipeError,
    RunConflict,
    SchemaError,
    SourceError,
    TargetError,
    UnwrapError,
    UsageError,
)
from privpipe.keys import generate_kek
from privpipe.policy import Policy
from privpipe.spark import Home, open_home, protect, release
from privpipe.spark._facts import facts_of
from privpipe.spark._reveal import reveal
from tests.spark._project import CONFIG, make_home, policy_text

Change: TypeAlias = Callable[[DataFrame], DataFrame]

RULES = {"id": "keep", "name": "encrypt", "alias": "encrypt", "ssn": "encrypt_deterministic"}
ROWS = "select id, concat('n', id) as name, concat('a', id) as alias, concat('s', id) as ssn"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("refusals"), spark)


@pytest.fixture(scope="module")
def people(home: Home) -> DataFrame:
    return home.spark.sql(f"{ROWS} from range(100)")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy(policy_text("clinic.people", RULES))


@pytest.fixture(scope="module")
def table(home: Home, people: DataFrame, policy: Policy) -> str:
    target = f"{home.project.path.parent}/people"
    home.protect(policy, people, target, run_id="first")
    return target


@pytest.fixture
def copy(home: Home, table: str) -> Callable[[Change], list[Row]]:
    """The protected table as a thief or a fault would change it, revealed by whoever asks."""

    def revealed(change: Change) -> list[Row]:
        changed = change(home.spark.read.option("versionAsOf", 0).format("delta").load(table))
        changed.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(
            table
        )
        try:
            return home.reveal(table, ["name", "alias", "ssn"], "test").collect()
        finally:
            home.spark.sql(f"restore table delta.`{table}` to version as of 0")

    return revealed


def code_of(error: Exception) -> str:
    from privpipe.errors import from_text

    found = error if isinstance(error, PrivpipeError) else from_text(str(error))
    assert found is not None, str(error)
    return found.code


def swapped_with_metadata(df: DataFrame) -> DataFrame:
    fields = {f.name: f for f in df.schema.fields}
    return df.select(
        "id",
        F.col("alias").alias("name", metadata=fields["alias"].metadata),
        F.col("name").alias("alias", metadata=fields["name"].metadata),
        "ssn",
    )


def swapped_bytes(df: DataFrame) -> DataFrame:
    fields = {f.name: f for f in df.schema.fields}
    return df.select(
        "id",
        F.col("alias").alias("name", metadata=fields["name"].metadata),
        F.col("name").alias("alias", metadata=fields["alias"].metadata),
        "ssn",
    )


def with_name(change: Callable[[Any], Any]) -> Change:
    def changed(df: DataFrame) -> DataFrame:
        meta = df.schema["name"].metadata
        return df.withColumn("name", change(F.col("name"))).withMetadata("name", meta)

    return changed


CHANGES = {
    "columns swapped with their metadata": swapped_with_metadata,
    "columns swapped, metadata in place": swapped_bytes,
    "no metadata, columns swapped": lambda df: (
        df.selectExpr("id", "alias as name", "name as alias", "ssn")
        .withMetadata("name", {})
        .withMetadata("alias", {})
    ),
    "a byte cut off": with_name(lambda c: F.expr("substr(name, 1, length(name) - 1)")),
    "a byte put on": with_name(lambda c: F.concat(c, F.lit(b"\0"))),
    "shorter than any ciphertext": with_name(lambda c: F.lit(b"\1\2")),
    "another key id": with_name(
        lambda c: F.concat(F.lit(b"\1\0\0\0\7"), F.expr("substr(name, 6)"))
    ),
    "of the deterministic column": with_name(lambda c: F.col("ssn")),
    "plaintext": with_name(lambda c: F.lit("in clear").cast("binary")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_tampered_with_does_not_open(
    copy: Callable[[Change], list[Row]], what: str
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the code is looked at below
        copy(CHANGES[what])
    assert code_of(caught.value) == DecryptionError.code
    assert "n1" not in str(caught.value).replace("PP-", "")[:200]


def test_plaintext_columns_are_not_revealed(home: Home, table: str) -> None:
    with pytest.raises(NotProtected, match="id"):
        home.reveal(table, ["id"], "test")
    with pytest.raises(NotProtected, match="nmae"):
        home.reveal(table, ["nmae"], "test")
    with pytest.raises(UsageError, match="purpose"):
        home.reveal(table, ["name"], " ")
    with pytest.raises(SourceError):
        home.reveal(f"{table}-gone", ["name"], "test")


@pytest.mark.parametrize("lent", ["context", "type_json"])
def test_a_catalog_that_lends_a_column_anothers_context_or_type(
    home: Home, table: str, lent: str
) -> None:
    """Bytes, metadata and records exchanged together, by one who can write both."""
    kept = home._work.keep(table)
    facts = {fact.path: fact for fact in facts_of(home.catalog, kept)}
    name, alias = facts["name"], facts["alias"]
    forged = {
        "context": [
            replace(name, context=alias.context),
            replace(alias, context=name.context),
        ],
        "type_json": [replace(name, type_json='"binary"'), alias],
    }
    stored = home.spark.read.format("delta").load(table)
    df = swapped_with_metadata(stored) if lent == "context" else stored
    with pytest.raises(DecryptionError, match="contradicts itself"):
        reveal(df, ["name"], forged[lent], home.keys)
    assert reveal(stored, ["name"], [name, alias], home.keys).count() == 100


def test_a_run_id_stands_for_one_thing(
    home: Home, people: DataFrame, policy: Policy, table: str
) -> None:
    again = home.protect(policy, people, table, run_id="first")
    assert again.replayed
    assert again.table_version == 0
    other = parse_policy(policy_text("clinic.people", {**RULES, "alias": "drop"}))
    with pytest.raises(RunConflict, match="policy"):
        home.protect(other, people, table, run_id="first")
    with pytest.raises(RunConflict, match="target"):
        home.protect(policy, people, f"{table}2", run_id="first")
    assert not Path(f"{table}2").exists()
    assert home.spark.read.format("delta").load(table).count() == 100


def test_targets(home: Home, people: DataFrame, policy: Policy, table: str, tmp_path: Path) -> None:
    runs = home.catalog.runs()
    with pytest.raises(TargetError, match="exists"):
        home.protect(policy, people, table)
    source = str(tmp_path / "source.parquet")
    people.write.parquet(source)
    for target in (source, f"{source}/inside", str(tmp_path)):
        with pytest.raises(TargetError):
            home.protect(policy, source, target, mode="overwrite")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("x")
    with pytest.raises(TargetError, match="no Delta table"):
        home.protect(policy, people, str(tmp_path / "files"), mode="overwrite")
    with pytest.raises(SourceError):
        home.protect(policy, str(tmp_path / "gone.csv"), str(tmp_path / "t"))
    assert home.catalog.runs() == runs


def test_append_agrees_with_what_is_there(
    home: Home, people: DataFrame, policy: Policy, tmp_path: Path
) -> None:
    target = str(tmp_path / "t")
    home.protect(policy, people, target)
    home.protect(policy, people, target, mode="append")
    assert home.reveal(target, ["name"], "test").select("name").count() == 200
    for rules, expected in (
        ({**RULES, "name": "encrypt_deterministic"}, "name: protection"),
        ({**RULES, "alias": "keep"}, "alias: encrypt there, not protected here"),
        ({**RULES, "ssn": "{protect: encrypt_deterministic, domain: ssn}"}, "ssn: scope"),
        ({**RULES, "id": "encrypt"}, "id: not protected there"),
    ):
        other = parse_policy(policy_text("clinic.people", rules))
        with pytest.raises(AppendMismatch, match=expected):
            home.protect(other, people, target, mode="append")
    renamed = parse_policy(policy_text("clinic.others", RULES))
    with pytest.raises(AppendMismatch, match=r"clinic\.people there, clinic\.others here"):
        home.protect(renamed, people, target, mode="append")
    wider = people.withColumn("ssn", F.col("id"))
    with pytest.raises(AppendMismatch, match="ssn: type string there, bigint here"):
        home.protect(policy, wider, target, mode="append")
    bare = str(tmp_path / "bare")
    people.write.format("delta").save(bare)
    with pytest.raises(AppendMismatch, match="no run that wrote"):
        home.protect(policy, people, bare, mode="append")


def test_overwriting_a_table_that_was_in_clear(
    home: Home, people: DataFrame, policy: Policy, tmp_path: Path
) -> None:
    target = str(tmp_path / "t")
    people.write.format("delta").save(target)
    with pytest.raises(ClearHistory, match="name, alias, ssn") as caught:
        home.protect(policy, people, target, mode="overwrite")
    assert f"VACUUM delta.`{target}` RETAIN 0 HOURS" in str(caught.value.hint)
    run = home.protect(policy, people, target, mode="overwrite", accept_clear_history=True)
    assert any("VACUUM" in warning for warning in run.warnings)
    # A table that was never in clear is overwritten without being asked twice, history kept.
    clean = str(tmp_path / "clean")
    home.protect(policy, people, clean)
    home.protect(policy, people.limit(10), clean, mode="overwrite")
    assert home.reveal(clean, ["name"], "test").count() == 10
    assert home.spark.read.option("versionAsOf", 0).format("delta").load(clean).count() == 100


def test_undecided_and_unknown_columns(home: Home, people: DataFrame, tmp_path: Path) -> None:
    draft = parse_policy(policy_text("t", {**RULES, "ssn": "undecided"}))
    assert home.plan(draft, people).undecided == ("ssn",)
    with pytest.raises(PolicyError, match="undecided: ssn"):
        home.protect(draft, people, str(tmp_path / "t"))
    short = {name: rule for name, rule in RULES.items() if name != "ssn"}
    with pytest.raises(PolicyError, match="ssn"):
        home.protect(parse_policy(policy_text("t", short)), people, str(tmp_path / "t"))
    assert not (tmp_path / "t").exists()


def test_a_source_that_changed_since_it_was_planned(
    home: Home, people: DataFrame, policy: Policy, tmp_path: Path
) -> None:
    plan = home.plan(policy, people)
    with pytest.raises(SchemaError, match="planned as string, found bigint"):
        protect(people.withColumn("name", F.col("id")), plan)
    with pytest.raises(SchemaError, match="missing"):
        protect(people.drop("name"), plan)
    with pytest.raises(SchemaError, match="not protected as planned"):
        release(people, str(tmp_path / "t"), plan=plan, home=home)
    again = release(protect(people, plan), str(tmp_path / "t"), plan=plan, home=home)
    assert again.count() == 100
    assert home.reveal(str(tmp_path / "t"), ["ssn"], "test").count() == 100


def test_a_domain_holds_one_family(home: Home, tmp_path: Path) -> None:
    rule = "{protect: encrypt_deterministic, domain: meet}"
    texts = home.spark.sql("select 'x' as a")
    numbers = home.spark.sql("select 1 as a")
    home.protect(parse_policy(policy_text("d.a", {"a": rule})), texts, str(tmp_path / "a"))
    with pytest.raises(DomainConflict, match="text"):
        home.plan(parse_policy(policy_text("d.b", {"a": rule})), numbers)
    with pytest.raises(DomainConflict, match="text"):
        home.protect(parse_policy(policy_text("d.b", {"a": rule})), numbers, str(tmp_path / "b"))
    home.protect(parse_policy(policy_text("d.c", {"a": rule})), texts, str(tmp_path / "c"))
    left, right = (home.spark.read.format("delta").load(str(tmp_path / n)) for n in "ac")
    assert left.join(right, "a").count() == 1


def test_another_kek_and_a_swapped_keyset(
    home: Home, people: DataFrame, policy: Policy, table: str, tmp_path: Path
) -> None:
    spark, base = home.spark, home.project.path.parent
    (tmp_path / "secrets").mkdir()
    generate_kek(tmp_path / "secrets" / "kek.json")
    config = tmp_path / "privpipe.yaml"
    config.write_text(CONFIG.replace("warehouse/catalog", str(base / "warehouse" / "catalog")))
    with pytest.raises(UnwrapError, match=r"table:clinic\.people"):
        open_home(config, spark).protect(policy, people, str(tmp_path / "t"))
    assert not (tmp_path / "t").exists()
    other = parse_policy(policy_text("clinic.other", RULES))
    with pytest.raises(UnwrapError, match="opens under this KEK"):
        open_home(config, spark).protect(other, people, str(tmp_path / "t"))
    with pytest.raises(UnwrapError, match="opens under this KEK"):
        open_home(config, spark).keys.ref("table:clinic.other", "AES256_GCM")
    assert not any(each.scope == "table:clinic.other" for each in home.catalog.keysets())

    shutil.copytree(base, tmp_path / "copy")
    twin = open_home(tmp_path / "copy" / "privpipe.yaml", spark)
    assert twin.reveal(str(tmp_path / "copy" / "people"), ["name"], "test").count() == 100
    keysets = str(tmp_path / "copy" / "warehouse" / "catalog" / "keysets")
    gcm, siv = (
        next(
            k
            for k in home.catalog.keysets()
            if k.scope == "table:clinic.people" and p in k.primitive
        )
        for p in ("GCM", "SIV")
    )
    assert replace(gcm, wrapped=siv.wrapped) != gcm
    spark.sql(f"update delta.`{keysets}` set wrapped = '{siv.wrapped}' where scope = '{gcm.scope}'")
    twin.keys.forget()
    with pytest.raises(UnwrapError):
        twin.protect(policy, people, str(tmp_path / "copy" / "again"))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the code is looked at below
        twin.reveal(str(tmp_path / "copy" / "people"), ["name"], "test").collect()
    assert code_of(caught.value) == UnwrapError.code
    (tmp_path / "secrets" / "kek.json").chmod(0o644)
    with pytest.raises(KekError):
        open_home(config, spark).protect(policy, people, str(tmp_path / "t"))


def test_damaged_values_are_found_nulled_or_set_aside(
    home: Home, people: DataFrame, policy: Policy, tmp_path: Path
) -> None:
    target = str(tmp_path / "t")
    home.protect(policy, people.coalesce(1), target)
    frame = home.spark.read.format("delta").load(target)
    meta = frame.schema["name"].metadata
    broken = F.when(F.col("id") % 10 == 0, F.col("alias")).otherwise(F.col("name"))
    held = frame.withColumn("name", broken).withMetadata("name", meta)
    held.write.format("delta").mode("overwrite").save(target)

    report = home.verify(target)
    assert (report.values, report.damaged, report.ok) == (300, 10, False)
    assert [(d.column, d.damaged) for d in report.files] == [("name", 10)]
    assert report.files[0].file.endswith(".parquet")

    nulled = home.reveal(target, ["name", "ssn"], "test", on_error="null")
    assert nulled.where("name is null").count() == 10
    assert nulled.where("ssn is null").count() == 0
    assert nulled.columns == frame.columns

    with pytest.raises(DecryptionError, match="10 row"):
        home.reveal_to(target, ["name"], "test", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    aside = home.reveal_to(
        target, ["name"], "test", str(tmp_path / "out.parquet"), on_error="quarantine"
    )
    assert (aside.rows, aside.damaged) == (90, 10)
    assert aside.quarantine is not None
    kept = home.spark.read.format("delta").load(aside.quarantine)
    assert kept.count() == 10
    assert kept.schema["name"].dataType.simpleString() == "binary"
    out = home.spark.read.parquet(str(tmp_path / "out.parquet"))
    assert out.columns == ["id", "name"]
    assert out.where("name = concat('n', id)").count() == 90
    with pytest.raises(TargetError):
        home.reveal_to(target, ["name"], "test", str(tmp_path / "out.parquet"))
