"""Whole Spark jobs side by side: protect and reveal against their limits and their peers.

    python benchmarks/spark_jobs.py [--rows 4000000] [--rounds 3]

One process, `local[2]`, one short string column (11 bytes) read from Parquet, everything to the
`noop` sink. Each case runs once to warm up; then all cases run in turn, round after round, and the
best time of each counts: the machine may be shared, so ratios are what to read. `identity` and the
null kernels (the same output width, no cryptography) are the limits that Spark's own transport to
Python sets; `aes_encrypt`, a loop over AESGCM and a Fernet pandas UDF are the peers.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from _jobs import fernet_udf, identity_udf, null_udf, project, race
from _memory import worker_peak
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.functions import pandas_udf

from privpipe import Policy, parse_policy
from privpipe.spark import Home, open_home, protect

AAD = b"pp1:c:bench/value:string"
GCM_WIDTH, SIV_WIDTH = 11 + 33, 11 + 21


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(Path(folder), options.rows, options.rounds)


def bench(folder: Path, rows: int, rounds: int) -> None:
    """Makes the tables in `folder`, runs every case and prints what it took."""
    with open_home(project(folder)) as home:
        spark = home.spark
        plain = table(spark, folder / "plain", rows)
        quarter = table(spark, folder / "quarter", rows // 4)
        jobs, quarters = cases(home, plain, folder), growth(home, quarter, folder)
        small = peak_after(quarters.values())
        large = peak_after(job for name, job in jobs.items() if name.startswith("privpipe"))
        times = race(jobs | quarters, rounds)
    report(times, rows)
    print(f"| a worker's peak memory, four times the rows | {large / small:.2f} | <= 1.1 |")
    print(f"\nThe largest Python worker held {small:.0f} MiB, and {large:.0f} MiB for all rows.")


def table(spark: SparkSession, path: Path, rows: int) -> DataFrame:
    """`rows` values of 11 characters in a Parquet table of 8 files."""
    value = F.concat(F.lit("p"), F.lpad(F.xxhash64("id").cast("string"), 10, "0")).alias("value")
    spark.range(0, rows, 1, 8).select(value).write.parquet(str(path))
    return spark.read.parquet(str(path))


def cases(home: Home, plain: DataFrame, folder: Path) -> dict[str, DataFrame]:
    """Every job by name."""
    value = F.col("value")
    gcm, siv = protected(home, plain, "encrypt"), protected(home, plain, "encrypt_deterministic")
    stored = released(home, plain, folder / "gcm", "encrypt")
    released(home, plain, folder / "siv", "encrypt_deterministic")
    return {
        "scan": plain,
        "identity UDF": plain.select(identity_udf()(value)),
        f"null kernel, {GCM_WIDTH} bytes": plain.select(null_udf(GCM_WIDTH)(value)),
        f"null kernel, {SIV_WIDTH} bytes": plain.select(null_udf(SIV_WIDTH)(value)),
        "privpipe AES-GCM": gcm,
        "privpipe AES-SIV": siv,
        "Spark aes_encrypt GCM": plain.select(aes_encrypt(value)),
        "pandas UDF, loop over AESGCM": plain.select(loop_udf()(value)),
        "pandas UDF, Fernet": plain.select(fernet_udf()(value)),
        "null kernel, back to 11 bytes": stored.select(null_udf(11)(value)),
        "privpipe reveal AES-GCM": home.reveal(folder / "gcm", ["value"], "benchmark"),
        "privpipe reveal AES-SIV": home.reveal(folder / "siv", ["value"], "benchmark"),
    }


def growth(home: Home, quarter: DataFrame, folder: Path) -> dict[str, DataFrame]:
    """The jobs over a quarter of the rows, for how time and memory grow."""
    released(home, quarter, folder / "quarter-gcm", "encrypt")
    return {
        "privpipe AES-GCM, rows / 4": protected(home, quarter, "encrypt"),
        "privpipe AES-SIV, rows / 4": protected(home, quarter, "encrypt_deterministic"),
        "privpipe reveal AES-GCM, rows / 4": home.reveal(
            folder / "quarter-gcm", ["value"], "benchmark"
        ),
    }


def protected(home: Home, df: DataFrame, protection: str) -> DataFrame:
    """What a user's own pipeline would write."""
    return protect(df, home.plan(policy(protection), df))


def policy(protection: str) -> Policy:
    """A policy of one column."""
    return parse_policy(
        f"version: 1\ntable: bench.{protection}\ncolumns: {{value: {protection}}}\n"
    )


def released(home: Home, df: DataFrame, path: Path, protection: str) -> DataFrame:
    """The table that a run leaves behind, as it lies there."""
    home.protect(policy(protection), df, path)
    return home.spark.read.format("delta").load(str(path))


def aes_encrypt(value: Column) -> Column:
    """Spark's own function, with the same associated data."""
    key, empty = F.lit(os.urandom(32)), F.lit(b"")
    return F.aes_encrypt(value, key, F.lit("GCM"), F.lit("DEFAULT"), empty, F.lit(AAD))


def loop_udf() -> Callable[[Column], Column]:
    """The usual way by hand."""
    key = os.urandom(32)

    def loop(values: pd.Series) -> pd.Series:
        # Imported by the worker: the class has no module that pickle could name.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        cipher = AESGCM(key)

        def one(value: str) -> bytes:
            nonce = os.urandom(12)
            return nonce + cipher.encrypt(nonce, value.encode(), AAD)

        return values.map(one)

    return pandas_udf(loop, "binary").asNondeterministic()


def peak_after(jobs: Iterable[DataFrame]) -> float:
    """MiB that the largest Python worker has held once these have run, twice."""
    for df in [*jobs] * 2:
        df.write.format("noop").mode("overwrite").save()
    return worker_peak()


def report(times: dict[str, float], rows: int) -> None:
    """The table, and the ratios that are promised."""
    print(f"| job over {rows:,} rows | seconds | ns a row | x aes_encrypt |\n|---|---:|---:|---:|")
    peer = times["Spark aes_encrypt GCM"]
    for name, took in times.items():
        count = rows // 4 if name.endswith("/ 4") else rows
        faster = "" if name.endswith("/ 4") else f"{peer / took:.1f}"
        print(f"| {name} | {took:.2f} | {took / count * 1e9:,.0f} | {faster} |")
    gcm, siv = times["privpipe AES-GCM"], times["privpipe AES-SIV"]
    ratios = {
        "AES-GCM faster than aes_encrypt": (peer / gcm, ">= 6"),
        "AES-GCM / null kernel": (gcm / times[f"null kernel, {GCM_WIDTH} bytes"], "<= 1.45"),
        "AES-SIV / null kernel": (siv / times[f"null kernel, {SIV_WIDTH} bytes"], "<= 1.3"),
        "AES-GCM faster than the AESGCM loop": (times["pandas UDF, loop over AESGCM"] / gcm, ""),
        "AES-SIV faster than the AESGCM loop": (times["pandas UDF, loop over AESGCM"] / siv, ""),
        "AES-GCM faster than Fernet": (times["pandas UDF, Fernet"] / gcm, ""),
        "AES-SIV faster than Fernet": (times["pandas UDF, Fernet"] / siv, ""),
        "reveal / protect, AES-GCM": (times["privpipe reveal AES-GCM"] / gcm, "<= 1.3"),
        "reveal / protect, AES-SIV": (times["privpipe reveal AES-SIV"] / siv, "<= 1.3"),
        "AES-GCM, four times the rows": (gcm / times["privpipe AES-GCM, rows / 4"], "<= 4.2"),
        "AES-SIV, four times the rows": (siv / times["privpipe AES-SIV, rows / 4"], "<= 4.2"),
    }
    print("\n| ratio | measured | promised |\n|---|---:|---:|")
    for name, (ratio, promise) in ratios.items():
        print(f"| {name} | {ratio:.2f} | {promise} |")


if __name__ == "__main__":
    main()
