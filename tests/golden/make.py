"""Makes the golden project: `python tests/golden/make.py FOLDER` (README.md says when).

FOLDER is made and becomes the project; `expected.json` beside it tells what its table holds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.keys import generate_kek
from privpipe.spark import Home, open_home

TABLE = "warehouse/people"
POLICY = "policies/people.yaml"
RUN_ID = "golden"
CONFIG = "version: 1\ncatalog: warehouse/catalog\nkek: file:secrets/kek.json\n"

# A column's values in the first row and the second, as SQL; in the third all are null.
RANDOM = {
    "text": ("'Ærø, 東京 🜚'", "''"),
    "bytes": ("X'00ff10'", "X''"),
    "flag": ("true", "false"),
    "tiny": ("cast(-128 as tinyint)", "cast(127 as tinyint)"),
    "whole": ("cast(-2147483648 as int)", "2147483647"),
    "big": ("cast(-9223372036854775808 as bigint)", "9223372036854775807"),
    "single": ("cast('-0.0' as float)", "cast('3.4028235e38' as float)"),
    "double": ("cast('NaN' as double)", "4.9e-324D"),
    "money": ("cast(-12345678.91 as decimal(12,2))", "cast(0 as decimal(12,2))"),
    "huge": (f"cast('-{'9' * 38}' as decimal(38,0))", "cast(1 as decimal(38,0))"),
    "day": ("date'0001-01-01'", "date'9999-12-31'"),
    "moment": ("timestamp'1969-12-31 23:59:59.999999Z'", "timestamp'2026-10-25 00:30:00Z'"),
    "local": ("timestamp_ntz'9999-12-31 23:59:59.999999'", "timestamp_ntz'1582-10-15 00:00:00'"),
    "clock": ("time'23:59:59.123456'", "time'00:00:00'"),
    "months": ("interval '-1-2' year to month", "interval '0-1' year to month"),
    "seconds": ("interval '-1 02:03:04.567891' day to second", "interval '0 0:0:1' day to second"),
    "json": ("parse_json('{\"a\": [1, null, 2.5]}')", "parse_json('\"x\"')"),
    "row": (
        "named_struct('a', 1, 'b c', array('x', null, ''))",
        "named_struct('a', cast(null as int), 'b c', cast(array() as array<string>))",
    ),
    "pairs": (
        "map('k', cast(1.5 as decimal(5,2)), 'l', null)",
        "cast(map() as map<string, decimal(5,2)>)",
    ),
}
EQUAL = (
    "text", "bytes", "flag", "tiny", "whole", "big", "money", "huge", "day", "moment", "local",
    "clock", "months", "seconds",
)  # fmt: skip
OTHERS = {
    "card": (
        "named_struct('number', '4111-1111', 'cvc', 123, 'kind', 'debit')",
        "named_struct('number', null, 'cvc', 7, 'kind', null)",
    ),
    "visits": (
        "array(named_struct('note', 'flu', 'at', date'2026-01-01'), null)",
        "array(named_struct('note', '', 'at', null))",
    ),
    "attrs": ("map('k', array('p', null), 'l', null)", "map('m', array('q'))"),
    "mail": ("'ada@example.org'", "'bob@example.org'"),
    "badge": ("7", "8"),
    "gone": ("'never kept'", "'nor this'"),
}
RULES = {
    "card.number": "encrypt",
    "card.cvc": "drop",
    "card.kind": "keep",
    "visits[].note": "encrypt_deterministic",
    "visits[].at": "keep",
    "attrs{}[]": "encrypt",
    "mail": "{protect: encrypt_deterministic, domain: mail}",
    "badge": "{protect: encrypt_deterministic, domain: badge}",
    "gone": "drop",
}


def source(spark: SparkSession) -> DataFrame:
    """What the golden table was made of."""
    columns = {f"r_{name}": pair for name, pair in RANDOM.items()}
    columns |= {f"d_{name}": RANDOM[name] for name in EQUAL} | OTHERS
    spark.conf.set("spark.sql.timeType.enabled", "true")
    first, second = (
        ", ".join(f"{pair[at]} as {name}" for name, pair in columns.items()) for at in (0, 1)
    )
    full = spark.sql(f"select 1 as id, {first} union all select 2, {second}")
    nulls = [F.lit(None).cast(field.dataType).alias(field.name) for field in full.schema.fields[1:]]
    return full.unionAll(full.limit(1).select(F.lit(3).alias("id"), *nulls)).coalesce(1)


def rendered(df: DataFrame) -> dict[str, list[str | None]]:
    """Every column's values in the order of `id`, as Spark writes them in UTC."""
    spark = df.sparkSession
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    try:
        values = [
            F.hex(name) if kind == "binary" else F.to_json(F.struct(name))
            for name, kind in df.dtypes
        ]
        rows = df.orderBy("id").select(*values).collect()
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone or "UTC")
    return {name: [row[at] for row in rows] for at, name in enumerate(df.columns)}


def _project(folder: Path) -> None:
    (folder / "secrets").mkdir(parents=True)
    generate_kek(folder / "secrets" / "kek.json")
    (folder / "privpipe.yaml").write_text(CONFIG, encoding="utf-8")
    rules = {"id": "keep"} | {f"r_{name}": "encrypt" for name in RANDOM}
    rules |= {f"d_{name}": "encrypt_deterministic" for name in EQUAL} | RULES
    lines = "".join(f"  {name}: {rule}\n" for name, rule in rules.items())
    (folder / POLICY).parent.mkdir()
    (folder / POLICY).write_text(f"version: 1\ntable: golden.people\ncolumns:\n{lines}")


def _table(home: Home, folder: Path) -> dict[str, object]:
    people = source(home.spark)
    target = str(folder / TABLE)
    run = home.protect(folder / POLICY, people, target, run_id=RUN_ID)
    stored = home.spark.read.format("delta").load(target)
    kept = people.drop("gone").withColumn("card", F.col("card").dropFields("cvc"))
    return {
        "types": dict(kept.dtypes),
        "rows": rendered(kept),
        "stored": dict(stored.dtypes),
        "key_ids": run.key_ids,
        "policy_hash": run.policy_hash,
        "contexts": {fact.path: fact.context for fact in home.catalog.columns()},
    }


def main(folder: Path) -> None:
    """Makes it all, and takes away what only one machine needs."""
    _project(folder)
    with open_home(folder / "privpipe.yaml") as home:
        expected = _table(home, folder)
    for checksum in folder.rglob(".*.crc"):
        checksum.unlink()
    text = json.dumps(expected, ensure_ascii=False, indent=1, sort_keys=True)
    (folder.parent / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
