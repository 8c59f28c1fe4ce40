"""Tokens of several keys in one column, each with its key id beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from delta import DeltaTable
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.errors import (
    AppendMismatch,
    ClearHistory,
    DecryptionError,
    PrivpipeError,
    SchemaError,
    from_text,
)
from privpipe.kernels import Tokens
from privpipe.keys import KeyRef, generate_kek, generate_wrapped, rotate_wrapped
from privpipe.policy import Tokenize
from privpipe.spark import Home, protect
from privpipe.spark._home import Mode
from privpipe.spark._task import LeafTask, Row
from privpipe.spark._works_tokens import detokenize, tokenize
from tests.spark._project import make_home, policy_text

CARD = "{protect: tokenize, alphabet: digits, on_invalid: quarantine"
RULES = {
    "id": "keep",
    "country": "keep",
    "card": f"{CARD}, key_column: true}}",
    "note": "{protect: encrypt, bind: [card]}",
    "phone": "{protect: tokenize, alphabet: hex, tweak: country, key_column: true}",
}
POLICY = parse_policy(policy_text("shop.cards", RULES))
PLAIN = parse_policy(policy_text("shop.cards", RULES | {"card": f"{CARD}}}"}))
COLUMNS = ["id", "country", "card", "note", "phone"]
BACK = ["card", "note", "phone"]
SCOPE = ("table:shop.cards", "HKDF_SHA256_PRF")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyRef, KeyRef, KeyRef]:
    """A keyset as it was made, and after each of two rotations."""
    kek = tmp_path_factory.mktemp("kek") / "kek.json"
    generate_kek(kek)
    first = generate_wrapped(SCOPE[0], SCOPE[1], f"file:{kek}")
    second = rotate_wrapped(first)
    return first, second, rotate_wrapped(second)


def task(ref: KeyRef, *, tweak: bool) -> LeafTask:
    return LeafTask(
        column="card",
        path=(),
        key=ref,
        context=b"pp1:c:shop.cards/card:string",
        plain=pa.string(),
        protection="tokenize",
        settings=Tokenize(alphabet="digits", tweak="country" if tweak else None, key_column=True),
        beside=(0,) if tweak else (),
    )


def open_all(
    opener: LeafTask, tokens: pa.Array, countries: pa.Array, ids: Sequence[int | None]
) -> tuple[list[str | None], list[bool]]:
    beside = (countries, pa.array(ids, pa.int64()))
    found, sound = detokenize(opener, tokens, Row(column=tokens, path=(), beside=beside))
    assert found.type == pa.binary()
    return found.cast(pa.string()).to_pylist(), sound.tolist()


def test_each_token_opens_by_the_key_beside_it(
    versions: tuple[KeyRef, KeyRef, KeyRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(1)
    values = [f"{4_000_000_000 + at}" if at % 7 else None for at in range(600)]
    which = draw.integers(0, 3, len(values))
    countries = pa.array([("DE", "FR", "")[at % 3] for at in range(len(values))])
    clear = pa.array(values)
    calls: list[int] = []
    decrypt = Tokens.decrypt

    def counted(self: Tokens, tokens: pa.Array, **more: pa.Array) -> pa.Array:
        calls.append(len(tokens))
        return decrypt(self, tokens, **more)

    monkeypatch.setattr(Tokens, "decrypt", counted)
    for tweak in (False, True):
        made = [
            tokenize(task(ref, tweak=tweak), clear, Row(column=clear, path=(), beside=(countries,)))
            for ref in versions
        ]
        tokens = pa.array([made[w][at].as_py() for at, w in enumerate(which)])
        ids = [versions[w].key_id if values[at] else None for at, w in enumerate(which)]
        opener = replace(task(versions[-1], tweak=tweak), ids=1)

        opened = partial(open_all, opener, tokens, countries)
        calls.clear()
        assert opened(ids) == (values, [True] * len(values))
        assert len(calls) == 3
        # One key, with and without nulls; a key id beside no token means nothing.
        calls.clear()
        same: list[int | None] = [versions[0].key_id] * len(values)
        back, sound = opened(same)
        assert all(sound)
        assert calls == [len(values)]
        assert [value == wanted for value, wanted in zip(back, values, strict=True)] == [
            value is None or w == 0 for value, w in zip(values, which, strict=True)
        ]
        # No key's, and none at all: these rows alone.
        spoilt = list(ids)
        spoilt[1], spoilt[2], spoilt[3], spoilt[7] = None, 12345, -1, 12345
        bad = {1, 2, 3}
        wanted = [None if at in bad else value for at, value in enumerate(values)]
        assert opened(spoilt) == (wanted, [at not in bad for at in range(len(values))])
        nothing: list[int | None] = [None] * len(values)
        assert opened(nothing) == (nothing, [value is None for value in values])
        calls.clear()
        many = [(ids[at] or 0) + (at % 50) * 2**33 for at in range(len(values))]
        opened(many)
        assert len(calls) <= 3


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("keyed"), spark)


@pytest.fixture(scope="module")
def source(spark: SparkSession) -> DataFrame:
    return spark.sql(
        "select id, if(id % 2 = 0, 'DE', 'FR') as country, case id when 7 then null "
        "when 9 then 'no digits' else cast(4000000000 + id as string) end as card, "
        "if(id = 7, null, concat('n', id)) as note, lower(hex(123456789 + id)) as phone "
        "from range(20)"
    )


def stored(home: Home, place: str) -> DataFrame:
    return home.spark.read.format("delta").load(place)


def rows(df: DataFrame) -> list[str]:
    return sorted(map(str, df.select(COLUMNS).collect()))


def keys_in(home: Home, place: str) -> set[int | None]:
    pairs = stored(home, place).select("card", "card__key").collect()
    assert all((card is None) == (key is None) for card, key in pairs)
    return {key for _, key in pairs if key is not None}


def test_a_table_of_two_keys(home: Home, source: DataFrame, tmp_path: Path) -> None:
    place, good = str(tmp_path / "cards"), source.where("id <> 9")
    run = home.protect(POLICY, source, place, run_id="first")
    assert (run.rows, run.quarantined) == (19, 1)
    table = stored(home, place)
    assert table.dtypes == [
        ("id", "bigint"), ("country", "string"), ("card", "string"), ("card__key", "bigint"),
        ("note", "binary"), ("phone", "string"), ("phone__key", "bigint"),
    ]  # fmt: skip
    (old,) = keys_in(home, place)
    assert home.protect(POLICY, source, place, run_id="first").replayed
    assert rows(home.reveal(place, BACK, "test")) == rows(good)

    # Appended under a fresh key, which another column of tokens would not take.
    rotated = home.rotate(*SCOPE)
    assert [(each.column, each.key_id) for each in rotated.stale] == [("card", old), ("phone", old)]
    run = home.protect(POLICY, source, place, "append")
    assert (run.rows, run.quarantined) == (19, 1)
    assert keys_in(home, place) == {old, rotated.key_id}
    assert stored(home, place).where("id = 3").select("card").distinct().count() == 2
    told = [text for text in home.plan(POLICY, source).warnings if "until it is rekeyed" in text]
    assert [f"is under key {old}" in text for text in told] == [True, True]
    with pytest.raises(AppendMismatch, match="a key column is declared when the table is made"):
        home.protect(PLAIN, good, place, "append")

    both = rows(good.unionAll(good))
    back = home.reveal(place, BACK, "test")
    assert back.columns == COLUMNS
    assert rows(back) == both
    assert home.reveal(place, ["note"], "test").columns == table.columns
    one = home.reveal(place, ["CARD"], "test", "null")
    assert one.columns == [*COLUMNS, "phone__key"]
    report = home.verify(place)
    assert (report.ok, report.values, report.not_judged) == (True, 38 - 2, ("card", "phone"))
    home.reveal_to(place, ["note"], "test", tmp_path / "notes")
    assert stored(home, str(tmp_path / "notes")).columns == [*COLUMNS[:2], "note"]
    aside = home.reveal(f"{place}_quarantine", ["card"], "test").select("card").collect()
    assert [card for (card,) in aside] == ["no digits"] * 2

    damaged(home, place, rotated.key_id, tmp_path)
    assert rows(home.reveal(place, BACK, "test")) == both

    done = home.rekey(place)
    assert done is not None
    assert keys_in(home, place) == {rotated.key_id}
    assert stored(home, place).dtypes == table.dtypes
    assert rows(home.reveal(place, BACK, "test")) == both
    assert home.verify(place).ok
    assert stored(home, place).where("id = 3").select("card").distinct().count() == 1
    assert not any("rekeyed" in text for text in home.plan(POLICY, source).warnings)
    assert home.rekey(place) is None

    # An overwrite makes the table anew, with a key column or without.
    home.protect(PLAIN, good, place, "overwrite")
    assert stored(home, place).columns == [*COLUMNS, "phone__key"]
    with pytest.raises(AppendMismatch, match="card__key: here, missing there"):
        home.protect(POLICY, good, place, "append")
    assert rows(home.reveal(place, BACK, "test")) == rows(good)


def test_a_source_has_a_column_of_that_name_which_is_dropped(
    home: Home, source: DataFrame, tmp_path: Path
) -> None:
    """Where a table has that one in clear, it counts as clear."""
    policy = parse_policy(policy_text("shop.cards", RULES | {"card__key": "drop"}))
    good = source.where("id <> 9")
    own, place = good.withColumn("Card__key", F.lit(7)), str(tmp_path / "cards")
    modes: tuple[Mode, ...] = ("error", "append", "overwrite")
    for mode in modes:
        home.protect(policy, own, place, mode)
        (key_id,) = keys_in(home, place)
        assert key_id != 7
    assert stored(home, place).columns.count("card__key") == 1
    assert rows(home.reveal(place, BACK, "test")) == rows(good)
    own.select("id", "Card__key").write.format("delta").save(str(tmp_path / "clear"))
    with pytest.raises(ClearHistory, match="in clear: Card__key"):
        home.protect(policy, own, str(tmp_path / "clear"), "overwrite")


def damaged(home: Home, place: str, active: int, folder: Path) -> None:
    """Key ids that were edited, and taken back again."""
    delta = DeltaTable.forPath(home.spark, place)
    version = delta.history(1).collect()[0]["version"]
    delta.update("id = 3", {"card__key": F.lit(12345).cast("bigint")})
    delta.update("id = 4", {"card__key": F.lit(None).cast("bigint")})
    with pytest.raises((PrivpipeError, PythonException)) as caught:
        home.reveal(place, ["card"], "test").collect()
    error = from_text(str(caught.value))
    assert isinstance(error, DecryptionError)
    assert "column card" in str(error)
    assert "key id is none of its keyset's" in str(error)
    back = home.reveal(place, BACK, "test", "null")
    lost = back.where("card is null").select("id").collect()
    assert sorted(at for (at,) in lost) == [3, 3, 4, 4, 7, 7]
    report = home.verify(place)
    assert (report.ok, report.damaged, report.not_judged) == (False, 4, ("card", "phone"))
    assert {damage.column for damage in report.files} == {"card"}
    moved = home.reveal_to(place, ["card"], "test", folder / "moved", "quarantine")
    assert (moved.rows, moved.damaged) == (34, 4)
    assert "card__key" in stored(home, str(moved.quarantine)).columns
    with pytest.raises(DecryptionError, match="key id is none"):
        home.rekey(place)
    delta.restoreToVersion(version)

    # Another key of the keyset opens it to another value: a token authenticates nothing.
    delta.update("id = 3", {"card__key": F.lit(active)})
    cards = home.reveal(place, ["card"], "test").where("id = 3").select("card").collect()
    assert len({card for (card,) in cards}) == 2
    delta.restoreToVersion(version)


def test_a_release_has_the_key_ids_too(home: Home, source: DataFrame, tmp_path: Path) -> None:
    df = source.where("id <> 9")
    plan = home.plan(POLICY, df)
    protected = protect(df, plan)
    place = str(tmp_path / "released")
    with pytest.raises(SchemaError, match="in the DataFrame or in the plan"):
        home.release(protected.drop("card__key"), place, plan=plan)
    other = protected.withColumn("card__key", F.lit(7).cast("bigint"))
    with pytest.raises(SchemaError, match="other key ids than that of the tokens"):
        home.release(other, place, plan=plan)
    home.release(protected, place, plan=plan)
    assert len(keys_in(home, place)) == 1
    assert rows(home.reveal(place, BACK, "test")) == rows(df)
    changed = stored(home, place).withColumn("card__key", F.col("card__key").cast("string"))
    changed.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(place)
    with pytest.raises(SchemaError, match="are string and not bigint"):
        home.reveal(place, ["card"], "test")
    with pytest.raises(AppendMismatch, match="card__key: string there, bigint here"):
        home.protect(POLICY, df, place, "append")
    changed.drop("card__key").write.format("delta").mode("overwrite").option(
        "overwriteSchema", "true"
    ).save(place)
    with pytest.raises(SchemaError, match='hang on the column "card__key"'):
        home.reveal(place, ["card"], "test")
