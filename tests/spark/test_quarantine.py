"""Rows set aside: who can read what of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from delta import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from privpipe import Policy, parse_policy
from privpipe.errors import InternalError, InvalidValue, KeysetNotFound
from privpipe.kernels import generate_pair
from privpipe.spark import _release, _write
from privpipe.spark._output import beside
from tests.spark._project import make_home, policy_text

NAMED, NAMED_ASIDE = "default.`pins_apart`", "default.`pins_apart_quarantine`"
COLUMNS = {
    "id": "keep",
    "card": "{protect: tokenize, alphabet: digits, on_invalid: quarantine}",
    "diagnosis": "{protect: seal, public_key: archive.public.pem}",
    "pin": "redact",
    "adr.street": "drop",
    "adr.town": "keep",
    "visit.note": "{protect: seal, public_key: archive.public.pem}",
    "visit.day": "keep",
    "gone": "drop",
}


def test_what_is_sealed_or_dropped_is_so_in_quarantine(tmp_path: Path, spark: SparkSession) -> None:
    home = make_home(tmp_path / "home", spark)
    folder = home.project.path.parent
    private, public = generate_pair("x25519")
    (folder / "archive.public.pem").write_bytes(public)
    opener = folder / "private.pem"
    opener.touch(0o600)
    opener.write_bytes(private)
    df = spark.sql(
        "select id, if(id = 2, '12-34', cast(1000000 + id as string)) as card, "
        "concat('d', id) as diagnosis, concat('pin', id) as pin, "
        "named_struct('street', concat('s', id), 'town', concat('t', id)) as adr, "
        "named_struct('note', concat('n', id), 'day', id) as visit, 'gone' as gone from range(4)"
    )
    policy = parse_policy(policy_text("clinic.visits", COLUMNS), base=folder)
    (warning,) = (text for text in home.plan(policy, df).warnings if "set aside" in text)
    assert "pin in full" in warning
    run = home.protect(policy, df, str(tmp_path / "t"))
    assert run.quarantined == 1
    aside = f"{tmp_path}/t_quarantine"

    for column in ("diagnosis", "visit"):
        with pytest.raises(KeysetNotFound, match="private key alone"):
            home.reveal(aside, [column], "test")
    (row,) = home.reveal(aside, ["id", "card", "pin", "adr"], "test").collect()
    assert (row.id, row.card, row.pin, row.adr.asDict()) == (2, "12-34", "pin2", {"town": "t2"})
    assert "gone" not in row.asDict()
    (row,) = home.reveal(aside, ["diagnosis", "visit"], "test", opener=opener).collect()
    assert (row.diagnosis, row.visit.asDict()) == ("d2", {"note": "n2", "day": 2})


def test_a_row_without_its_tweak_is_set_aside(tmp_path: Path, spark: SparkSession) -> None:
    home = make_home(tmp_path / "home", spark)
    rule = "{protect: tokenize, alphabet: digits, tweak: Country, length: 7, on_invalid: %s}"
    df = spark.sql(
        "select id, if(id = 1, null, 'CH') as country, if(id = 3, null, '1234567') as card, "
        "array(if(id = 2, '12345678', '7654321')) as old from range(4)"
    )
    columns = {"id": "keep", "country": "keep", "card": rule, "old[]": rule}

    def policy(word: str) -> Policy:
        told = {key: value.replace("%s", word) for key, value in columns.items()}
        return parse_policy(policy_text("clinic.cards", told))

    with pytest.raises(InvalidValue) as caught:
        home.protect(policy("refuse"), df, str(tmp_path / "none"))
    assert "quarantine" in str(caught.value.hint)
    assert not DeltaTable.isDeltaTable(spark, str(tmp_path / "none"))

    run = home.protect(policy("quarantine"), df, str(tmp_path / "t"))
    assert (run.rows, run.quarantined) == (2, 2)
    there = home.reveal(str(tmp_path / "t"), ["card", "old[]"], "test").collect()
    assert {row.id: (row.card, row.old) for row in there} == {
        0: ("1234567", ["7654321"]),
        3: (None, ["7654321"]),
    }
    aside = home.reveal(f"{tmp_path}/t_quarantine", ["id", "card", "country"], "test").collect()
    assert {row.id: (row.card, row.country) for row in aside} == {
        1: ("1234567", None),
        2: ("1234567", "CH"),
    }


def test_no_row_is_lost_between_two_attempts(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, target = make_home(tmp_path / "home", spark), str(tmp_path / "t")
    rule = "{protect: tokenize, alphabet: digits, on_invalid: quarantine}"
    policy = parse_policy(
        policy_text("clinic.cards", {"card": rule, "more{}": "encrypt", "n": "keep"})
    )

    def cards(*values: str) -> DataFrame:
        listed = ", ".join(f"('{value}')" for value in values)
        return spark.sql(
            f"select card, map(card, 1) as more, null as n from values {listed} t(card)"
        )

    def aside(place: str = f"{target}_quarantine") -> list[str]:
        rows = home.reveal(place, ["card"], "test").collect()
        return sorted(f"{row.card} {row.privpipe_run}" for row in rows)

    write, written = _write.commit, []

    def second(rows: DataFrame, *rest: Any, **named: Any) -> None:
        written.append(rows)
        if len(written) == 2:
            raise InternalError("the driver dies once the rows are set aside")
        write(rows, *rest, **named)

    monkeypatch.setattr(_release, "commit", second)
    with pytest.raises(InternalError, match="the driver dies"):
        home.protect(policy, cards("1111111", "bad"), target, run_id="r")
    assert aside() == ["bad r"]

    run = home.protect(policy, cards("1111111", "worse", "2222222"), target, run_id="r")
    assert (run.rows, run.quarantined) == (2, 1)
    assert aside() == ["bad r", "worse r"]
    again = home.protect(policy, cards("worse"), target, run_id="r")
    told = (again.replayed, again.rows, again.quarantined, again.quarantine)
    assert told == (True, 2, 1, run.quarantine)

    wider = parse_policy(policy_text("clinic.cards", {"card": rule, "id": "keep"}))
    last = cards("x").selectExpr("card", "1 as id")
    written.clear()
    with pytest.raises(InternalError, match="the driver dies"):
        home.protect(wider, last, target, "overwrite", run_id="w")
    run = home.protect(wider, last, target, "overwrite", run_id="w")
    assert (run.rows, run.quarantined) == (0, 1)
    assert aside(str(run.quarantine)) == ["x w"]
    assert str(run.quarantine).endswith("t_quarantine_2")


def test_no_tag_tells_of_what_is_sealed(tmp_path: Path, spark: SparkSession) -> None:
    home = make_home(tmp_path / "home", spark)
    _, public = generate_pair("x25519")
    (home.project.path.parent / "public.pem").write_bytes(public)
    rules = {
        "card": "{protect: tokenize, alphabet: digits, on_invalid: quarantine}",
        "pin": "{protect: seal, public_key: public.pem}",
    }
    policy = parse_policy(policy_text("clinic.pins", rules), base=home.project.path.parent)
    df = spark.sql("select 'bad' as card, '1234' as pin")
    places = {str(tmp_path / "t"): f"{tmp_path}/t_quarantine", NAMED: NAMED_ASIDE}
    for at, (place, aside) in enumerate(places.items()):
        run = home.protect(policy, df, place, run_id=f"r{at}")
        assert run.quarantined == 1
        assert str(run.quarantine).endswith(Path(aside).name)
    assert spark.table(NAMED_ASIDE).count() == 1
    for name in (NAMED, NAMED_ASIDE):
        spark.sql(f"DROP TABLE {name}")
    assert beside(NAMED, "_2") == "default.`pins_apart_quarantine_2`"
    tags = {run.run_id.rpartition(".")[2] for run in home.catalog.runs() if "quar" in run.run_id}
    assert len(tags) == 2
