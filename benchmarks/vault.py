"""Tokens from a vault: get-or-create beside a plain MERGE of the same rows, and how both grow.

    python benchmarks/vault.py [--rows 1000000] [--growth 4]

One process, `local[2]`, values of 11 characters read from Parquet. The peer keeps SHA-256, value
and a random UUID in clear, by one insert-only MERGE: no keys, no counter, and an onlooker who tries
all values finds them. Each case runs once, on tables of its own: the machine may be shared, so
ratios are what to read.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
from delta import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.arrow import Bound, bound, padded, unpadded
from privpipe.kernels import AesCmac, AesGcm, Ff1, context_head
from privpipe.spark._session import build_session
from privpipe.spark._vault import detokenize, exchange, look_up, tokens_for
from privpipe.spark._vault_format import draw, parse_vault_format
from privpipe.spark._vault_table import ensure_vault
from privpipe.spark._vault_work import Mask, fingerprint_udf

NAME, TOKENS = "benchmark", "base62:12"
CONTEXT = b"pp1:v:benchmark"
BUCKET = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The vault's keyed steps, whose keys lie in the closures: for this benchmark alone.

    Every batch makes its kernels anew, as a worker that keeps its keys open does not.
    """

    fingerprint: Callable[[pa.Array], pa.Array]
    seal: Callable[[pa.Array, pa.Array], pa.Array]
    open_each: Callable[[pa.Array, pa.Array], tuple[pa.Array, Mask]]
    draw: Callable[[pa.Array, bytes], pa.Array]
    link: Callable[[pa.Array, pa.Array], pa.Array]


def fingerprint(key: bytes, values: pa.Array) -> pa.Array:
    """`VaultWork.fingerprint`."""
    return AesCmac(key, head=context_head(CONTEXT)).compute(values)


def seal(key: bytes, values: pa.Array, fingerprints: pa.Array) -> pa.Array:
    """`VaultWork.seal`."""
    return AesGcm(key).encrypt(padded(values, BUCKET), pairs(values, fingerprint=fingerprints))


def open_each(key: bytes, values: pa.Array, fingerprints: pa.Array) -> tuple[pa.Array, Mask]:
    """`VaultWork.open_each`."""
    known = fingerprints.fill_null(b"")
    found, sound = AesGcm(key).open_each(values, pairs(values, fingerprint=known))
    return unpadded(found, BUCKET), sound


def drawn(key: bytes, numbers: pa.Array, _: bytes) -> pa.Array:
    """`VaultWork.draw`."""
    form = parse_vault_format(TOKENS)
    return draw(Ff1(key, form.alphabet, CONTEXT), form, numbers)


def link(key: bytes, fingerprints: pa.Array, tokens: pa.Array) -> pa.Array:
    """`VaultWork.link`."""
    both = pairs(tokens, fingerprint=fingerprints.fill_null(b""), token=tokens)
    return AesCmac(key, head=both.head).compute(Bound(head=b"", rest=both.rest).plain())


def pairs(values: pa.Array, **parts: pa.Array) -> Bound:
    """What a value, or a token, is bound to."""
    return bound(values, (), CONTEXT, list(parts.items()))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--growth", type=int, default=4)
    options = parser.parse_args()
    one, two, three, four = (secrets.token_bytes(32) for _ in range(4))
    work = Work(
        fingerprint=partial(fingerprint, one),
        seal=partial(seal, two),
        open_each=partial(open_each, two),
        draw=partial(drawn, three),
        link=partial(link, four),
    )
    with tempfile.TemporaryDirectory() as folder:
        spark = session(Path(folder))
        try:
            report(bench(spark, Path(folder), work, options.rows, options.growth), options)
        finally:
            spark.stop()


def session(folder: Path) -> SparkSession:
    """Two cores, and all that Spark writes in `folder`."""
    return build_session(
        {
            "spark.master": "local[2]",
            "spark.driver.memory": "4g",
            "spark.sql.shuffle.partitions": "8",
            "spark.local.dir": str(folder / "local"),
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
        }
    )


def bench(
    spark: SparkSession, folder: Path, work: Work, rows: int, growth: int
) -> dict[str, float]:
    """Seconds of every case."""
    half, many = rows // 2, growth * rows
    first, mixed, small = (values(spark, folder, *part) for part in
                           ((0, half), (0, rows), (many, many + half)))  # fmt: skip
    all_of_it = values(spark, folder, 0, many)
    vault, whole, plain = (str(folder / name) for name in ("vault", "whole", "plain"))
    for path in (vault, whole):
        ensure_vault(spark, path, NAME, parse_vault_format(TOKENS))
    peer_table(spark, plain)

    def get(path: str, frame: DataFrame) -> Callable[[], object]:
        return lambda: noop(tokens_for(path, work, frame))

    warm = values(spark, folder, 2 * many, 2 * many + 1000)
    get(vault, warm)()
    peer(spark, plain, warm)
    times = {
        "half of the rows, all new": timed(get(vault, first)),
        "all rows, half new": timed(get(vault, mixed)),
        "all rows, none new": timed(get(vault, mixed)),
        "peer: half of the rows, all new": timed(lambda: peer(spark, plain, first)),
        "peer: all rows, half new": timed(lambda: peer(spark, plain, mixed)),
        "peer: all rows, none new": timed(lambda: peer(spark, plain, mixed)),
    }
    marked = mixed.select(fingerprint_udf(work, "value")("value").alias("value"))
    protected = exchange(marked, "value", path=vault, work=work)
    protected.write.parquet(str(folder / "protected"))
    stored = spark.read.parquet(str(folder / "protected"))
    there = look_up(stored, F.col("value"), "entry", path=vault)
    back = detokenize(there, "entry", "value", work=work)
    assert back.select(F.col("value.value").cast("string")).exceptAll(mixed).isEmpty()
    times["all rows, back to their values"] = timed(lambda: noop(back))
    times[f"{growth} times the rows, all new"] = timed(get(whole, all_of_it))
    times["half of the rows, all new, the vault that large"] = timed(get(whole, small))
    return times


def values(spark: SparkSession, folder: Path, first: int, behind: int) -> DataFrame:
    """The values of these numbers, in a Parquet table of 8 files."""
    path = str(folder / f"values-{first}-{behind}")
    text = F.concat(F.lit("p"), F.lpad(F.col("id").cast("string"), 10, "0")).alias("value")
    spark.range(first, behind, 1, 8).select(text).write.parquet(path)
    return spark.read.parquet(path)


def peer_table(spark: SparkSession, path: str) -> None:
    """The peer's table, empty."""
    builder = DeltaTable.create(spark).location(path)
    for name, kind in (("fingerprint", "binary"), ("value", "string"), ("token", "string")):
        builder = builder.addColumn(name, kind)
    builder.execute()


def peer(spark: SparkSession, path: str, frame: DataFrame) -> None:
    """Get-or-create as it is often written, then the tokens."""
    hashed = F.unhex(F.sha2("value", 256)).alias("fingerprint")
    source = frame.distinct().select(hashed, "value", F.uuid().alias("token"))
    table = DeltaTable.forPath(spark, path)
    merge = table.alias("t").merge(source.alias("s"), "t.fingerprint = s.fingerprint")
    merge.whenNotMatchedInsertAll().execute()
    noop(frame.select(hashed).join(table.toDF().select("fingerprint", "token"), "fingerprint"))


def noop(frame: DataFrame) -> None:
    """Reads every row."""
    frame.write.format("noop").mode("overwrite").save()


def timed(run: Callable[[], object]) -> float:
    """Seconds by the clock: most of them are the JVM's and the workers'."""
    begin = time.monotonic()
    run()
    return time.monotonic() - begin


def report(times: dict[str, float], options: argparse.Namespace) -> None:
    """The table, then the ratios."""
    rows = options.rows
    print(f"rows: {rows:,}\n\n| case | seconds | µs a row |\n|---|---|---|")
    for name, seconds in times.items():
        share = options.growth if "times" in name else 1 if "all rows" in name else 0.5
        print(f"| {name} | {seconds:.1f} | {1e6 * seconds / (share * rows):.1f} |")
    half = times["half of the rows, all new"]
    grown = times[f"{options.growth} times the rows, all new"] / (2 * options.growth * half)
    large = times["half of the rows, all new, the vault that large"] / half
    print("\n| ratio | |\n|---|---|")
    for name in ("half of the rows, all new", "all rows, half new", "all rows, none new"):
        ratio = times[name] / times[f"peer: {name}"]
        print(f"| {name}: the vault's time to its peer's | {ratio:.2f} |")
    print(f"| a row's time at {2 * options.growth} times the rows | {grown:.2f} |")
    print(f"| the same rows into a vault of {options.growth * rows:,} entries | {large:.2f} |")


if __name__ == "__main__":
    main()
