"""The vault: one token a value and one value a token, whatever comes between."""

from __future__ import annotations

import base64
import os
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delta import DeltaTable
from deltalake import DeltaTable as DeltaLake
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from privpipe.errors import (
    AppendMismatch,
    DataError,
    InvalidValue,
    TargetError,
    TryAgain,
    UsageError,
)
from privpipe.spark import _vault_merge
from privpipe.spark._errors import own_error
from privpipe.spark._setting import setting
from privpipe.spark._transaction import TRANSACTION
from privpipe.spark._vacuum import vacuum
from privpipe.spark._vault import (
    detokenize,
    exchange,
    expire,
    fingerprints,
    forget,
    give,
    look_up,
    remains,
    tokens_for,
)
from privpipe.spark._vault_format import parse_vault_format
from privpipe.spark._vault_table import (
    RESERVED,
    ensure_vault,
    entries,
    find_vault,
    open_vault,
    reservation,
)
from privpipe.spark._vault_work import fingerprint_udf
from privpipe.testing import Canaries
from tests.spark._vault import NAME, work

TOKENS = "base62:8"
STEPS = work(TOKENS)
SECRET = "Kowalczyk-4711-"

MakeVault = Callable[..., str]


@pytest.fixture
def make(spark: SparkSession, tmp_path: Path) -> MakeVault:
    """Makes a vault of that format; gives its path."""

    def made(text: str = TOKENS) -> str:
        path = str(tmp_path / "vault")
        ensure_vault(spark, path, NAME, parse_vault_format(text))
        return path

    return made


def column(spark: SparkSession, *values: str | None) -> DataFrame:
    return spark.createDataFrame([(value,) for value in values], "name string")


def people(spark: SparkSession, first: int, behind: int) -> DataFrame:
    return spark.range(first, behind).select(F.concat(F.lit(SECRET), "id").alias("name"))


def got(frame: DataFrame) -> dict[bytes, str]:
    rows = frame.collect()
    found = {bytes(row["fingerprint"]): row["token"] for row in rows}
    assert len(found) == len(rows)
    return found


def tokenized(frame: DataFrame, name: str, path: str) -> DataFrame:
    """The frame with tokens in the place of the values of one column."""
    give(frame.select(name), path=path, work=STEPS)
    marked = frame.withColumn(name, fingerprint_udf(STEPS, name)(name))
    return exchange(marked, name, path=path, work=STEPS)


def state(spark: SparkSession, path: str) -> tuple[list[int], int]:
    """The numbers that entries have, and the reservation's."""
    kept = ["fingerprint", "token", "number"]
    apart = [("shard", "!=", RESERVED)]
    rows = DeltaLake(path).to_pyarrow_table(filters=apart, columns=kept).to_pylist()
    assert len({row["token"] for row in rows}) == len(rows), "no token stands for two values"
    assert len({row["fingerprint"] for row in rows}) == len(rows), "no value has two"
    return sorted(row["number"] for row in rows), reservation(spark, path).number


def test_tokens_are_given_once_and_lead_back(
    spark: SparkSession, make: MakeVault, tmp_path: Path
) -> None:
    path = make()
    first = got(tokens_for(path, STEPS, people(spark, 0, 1000)))
    assert len(set(first.values())) == 1000
    assert got(tokens_for(path, STEPS, people(spark, 0, 1000))) == first
    assert DeltaTable.forPath(spark, path).history(1).collect()[0]["version"] == 2, "no commit"

    both = people(spark, 500, 1500).union(people(spark, 900, 1100)).union(column(spark, None, ""))
    second = got(tokens_for(path, STEPS, both))
    assert len(second) == 1001
    assert {key: second[key] for key in second if key in first} == {
        key: token for key, token in first.items() if key in second
    }
    assert state(spark, path) == (list(range(1, 1502)), 1501)

    frame = people(spark, 1400, 1600).union(column(spark, None, "", "")).repartition(3)
    protected = tokenized(frame.withColumn("kept", F.col("name")), "name", path)
    assert protected.columns == ["name", "kept"]
    protected.write.parquet(str(tmp_path / "protected"))
    stored = spark.read.parquet(str(tmp_path / "protected"))
    marked = stored.union(spark.sql("select 'Unknown8' as name, null as kept"))
    there = look_up(marked, F.col("name"), "entry", path=path)
    back = detokenize(there, "entry", "found", work=STEPS)
    rows = back.select("name", "kept", "found.*").collect()
    assert len(rows) == 204
    for row in rows:
        known = row["kept"] is not None
        assert (None if row["value"] is None else row["value"].decode()) == row["kept"]
        assert (row["name"] in (None, "Unknown8")) is not known
    assert [row["name"] for row in rows if row["lost"]] == ["Unknown8"]
    assert state(spark, path) == (list(range(1, 1602)), 1601)

    needles = Canaries(values={"one": f"{SECRET}777", "stem": SECRET})
    assert needles.in_paths(Path(path)) == ()
    log = "".join(file.read_text() for file in Path(path, "_delta_log").glob("*.json"))
    assert '\\"minValues\\":{\\"number\\":' in log
    for name in ("fingerprint", "value", "token", "link", "revision"):
        assert f'\\"{name}\\":\\"' not in log
    some = next(iter(first))
    for form in (some.hex(), base64.b64encode(some).decode(), first[some]):
        assert form.lower() not in log.lower()


def test_two_threads_at_once(spark: SparkSession, make: MakeVault) -> None:
    path, gate = make(), threading.Barrier(2)
    found: dict[str, list[dict[bytes, str]]] = {"anna": [], "bert": []}

    def run(name: str, step: int) -> None:
        for number in range(3):
            gate.wait(timeout=300)
            values = people(spark, 100 * number + step, 100 * number + step + 100)
            found[name].append(got(tokens_for(path, STEPS, values)))

    threads = [threading.Thread(target=run, args=case) for case in (("anna", 0), ("bert", 50))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(each) for each in found["anna"] + found["bert"]] == [100] * 6
    every: dict[bytes, str] = {}
    for each in found["anna"] + found["bert"]:
        for key, token in each.items():
            assert every.setdefault(key, token) == token
    assert state(spark, path) == (list(range(1, 351)), 350)


def test_what_the_caller_writes_afterwards_is_not_the_vaults(
    spark: SparkSession, make: MakeVault, tmp_path: Path
) -> None:
    """A write under the vault's transaction would be skipped where it comes again."""
    give(people(spark, 0, 3), path=make(), work=STEPS)
    own, rows = str(tmp_path / "own"), spark.sparkContext.parallelize([(1, "a"), (2, "b")])
    for _ in range(2):
        frame = rows.toDF(["id", "name"])
        assert frame.sparkSession is spark
        frame.write.format("delta").mode("append").save(own)
    assert spark.read.format("delta").load(own).count() == 4
    log = "".join(file.read_text() for file in Path(own, "_delta_log").glob("*.json"))
    assert "privpipe-vault" not in log


def test_a_transaction_of_the_session_is_refused(spark: SparkSession, make: MakeVault) -> None:
    """Under it, Delta would skip all that comes second."""
    path = make()
    give(people(spark, 0, 3), path=path, work=STEPS)
    with setting(spark, TRANSACTION[0], "theirs"), setting(spark, TRANSACTION[1], "5"):
        with pytest.raises(UsageError, match="transaction"):
            forget(spark, path, fingerprints(people(spark, 0, 1), STEPS))
        give(people(spark, 3, 5), path=path, work=STEPS)  # in one of its own
    assert forget(spark, path, fingerprints(people(spark, 0, 1), STEPS)) == 1
    numbers, highest = state(spark, path)
    assert (len(numbers), highest) == (4, 5)


@pytest.mark.parametrize("other", ["adds", "forgets", "adds, and is undone"])
def test_what_was_decided_from_an_earlier_version_is_decided_anew(
    spark: SparkSession, make: MakeVault, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """The other's commit lands behind the look and before the MERGE has begun."""
    path = make()
    before = got(tokens_for(path, STEPS, people(spark, 0, 10)))
    kept = DeltaTable.forPath(spark, path).history(1).collect()[0]["version"]
    insert: Any = vars(_vault_merge)["_insert"]
    between: list[object] = []

    def late(*args: Any) -> None:
        if not between:
            between.append(None)
            if other.startswith("adds"):
                between.append(got(tokens_for(path, STEPS, people(spark, 15, 30))))
                if other != "adds":
                    DeltaLake(path).restore(kept)
            else:
                between.append(forget(spark, path, fingerprints(people(spark, 0, 5), STEPS)))
        insert(*args)

    monkeypatch.setattr(_vault_merge, "_insert", late)
    after = got(tokens_for(path, STEPS, people(spark, 0, 20)))
    assert len(after) == 20
    if other == "adds":
        assert len(after.items() & before.items()) == 10
        assert isinstance(between[1], dict)
        assert len(after.items() & between[1].items()) == 5
        assert state(spark, path) == (list(range(1, 31)), 30)
    elif isinstance(between[1], dict):
        assert not set(after.values()) & set(between[1].values())
        assert state(spark, path) == ([*range(1, 11), *range(26, 36)], 35)
    else:
        assert between[1] == 5
        assert len(after.items() & before.items()) == 5
        assert not {after[key] for key in after.keys() - before.keys()} & set(before.values())
        numbers, highest = state(spark, path)
        assert (len(numbers), numbers[10:], highest) == (20, list(range(16, 26)), 25)


def test_a_full_vault_refuses(
    spark: SparkSession, make: MakeVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privpipe.spark._vault_format.LEAST_DOMAIN", 100)
    path = make("digits:2")
    steps = work("digits:6")  # what it draws does not matter here
    tokens_for(path, steps, people(spark, 0, 40)).collect()
    with pytest.raises(InvalidValue, match="40 tokens are given out and 11 more wanted, of 50"):
        tokens_for(path, steps, people(spark, 30, 51))
    assert state(spark, path) == (list(range(1, 41)), 40)
    assert len(got(tokens_for(path, steps, people(spark, 0, 50)))) == 50
    forget(spark, path, fingerprints(people(spark, 0, 50), steps))
    with pytest.raises(InvalidValue, match="50 tokens are given out and 1 more"):
        tokens_for(path, steps, people(spark, 0, 1))


def test_what_expires_and_what_is_forgotten_gets_new_tokens(
    spark: SparkSession, make: MakeVault
) -> None:
    path, now = make(), datetime.now(UTC)
    day = timedelta(days=1)
    brief = tokens_for(path, STEPS, people(spark, 0, 10), expires_at=now + day)
    longer = tokens_for(path, STEPS, people(spark, 0, 20), expires_at=now + 2 * day)
    everyone = got(tokens_for(path, STEPS, people(spark, 0, 30)))
    assert len(got(brief)) == 10
    assert expire(spark, path, now) == 0
    assert expire(spark, path, now + day) == 10, "at the very moment"
    assert state(spark, path) == (list(range(11, 31)), 30)
    with pytest.raises(PySparkException) as caught:
        longer.collect()
    assert isinstance(own_error(caught.value), TryAgain), "no value goes without its token"

    gone = fingerprints(people(spark, 25, 35).union(column(spark, None)), STEPS)
    reserved = spark.sql("select X'' as f")
    assert forget(spark, path, gone.union(gone).union(reserved)) == 5
    assert forget(spark, path, gone) == 0
    left, highest = state(spark, path)
    assert (left[:10], len(left), highest) == (list(range(11, 21)), 15, 30)
    tokens = spark.createDataFrame([(token,) for token in everyone.values()], "token string")
    there = look_up(tokens, F.col("token"), "entry", path=path)
    back = detokenize(there, "entry", "found", work=STEPS)
    found = [row["found"] for row in back.collect()]
    assert sum(row["value"] is not None for row in found) == 15
    assert sum(row["lost"] for row in found) == 15

    again = got(tokens_for(path, STEPS, people(spark, 0, 30)))
    assert len(again.items() & everyone.items()) == 15
    assert len(set(again.values()) | set(everyone.values())) == 45, "no token comes again"
    assert state(spark, path) == (left + list(range(31, 46)), 45)
    assert f"VACUUM delta.`{path}`" in remains(path)
    log = "".join(file.read_text() for file in Path(path, "_delta_log").glob("*.json"))
    for key, token in everyone.items():
        for form in (key.hex(), base64.b64encode(key).decode(), token):
            assert form.lower() not in log.lower(), "no predicate names an entry"


def test_no_token_comes_again_in_a_vault_that_was_restored(
    spark: SparkSession, make: MakeVault
) -> None:
    defaults = "spark.databricks.delta.properties.defaults"
    with setting(spark, f"{defaults}.setTransactionRetentionDuration", "interval 1 seconds"):
        path = make()
    table = DeltaTable.forPath(spark, path)

    def given(first: int, behind: int) -> set[str]:
        return set(got(tokens_for(path, STEPS, people(spark, first, behind))).values())

    before = given(0, 10)
    kept = table.history(1).collect()[0]["version"]
    lost = given(10, 30)
    table.restoreToVersion(kept)
    again = given(30, 35)
    assert state(spark, path) == ([*range(1, 11), *range(31, 36)], 35)
    for version in (kept + 1, kept):
        DeltaLake(path).restore(version)
    assert forget(spark, path, fingerprints(people(spark, 0, 5), STEPS)) == 5
    third = given(35, 36)
    numbers, highest = state(spark, path)
    assert (len(numbers), numbers[-1], highest) == (6, 36, 36)
    assert len(before | lost | again | third) == 36
    DeltaLake(path).restore(0)
    ensure_vault(spark, path, NAME, parse_vault_format(TOKENS))
    given(0, 1)
    assert state(spark, path) == ([37], 37)

    # As after a month: the log has forgotten the RESTORE, and the files before it are gone.
    given(1, 3)
    DeltaLake(path).restore(kept)
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.checkpointInterval' = '1')")
    assert forget(spark, path, fingerprints(people(spark, 0, 5), STEPS)) == 5
    vacuum(spark, path, 0)
    newest = max(Path(path, "_delta_log").glob("*.checkpoint*.parquet"))
    for commit in Path(path, "_delta_log").glob("*.json"):
        if commit.stem < newest.name.partition(".")[0]:
            commit.unlink()
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    assert table.history().count() == 1
    given(50, 51)
    assert state(spark, path)[0][-1] == 40


def test_no_token_comes_again_in_a_vault_that_was_put_back(
    spark: SparkSession, make: MakeVault, tmp_path: Path
) -> None:
    """A backup knows nothing of what was given after it: a vast format does not need to."""
    path, copy, steps = make("uuid"), str(tmp_path / "copy"), work("uuid")
    before = got(tokens_for(path, steps, people(spark, 0, 10)))
    shutil.copytree(path, copy)
    lost = got(tokens_for(path, steps, people(spark, 10, 30)))
    again = got(tokens_for(copy, steps, people(spark, 0, 30)))
    assert again.items() >= before.items()
    assert again.keys() == before.keys() | lost.keys()
    assert len({*again.values(), *lost.values()}) == 50
    assert state(spark, copy) == (list(range(1, 31)), 30)


def test_another_table_or_another_vault_is_refused(
    spark: SparkSession, make: MakeVault, tmp_path: Path
) -> None:
    path, form = make(), parse_vault_format(TOKENS)
    assert ensure_vault(spark, path, NAME, parse_vault_format("alphanumeric:8")).path == path
    with pytest.raises(AppendMismatch, match="vault people, not others"):
        ensure_vault(spark, path, "others", form)
    with pytest.raises(AppendMismatch, match="tokens are"):
        ensure_vault(spark, path, NAME, parse_vault_format("uuid"))
    assert open_vault(spark, path).format == form

    spark.range(3).write.format("delta").save(str(tmp_path / "table"))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "notes.txt").write_text("no table")
    for place in ("table", "files"):
        with pytest.raises(TargetError, match="no vault"):
            ensure_vault(spark, str(tmp_path / place), NAME, form)
        with pytest.raises(TargetError, match="no vault"):
            tokens_for(str(tmp_path / place), STEPS, people(spark, 0, 1))
    with pytest.raises(TargetError, match="no vault"):
        forget(spark, str(tmp_path / "nothing"), fingerprints(people(spark, 0, 1), STEPS))
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "begun" / "_delta_log").mkdir(parents=True)
    assert find_vault(spark, str(tmp_path / "begun")) is None, "no commit yet"

    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('privpipe.vault_format' = '2')")
    with pytest.raises(TargetError, match="format 2"):
        open_vault(spark, path)


def test_a_call_that_is_off_is_refused(
    spark: SparkSession, make: MakeVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, one = make(), people(spark, 0, 1)
    with pytest.raises(UsageError, match="one column"):
        tokens_for(path, STEPS, one.withColumn("two", F.lit(2)))
    for time in (datetime(2999, 1, 1), datetime(1999, 1, 1, tzinfo=UTC)):  # noqa: DTZ001
        with pytest.raises(UsageError):
            tokens_for(path, STEPS, one, expires_at=time)
    with pytest.raises(UsageError, match="zone"):
        expire(spark, path, datetime(2999, 1, 1))  # noqa: DTZ001
    assert state(spark, path) == ([], 0)
    DeltaTable.forPath(spark, path).delete("shard = -1")
    with pytest.raises(DataError, match="0 reservations"):
        tokens_for(path, STEPS, one)
    monkeypatch.setattr("privpipe.spark._write._ATTEMPTS", 2)
    ensure_vault(spark, path, NAME, parse_vault_format(TOKENS))
    random: Any = arrow_udf(lambda ids: pa.array([os.urandom(8).hex() for _ in ids]), "string")  # type: ignore[call-overload]
    restless = spark.range(100).select(random.asNondeterministic()("id").alias("name"))
    frame = tokenized(restless, "name", path)
    with pytest.raises(PySparkException) as caught:
        frame.collect()
    assert isinstance(own_error(caught.value), TryAgain), "each reading gives other rows"


def test_a_large_commit_is_written_by_several_tasks(
    spark: SparkSession, make: MakeVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_vault_merge, "_SHARD", 100)
    path = make()
    assert len(got(tokens_for(path, STEPS, people(spark, 0, 950)))) == 950
    assert state(spark, path) == (list(range(1, 951)), 950)
    shards = {row[0] for row in entries(spark, path).select("shard").distinct().collect()}
    assert shards == set(range(10))
    tokens_for(path, STEPS, people(spark, 950, 960)).collect()
    files = sorted(Path(path, "shard=0").glob("*.parquet"))
    sizes = sorted(pq.ParquetFile(file).metadata.num_rows for file in files)
    assert sizes[0] == 10, "old entries are not written again"
    assert sizes[1] > 50


def test_an_executor_tells_nothing_of_values(spark: SparkSession, make: MakeVault) -> None:
    def failing(values: pa.Array, _: pa.Array) -> pa.Array:
        raise ValueError(values[0].as_py())

    path, broken = make(), work(TOKENS)
    object.__setattr__(broken, "seal", failing)
    with pytest.raises(Exception, match="an executor failed with ValueError") as caught:
        tokens_for(path, broken, people(spark, 0, 1))
    assert SECRET not in str(caught.value)
    with pytest.raises(DataError):
        tokenized(spark.range(3), "id", path)
