"""Fresh keys: what stays readable, what is refused until it is rekeyed, and a table made anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from delta import DeltaTable
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.errors import (
    AppendMismatch,
    DecryptionError,
    KeysetNotFound,
    NotProtected,
    SchemaError,
    TargetError,
    TryAgain,
    UsageError,
)
from privpipe.policy import Policy
from privpipe.spark import Home, _rekey, _release, protect
from tests.spark._project import make_home, policy_text

COLUMNS = {
    "id": "{protect: tokenize, alphabet: digits}",
    "country": "keep",
    "card": "{protect: tokenize, alphabet: digits, tweak: country}",
    "email": "{protect: encrypt_deterministic, domain: email}",
    "name": "encrypt",
    "note": "{protect: encrypt, bind: [id]}",
    "person": "pseudonymize",
    "span": "encrypt",
    "'visits[].code'": "{protect: encrypt_deterministic, bind: [id]}",
    "'visits[].day'": "keep",
}
POLICY = parse_policy(policy_text("clinic.people", COLUMNS))
BACK = ["id", "card", "email", "name", "note", "span", "visits"]
OWN = "table:clinic.people"
ALL = [
    (OWN, "HKDF_SHA256_PRF"), (OWN, "AES256_SIV"), (OWN, "AES256_GCM"), (OWN, "AES_CMAC_PRF"),
    ("domain:email", "AES256_SIV"),
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, spark: SparkSession) -> Home:
    return make_home(tmp_path / "home", spark)


@pytest.fixture(scope="module")
def source(spark: SparkSession) -> DataFrame:
    return spark.sql(
        "select cast(1000000 + id as string) as id, if(id % 2 = 0, 'DE', 'FR') as country, "
        "cast(4000000000000000 + id as string) as card, concat('e', id, '@x') as email, "
        "if(id = 5, null, concat('n', id)) as name, if(id % 3 = 0, null, concat('t', id)) as note, "
        "concat('p', id) as person, make_ym_interval(0, cast(id as int)) as span, "
        "array(struct(concat('c', id) as code, date'2026-01-01' as day), "
        "struct(cast(null as string) as code, date'2026-01-02' as day)) as visits from range(20)"
    )


def rows(df: DataFrame) -> list[str]:
    spelt = df.withColumn("span", F.col("span").cast("string"))
    return sorted(str(tuple(row)) for row in spelt.select("country", *BACK).collect())


def test_a_table_is_made_anew_in_one_commit(home: Home, source: DataFrame, tmp_path: Path) -> None:
    place, spark = str(tmp_path / "people"), home.spark
    home.protect(POLICY, source, place)
    before = spark.read.format("delta").load(place)
    kept = before.select("person").collect()
    assert home.rekey(place) is None

    told = {(each.scope, each.primitive): each for each in (home.rotate(*name) for name in ALL)}
    assert [each.column for each in told[OWN, "HKDF_SHA256_PRF"].stale] == ["card", "id"]
    assert [each.column for each in told["domain:email", "AES256_SIV"].stale] == ["email"]
    assert told[OWN, "AES256_GCM"].stale == ()

    # A token does not say by which key it was made: the catalog does.
    assert rows(home.reveal(place, BACK, "test")) == rows(source)
    with pytest.raises(AppendMismatch, match="rekey the table first"):
        home.protect(POLICY, source, place, "append")
    assert sum("until it is rekeyed" in text for text in home.plan(POLICY, source).warnings) == 5

    one = home.rekey(place, ["email"])
    assert one is not None
    assert one.table_version == 1
    assert rows(home.reveal(place, BACK, "test")) == rows(source)
    done = home.rekey(place, run_id="rekey-1")
    assert done is not None
    assert (done.table_version, done.rows, done.mode) == (2, 20, "rekey")
    assert [text.split(":")[0] for text in done.warnings] == ["person"]
    again = home.rekey(place, run_id="rekey-1")
    assert again is not None
    assert again.replayed
    assert home.rekey(place) is None

    active = {each.key_id for name, each in told.items() if name[1] != "AES_CMAC_PRF"}
    assert active < set(done.key_ids)
    after = spark.read.format("delta").load(place)
    assert after.schema["id"].metadata["privpipe.key_id"] == str(told[ALL[0]].key_id)
    assert [f.dataType for f in after.schema] == [f.dataType for f in before.schema]
    assert sorted(after.select("person").collect()) == sorted(kept)
    old = DeltaTable.forPath(spark, place).history().count()
    assert old == 3
    changed = after.join(spark.read.option("versionAsOf", 0).format("delta").load(place), "person")
    assert changed.count() == 20
    assert rows(home.reveal(place, BACK, "test")) == rows(source)
    assert home.verify(place).ok
    with pytest.raises(AppendMismatch, match="person: key"):
        home.protect(POLICY, source, place, "append")
    with pytest.raises(NotProtected, match="cannot be made anew"):
        home.rekey(place, ["person"])
    with pytest.raises(NotProtected, match="not a protected column"):
        home.rekey(place, ["nobody"])
    refused_restored(home, source, place)
    restore(home, place, 2)
    assert home.verify(place).ok
    assert rows(home.reveal(place, BACK, "test")) == rows(source)


def refused_restored(home: Home, source: DataFrame, place: str) -> None:
    """The older version is under keys that are not those of the table's facts."""
    restore(home, place, 0)
    for column in ("id", "card"):
        with pytest.raises(DecryptionError, match="gives another key id") as caught:
            home.reveal(place, [column], "test")
        assert "restored" in str(caught.value.hint)
    for step in (lambda: home.verify(place), lambda: home.rekey(place)):
        with pytest.raises(DecryptionError, match="gives another key id"):
            step()
    with pytest.raises(AppendMismatch, match="id: the table's metadata gives another key id"):
        home.protect(POLICY, source, place, "append")
    sure = ["name", "note", "email", "visits"]  # their values say by which key they were made
    opened = home.reveal(place, sure, "test").select(*sure)
    assert sorted(map(str, opened.collect())) == sorted(map(str, source.select(*sure).collect()))
    again = home.rekey(place, run_id="rekey-1")
    assert again is not None
    assert again.replayed


def restore(home: Home, place: str, version: int) -> None:
    home.spark.sql(f"RESTORE TABLE delta.`{place}` TO VERSION AS OF {version}")


def test_a_version_of_other_settings_is_not_opened(home: Home, tmp_path: Path) -> None:
    place, spark = str(tmp_path / "cards"), home.spark
    source = spark.sql(
        "select cast(4000000000000000 + id as string) as card, concat('n', id) as name, "
        "array(struct(cast(5000000000 + id as string) as phone)) as calls from range(4)"
    )
    source.write.format("delta").save(place)

    def told(card: str, phone: str) -> None:
        rules = {"card": card, "name": "encrypt", "'calls[].phone'": phone}
        policy = parse_policy(policy_text("cards", rules))
        home.protect(policy, source, place, "overwrite", accept_clear_history=True)
        policies.append(policy)

    policies: list[Policy] = []
    digits = "{protect: tokenize, alphabet: digits}"
    last = "{protect: tokenize, alphabet: digits, preserve: {last: 4}}"
    told(digits, digits)
    told(last, digits)
    told(last, "mask")
    told(last, last)
    for version, opened, refused, name in (
        (0, [], "card", "protection"),  # in clear
        (1, [], "card", "settings"),
        (2, ["card", "name"], "calls[].phone", "settings"),
        (3, ["card", "name"], "calls", "scheme"),
        (4, ["card", "name", "calls"], "", ""),
    ):
        restore(home, place, version)
        if opened:
            shown = home.reveal(place, opened, "test").select(*opened).collect()
            expected = source.select(*opened).collect()
            assert sorted(map(str, shown)) == sorted(map(str, expected))
        if not refused:
            assert home.verify(place).ok
            home.protect(policies[-1], source, place, "append", accept_clear_history=True)
            continue
        with pytest.raises(DecryptionError, match=f"gives another {name} than the catalog"):
            home.reveal(place, [refused], "test")
        with pytest.raises(DecryptionError, match="gives another"):
            home.verify(place)
        with pytest.raises(AppendMismatch, match=f"gives another {name} than its last run"):
            home.protect(policies[-1], source, place, "append")


def test_what_was_appended_under_another_key_is_made_anew(
    home: Home, source: DataFrame, tmp_path: Path
) -> None:
    rules = {"name": "encrypt", "email": "encrypt_deterministic", "note": "fernet"}
    rules["country"] = "keep"
    policy = parse_policy(policy_text("t", rules))
    place, df = str(tmp_path / "t"), source.select("name", "email", "note", "country")
    home.protect(policy, df, place)
    first = home.rotate("table:t", "AES256_GCM").key_id
    home.rotate("table:t", "HKDF_SHA256_PRF")
    home.protect(policy, df, place, "append")
    home.rotate("table:t", "AES256_SIV")
    home.spark.sql(
        f"ALTER TABLE delta.`{place}` UNSET TBLPROPERTIES ('delta.dataSkippingStatsColumns')"
    )
    table = home.spark.read.format("delta").load(place)
    divided = table.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    divided.partitionBy("country").save(place)

    def keys(column: str) -> set[int]:
        found = home.spark.read.format("delta").load(place).where(F.col(column).isNotNull())
        heads = found.select(F.hex(F.substring(column, 2, 4))).distinct().collect()
        return {int(head, 16) for (head,) in heads}

    assert len(keys("name")) == 2
    home.rekey(place, ["email"])
    assert len(keys("name")) == 2
    home.rekey(place)
    assert keys("name") == {first}
    assert home.reveal(place, ["name"], "test").where("name is not null").count() == 38
    # Fernet tokens lie there under two keys, and say of neither.
    notes = home.reveal(place, ["note"], "test").select("note").collect()
    assert sorted(map(str, notes)) == sorted(map(str, 2 * df.select("note").collect()))
    assert home.verify(place).ok
    for _ in range(2):
        stands = DeltaTable.forPath(home.spark, place).detail().first()
        assert stands is not None
        assert stands["partitionColumns"] == ["country"]
        home.protect(policy, df, place, "overwrite")


def test_nothing_is_lost_to_a_rekeying(
    home: Home, source: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, spark = str(tmp_path / "people"), home.spark
    home.protect(POLICY, source, place)
    for name in ALL:
        home.rotate(*name)

    # Another's commit between the look at the table and the write of it stays.
    commit: Callable[..., None] = getattr(_release, "commit")  # noqa: B009 (it is imported there)

    def erased_first(rows: DataFrame, *args: object, **more: object) -> None:
        monkeypatch.setattr(_release, "commit", commit)
        DeltaTable.forPath(spark, place).delete("country = 'FR'")
        commit(rows, *args, **more)

    for change in (
        "ADD CONSTRAINT known CHECK (country IN ('DE', 'FR'))",
        "ALTER COLUMN name COMMENT 'what they are called'",
        "SET TBLPROPERTIES ('delta.appendOnly' = 'false', 'team.owner' = 'us')",
        "CLUSTER BY (country)",
    ):
        spark.sql(f"ALTER TABLE delta.`{place}` {change}")
    stood = DeltaTable.forPath(spark, place).detail().first()
    assert stood is not None

    monkeypatch.setattr(_release, "commit", erased_first)
    done = home.rekey(place)
    assert done is not None
    assert "CLUSTER BY (`country`)" in done.warnings[-1]
    assert rows(home.reveal(place, BACK, "test")) == rows(source.where("country = 'DE'"))
    still_the_same_table(home, place, stood)

    # A run of privpipe's own in between is seen, and nothing is opened by keys of yesterday.
    home.rotate(*ALL[0])
    rekeyed = _rekey._rekeyed

    def overwritten_first(*args: object) -> object:
        found = rekeyed(*args)  # type: ignore[arg-type]
        home.protect(POLICY, source, place, "overwrite")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(_rekey, "_rekeyed", overwritten_first)
        with pytest.raises(TryAgain, match="written this table meanwhile"):
            home.rekey(place)
    assert rows(home.reveal(place, BACK, "test")) == rows(source)

    taken_up_where_it_died(home, source, place, monkeypatch)

    # Altered bytes fail the run, and the table stays.
    home.rotate(*ALL[2])
    spoilt = F.concat(F.col("name"), F.lit(b"x"))
    DeltaTable.forPath(spark, place).update("country = 'DE'", {"name": spoilt})
    version = DeltaTable.forPath(spark, place).history(1).first()
    with pytest.raises(DecryptionError, match="did not authenticate"):
        home.rekey(place)
    assert DeltaTable.forPath(spark, place).history(1).first() == version


def still_the_same_table(home: Home, place: str, stood: Row) -> None:
    """What was declared of it holds."""
    spark = home.spark
    stands = DeltaTable.forPath(spark, place).detail().first()
    assert stands is not None
    assert stands["properties"] == stood["properties"]
    assert stands["properties"]["delta.constraints.known"]
    assert (stands["id"], stands["clusteringColumns"]) == (stood["id"], ["country"])
    table = spark.read.format("delta").load(place)
    assert table.schema["name"].metadata["comment"] == "what they are called"
    with pytest.raises(Exception, match="CHECK constraint known"):
        table.limit(1).withColumn("country", F.lit("XX")).writeTo(f"delta.`{place}`").append()


def taken_up_where_it_died(
    home: Home, source: DataFrame, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same command, whether it came to its commit or not."""
    commit: Callable[..., None] = getattr(_release, "commit")  # noqa: B009 (it is imported there)
    for late in (False, True):
        home.rotate(*ALL[0])

        def killed(*args: object, late: bool = late, **more: object) -> None:
            if late:
                commit(*args, **more)
            raise KeyboardInterrupt

        run_id = f"killed-{late}"
        with monkeypatch.context() as patch:
            patch.setattr(_release, "commit", killed)
            with pytest.raises(KeyboardInterrupt):
                home.rekey(place, run_id=run_id)
        died = home.catalog.run(run_id)
        assert died is not None
        assert died.state == "PENDING"
        home.catalog.update_run(replace(died, lease_until=died.started_at), held_by=died.owner)
        taken_up = home.rekey(place, run_id=run_id)
        assert taken_up is not None
        assert (taken_up.state, taken_up.replayed) == ("COMMITTED", late)
        assert rows(home.reveal(place, BACK, "test")) == rows(source)


def test_refusals(home: Home, source: DataFrame, tmp_path: Path) -> None:
    with pytest.raises(KeysetNotFound, match="no such keyset"):
        home.rotate("table:nowhere", "AES256_GCM")
    with pytest.raises(UsageError, match="as long as it lives"):
        home.rotate("vault:people", "HKDF_SHA256_PRF")
    with pytest.raises(TargetError, match="unknown mode"):
        home.protect(POLICY, source, tmp_path / "t", "rekey")  # type: ignore[arg-type]
    plan = home.plan(POLICY, source)
    earlier = protect(source, plan)
    home.rotate(*ALL[0])
    with pytest.raises(SchemaError, match="another key than the active one"):
        home.release(earlier, tmp_path / "t", plan=plan)
