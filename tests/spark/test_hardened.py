"""What jobs, files and histories do to a table that nobody wished for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.cli._errors import coded
from privpipe.errors import (
    AppendMismatch,
    ClearHistory,
    DecryptionError,
    PrivpipeError,
    SchemaError,
    TargetError,
    TryAgain,
    UsageError,
)
from privpipe.policy import Policy
from privpipe.spark import Home, _output, _release, protect, release
from privpipe.spark._errors import own_error, said_by_us
from tests.spark._project import make_home, policy_text

RULES = {"id": "keep", "name": "encrypt"}
PEOPLE = "select id, concat('n', id) as name from range(20)"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("hardened"), spark)


@pytest.fixture(scope="module")
def people(home: Home) -> DataFrame:
    return home.spark.sql(PEOPLE)


def policy(table: str, **rules: str) -> Policy:
    return parse_policy(policy_text(table, rules or RULES))


def shown(home: Home, table: Path, *columns: str) -> list[Any]:
    return home.reveal(table, columns or ["name"], "a test").orderBy("id").collect()


class TestRuns:
    def test_an_append_and_an_overwrite_do_not_mix(
        self, home: Home, people: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The overwrite lands when the append has looked, and not yet begun to write."""
        target = tmp_path / "t"
        home.protect(policy("race.x"), people, target)
        commit: Any = vars(_release)["commit"]
        errors: list[TryAgain] = []

        def between(*args: Any, **options: Any) -> None:
            monkeypatch.setattr(_release, "commit", commit)
            monkeypatch.setattr("privpipe.spark._write._ATTEMPTS", 1)
            try:
                home.protect(policy("race.y"), people, target, mode="overwrite")
            except TryAgain as error:
                errors.append(error)
            commit(*args, **options)

        monkeypatch.setattr(_release, "commit", between)
        home.protect(policy("race.x"), people, target, mode="append")
        assert "to append it" in str(errors[0])
        assert len(shown(home, target)) == 40
        home.protect(policy("race.y"), people, target, mode="overwrite")
        assert len(shown(home, target)) == 20

    def test_a_run_that_the_cut_history_no_longer_names(
        self, home: Home, people: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = tmp_path / "t"

        def die(*args: Any) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(_release, "_finish", die)
            with pytest.raises(KeyboardInterrupt):
                home.protect(policy("cut.x"), people, target, run_id="cut")
        log = target / "_delta_log"
        home.spark.sql(
            f"alter table delta.`{target}` set tblproperties ('delta.checkpointInterval' = '1')"
        )
        home.spark.sql(f"insert into delta.`{target}` select * from delta.`{target}` limit 0")
        assert list(log.glob("*.checkpoint.parquet"))
        for commit in log.glob("*0.json"):
            commit.unlink()
        again = home.protect(policy("cut.x"), people, target, run_id="cut")
        assert again.replayed
        assert again.table_version is None
        assert len(shown(home, target)) == 20

    def test_an_overwrite_keeps_the_tables_settings(
        self, home: Home, people: DataFrame, tmp_path: Path
    ) -> None:
        target = tmp_path / "t"
        home.protect(policy("kept.x"), people, target)
        wanted = {"delta.logRetentionDuration": "interval 365 days", "my.own": "1"}
        pairs = ", ".join(f"'{name}' = '{value}'" for name, value in wanted.items())
        home.spark.sql(f"alter table delta.`{target}` set tblproperties ({pairs})")
        home.protect(policy("kept.x"), people, target, mode="overwrite")
        detail = home.spark.sql(f"describe detail delta.`{target}`").first()
        assert detail is not None
        assert wanted.items() <= detail["properties"].items()

    def test_a_table_without_secrets_is_appended_to(
        self, home: Home, people: DataFrame, tmp_path: Path
    ) -> None:
        for _ in (1, 2):
            kept = policy("plain.x", id="keep", name="keep")
            home.protect(kept, people, tmp_path / "t", "append")
        stored = home.spark.read.format("delta").load(str(tmp_path / "t"))
        assert stored.count() == 40
        with pytest.raises(AppendMismatch, match="encrypt here"):
            home.protect(policy("plain.x"), people, tmp_path / "t", "append")


class TestPlaces:
    def test_one_table_has_one_name(self, home: Home, people: DataFrame, tmp_path: Path) -> None:
        real, link = tmp_path / "real", tmp_path / "link"
        home.protect(policy("one.x"), people, real)
        link.symlink_to(real)
        home.protect(
            policy("one.x", id="keep", name="encrypt_deterministic"), people, link, "overwrite"
        )
        assert shown(home, real) == shown(home, link)
        with pytest.raises(TargetError, match="knows a table there"):
            home.protect(policy("one.y"), people, real / "inner")

    def test_a_source_that_reads_the_target(
        self, home: Home, people: DataFrame, tmp_path: Path
    ) -> None:
        target = tmp_path / "two"
        home.protect(policy("src.x"), people, target)
        plain = policy("src.y", id="keep", name="keep")
        home.spark.read.format("delta").load(str(target)).createOrReplaceTempView("over_two")
        for source in (f"{tmp_path}/tw?/*.parquet", "over_two"):
            with pytest.raises(TargetError, match="reads files of the target"):
                home.protect(plain, source, target, "overwrite", accept_clear_history=True)

    def test_a_reveal_into_the_table_itself(
        self, home: Home, people: DataFrame, tmp_path: Path
    ) -> None:
        table = tmp_path / "t"
        home.protect(policy("into.x"), people, table)
        before = sorted(table.rglob("*"))
        for inner in ("out", "out.parquet", "out.csv"):
            with pytest.raises(TargetError, match="the target is the source"):
                home.reveal_to(table, ["name"], "a test", table / inner)
        assert sorted(table.rglob("*")) == before
        with pytest.raises(UsageError, match="empty"):
            home.protect(policy("into.y"), people, "")


class TestValues:
    def test_text_that_is_not_utf8(self, home: Home, tmp_path: Path) -> None:
        df = home.spark.sql("select 1 id, cast(X'4dfc6c' as string) name union all select 2, 'ok'")
        home.protect(policy("text.x"), df, tmp_path / "t")
        assert home.verify(tmp_path / "t").ok
        back = home.reveal(tmp_path / "t", ["name"], "a test").selectExpr("id", "hex(name) as name")
        assert {row.id: row.name for row in back.collect()} == {1: "4DFC6C", 2: "6F6B"}

    def test_nulls_that_one_run_allows_and_another_not(self, home: Home, tmp_path: Path) -> None:
        spark, rules = home.spark, {"id": "keep", "v": "encrypt"}
        loose = spark.sql("select 1 id, array(1, null) v")
        strict = spark.sql("select 2 id, array(4, 5) v")
        for df in (loose, strict):
            home.protect(policy("nulls.x", **rules), df, tmp_path / "t", "append")
        assert [row.v for row in shown(home, tmp_path / "t", "v")] == [[1, None], [4, 5]]
        plan = home.plan(policy("nulls.x", **rules), strict)
        with pytest.raises(SchemaError, match="without nulls inside"):
            protect(loose.withColumn("id", F.lit(2)), plan)

    def test_what_folders_name_is_text(self, home: Home, tmp_path: Path) -> None:
        rules = {"name": "encrypt", "zip": "encrypt"}
        df = home.spark.sql("select 'a' name, '02134' zip union all select 'b', '1e3'")
        for kind in ("parquet", "orc", "json"):
            df.write.partitionBy("zip").format(kind).save(f"{tmp_path}/in.{kind}")
            target = tmp_path / f"{kind}-t"
            home.protect(policy(f"folders.{kind}", **rules), f"{tmp_path}/in.{kind}", target)
            found = home.reveal(target, ["name", "zip"], "a test").collect()
            assert {row.name: row.zip for row in found} == {"a": "02134", "b": "1e3"}

    def test_csv_keeps_seconds_whole_and_every_row(self, home: Home, tmp_path: Path) -> None:
        spark = home.spark
        times = "timestamp'2024-01-01 00:00:00.123456Z' t, timestamp_ntz'0001-01-01 00:00:00.1' n"
        rules = {"id": "keep", "t": "encrypt", "n": "encrypt"}
        home.protect(policy("csv.t", **rules), spark.sql(f"select 1 id, {times}"), tmp_path / "t")
        home.reveal_to(tmp_path / "t", ["t", "n"], "a test", tmp_path / "t.csv")
        row = spark.read.csv(str(tmp_path / "t.csv"), header=True).first()
        assert row is not None
        assert row.t == "2024-01-01T01:00:00.123456+01:00"
        assert row.n == "0001-01-01T00:00:00.100000"
        one = spark.sql("select explode(array('a', null, '')) s")
        home.protect(policy("csv.s", s="encrypt"), one, tmp_path / "s")
        with pytest.raises(TargetError, match="1 null"):
            home.reveal_to(tmp_path / "s", ["s"], "a test", tmp_path / "s.csv")
        assert not (tmp_path / "s.csv").exists()

    def test_a_reveal_takes_away_nothing_but_its_own(
        self, home: Home, people: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table, target = tmp_path / "t", tmp_path / "out.parquet"
        home.protect(policy("stage.x"), people, table)
        count: Any = vars(_output)["_count"]

        def meanwhile(*args: Any) -> int:
            monkeypatch.setattr(_output, "_count", count)
            assert home.reveal_to(table, ["name"], "a test", target).rows == 20
            home.protect(policy("stage.x"), people, table, "append")
            return int(count(*args))

        monkeypatch.setattr(_output, "_count", meanwhile)
        with pytest.raises(TargetError, match="made the target meanwhile"):
            home.reveal_to(table, ["name"], "a test", target)
        assert home.spark.read.parquet(str(target)).count() == 20
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "t"]

    def test_a_value_of_a_wider_type_is_damage(self, home: Home, tmp_path: Path) -> None:
        rule = "{protect: encrypt_deterministic, domain: wide}"
        df = home.spark.sql("select 1 id, 70000L big, cast(7 as smallint) small")
        table = tmp_path / "t"
        home.protect(policy("wide.x", id="keep", big=rule, small=rule), df, table)
        home.spark.sql(f"update delta.`{table}` set small = big")
        assert home.verify(table).damaged == 1
        with pytest.raises(DecryptionError):
            home.reveal_to(table, ["big", "small"], "a test", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        done = home.reveal_to(table, ["big", "small"], "a test", tmp_path / "out", "null")
        assert (done.rows, done.damaged) == (1, 1)
        aside = home.reveal_to(table, ["small"], "a test", tmp_path / "o2", "quarantine")
        assert (aside.rows, aside.damaged) == (0, 1)


class TestClear:
    def test_a_union_with_plaintext_is_not_released(self, home: Home, tmp_path: Path) -> None:
        rules = {"id": "keep", "b": "encrypt", "n.x": "encrypt", "a[]": "encrypt", "m{}": "encrypt"}
        df = home.spark.sql(
            "select 1 id, X'00' b, named_struct('x', X'01') n, array(X'02', null) a, "
            "map('k', X'03') m"
        )
        plan = home.plan(policy("union.x", **rules), df)
        sealed = protect(df, plan)
        assert release(sealed, tmp_path / "ok", plan=plan, home=home).count() == 1
        for column in ("b", "n", "a", "m"):
            bad = sealed.withColumn(column, F.when(F.col("id") > 0, sealed[column]))
            clear = df.withColumn("id", F.lit(2))
            others = [name for name in df.columns if name not in ("id", column)]
            for name in others:
                clear = clear.withColumn(name, F.lit(None).cast(bad.schema[name].dataType))
            both = bad.unionByName(clear)
            for name in df.columns:
                both = both.withMetadata(name, sealed.schema[name].metadata)
            with pytest.raises(PrivpipeError, match="not protected"):
                release(both, tmp_path / column, plan=plan, home=home)
            assert not list((tmp_path / column).glob("_delta_log/*.json"))

    @pytest.mark.parametrize("kind", ["'4111' card", "array('4111') card", "map('a', '4111') card"])
    def test_a_history_whose_column_had_another_type(
        self, home: Home, kind: str, tmp_path: Path
    ) -> None:
        target = str(tmp_path / "t")
        home.spark.sql(f"select 1 id, {kind}").write.format("delta").save(target)
        df = home.spark.sql("select 1 id, named_struct('number', '4111') card")
        rules = {"id": "keep", "card.number": "encrypt"}
        with pytest.raises(ClearHistory, match=r"card\.number"):
            home.protect(policy("was.x", **rules), df, target, "overwrite")

    def test_what_a_nested_field_says_of_its_values_stays_behind(
        self, home: Home, tmp_path: Path
    ) -> None:
        df = home.spark.sql("select 1 id, named_struct('note', 'x') p")
        schema = json.loads(df.schema.json())
        note = schema["fields"][1]["type"]["fields"][0]
        note["metadata"] = {"examples": "CANARY-553", "comment": "what was said"}
        told = home.spark.createDataFrame(df.collect(), type(df.schema).fromJson(schema))
        rules = {"id": "keep", "p.note": "encrypt"}
        home.protect(policy("meta.x", **rules), told, tmp_path / "t")
        files = [path.read_bytes() for path in (tmp_path / "t").rglob("*") if path.is_file()]
        assert not any(b"CANARY-553" in content for content in files)
        assert any(b"what was said" in content for content in files)

    @pytest.mark.parametrize("labels", ["garbage", "[]", '{"p.note": 7}'])
    def test_labels_that_are_none(self, home: Home, labels: str, tmp_path: Path) -> None:
        df = home.spark.sql("select 1 id, named_struct('note', 'x') p")
        rules = {"id": "keep", "p.note": "encrypt"}
        table = tmp_path / "t"
        home.protect(policy("labels.x", **rules), df, table)
        stored = home.spark.read.format("delta").load(str(table))
        stored.withMetadata("p", {"privpipe.leaves": labels}).write.format("delta").mode(
            "overwrite"
        ).option("overwriteSchema", "true").save(str(table))
        for step in (lambda: shown(home, table, "p.note"), lambda: home.verify(table)):
            with pytest.raises(DecryptionError, match="not as privpipe wrote it"):
                step()


@pytest.mark.parametrize("what", ["source", "glob", "scheme", "gzip"])
def test_sources_that_cannot_be_read_say_where(home: Home, what: str, tmp_path: Path) -> None:
    places: dict[str, str | Path] = {
        "source": tmp_path / "nothing.csv",
        "glob": f"{tmp_path}/[p.csv",
        "scheme": "s9://bucket/p.csv",
        "gzip": tmp_path / "bad.csv.gz",
    }
    (tmp_path / "bad.csv.gz").write_bytes(b"no gzip at all")
    with pytest.raises(PrivpipeError) as caught:
        home.plan(policy("no.x"), places[what])
    assert caught.value.code == "PP-DAT-01"
    assert str(places[what]).rpartition("/")[2] in str(caught.value)
    assert caught.value.hint


def test_an_error_that_a_plan_quotes_is_not_taken_for_one_that_happened(home: Home) -> None:
    stop = F.raise_error(F.lit("[PP-DAT-02] a row is not well-formed\n"))
    with pytest.raises(AnalysisException) as caught:
        home.spark.range(1).select(stop.alias("a")).where("b > 0").collect()
    assert own_error(caught.value) is None
    assert coded(caught.value).code == said_by_us(caught.value, "planning").code == "PP-ENG-01"


def test_the_copy_of_a_project_is_whole(home: Home, people: DataFrame, tmp_path: Path) -> None:
    """Places inside it are kept relative, whatever links lead to it."""
    base = home.project.path.parent
    home.protect(policy("copy.x"), people, base / "warehouse" / "copy")
    shutil.copytree(base, tmp_path / "twin")
    from privpipe.spark import open_home

    twin = open_home(tmp_path / "twin" / "privpipe.yaml", home.spark)
    assert twin.reveal(tmp_path / "twin" / "warehouse" / "copy", ["name"], "a test").count() == 20
