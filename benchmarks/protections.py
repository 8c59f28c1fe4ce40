"""Every protection as a whole Spark job, beside the null kernel of its width.

    python benchmarks/protections.py [--rows 4000000] [--rounds 3]

One process, `local[2]`, one column of one Parquet table at a time, everything to the `noop` sink,
the best of some rounds after one that does not count. A null kernel hands a column to Python and
takes as many bytes back as the protection gives, and does no work: the limit of any UDF. What is
faster than its null kernel runs as an expression of Spark's, with no Python at all.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from _jobs import fernet_udf, identity_udf, null_udf, project, race
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.kernels._pem import generate_pair
from privpipe.spark import Home, open_home, protect


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A protection of one column, the job that it stands beside, and how many times its time."""

    name: str
    column: str
    rule: str
    beside: str
    promised: float | None = None


def null(width: int | None) -> str:
    return "identity UDF" if width is None else f"null kernel, {width} bytes"


CASES = [
    Case(name="encrypt", column="value", rule="protect: encrypt", beside=null(44), promised=1.45),
    Case(
        name="encrypt, bound to the row",
        column="value",
        rule="protect: encrypt, bind: [subject]",
        beside="encrypt",
        promised=1.4,
    ),
    Case(
        name="encrypt_deterministic",
        column="value",
        rule="protect: encrypt_deterministic",
        beside=null(32),
        promised=1.3,
    ),
    Case(
        name="encrypt_deterministic, bound to the row",
        column="value",
        rule="protect: encrypt_deterministic, bind: [subject]",
        beside="encrypt_deterministic",
        promised=1.4,
    ),
    Case(
        name="seal",
        column="value",
        rule="protect: seal, public_key: public.pem",
        beside="encrypt",
        promised=2.2,
    ),
    Case(name="fernet", column="value", rule="protect: fernet", beside="pandas UDF, Fernet",
         promised=0.25),
    Case(name="tokenize, 16 digits", column="card", rule="protect: tokenize, alphabet: digits",
         beside=null(16)),
    Case(
        name="tokenize, first 6 and last 4 left",
        column="card",
        rule="protect: tokenize, alphabet: digits, preserve: {first: 6, last: 4}",
        beside=null(16),
    ),
    Case(name="pseudonymize", column="value", rule="protect: pseudonymize", beside=null(32),
         promised=1.3),
    Case(name="pseudonymize, uuid", column="value", rule="protect: pseudonymize, output: uuid",
         beside=null(36), promised=1.3),
    Case(name="pseudonymize, int64", column="value",
         rule="protect: pseudonymize, output: int64, distinct: 4000", beside=null(8), promised=1.3),
    Case(name="pseudonymize, hmac", column="value", rule="protect: pseudonymize, algorithm: hmac",
         beside=null(32)),
    Case(name="mask, last 4", column="value", rule="protect: mask, show: {last: 4}",
         beside=null(11), promised=1.2),
    Case(name="mask, punctuation kept", column="phone",
         rule="protect: mask, keep: punctuation, show: {last: 2}", beside=null(12), promised=1.2),
    Case(name="mask, dashes kept", column="phone",
         rule="protect: mask, keep: '-', show: {last: 2}", beside=null(12), promised=1.2),
    Case(name="redact", column="value", rule="protect: redact", beside=null(11), promised=1.2),
    Case(name="replace, by one value", column="value", rule="protect: replace, value: gone",
         beside=null(4), promised=1.2),
    Case(name="replace, from a list", column="value",
         rule="protect: replace, dictionary: [Amara, Bela, Chidi, Dalia, Emeka]",
         beside=null(5), promised=1.2),
    Case(name="generalize, number by width", column="number",
         rule="protect: generalize, width: 10", beside=null(8), promised=1.2),
    Case(name="generalize, double by width", column="amount",
         rule="protect: generalize, width: 2.5", beside=null(8), promised=1.2),
    Case(name="bucket, given bounds", column="number",
         rule="protect: bucket, bounds: [0, 18, 30, 45, 65, 80]", beside=null(8), promised=1.2),
    Case(name="generalize, date to month", column="born", rule="protect: generalize, to: month",
         beside="identity UDF, dates", promised=1.2),
    Case(name="generalize, date to age", column="born",
         rule="protect: generalize, to: age, on: '2026-01-01', top: 90",
         beside="identity UDF, dates", promised=1.2),
    Case(name="generalize, prefix", column="value", rule="protect: generalize, prefix: 3",
         beside=null(3), promised=1.2),
    Case(name="generalize, network", column="ip", rule="protect: generalize, network: {v4: 24}",
         beside=null(12), promised=1.2),
    Case(name="generalize, rounded", column="amount", rule="protect: generalize, round: 1",
         beside=null(8), promised=1.2),
    Case(name="generalize, hierarchy", column="code",
         rule="protect: generalize, hierarchy: codes.csv", beside=null(7), promised=1.2),
    Case(name="shift", column="born", rule="protect: shift, days: 60, subject: subject",
         beside="identity UDF, dates"),
]  # fmt: skip


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose names contain this")
    options = parser.parse_args()
    asked = [case for case in CASES if options.only in case.name]
    with tempfile.TemporaryDirectory() as folder, open_home(project(Path(folder))) as home:
        beside_them(Path(folder))
        plain = table(home.spark, Path(folder) / "plain", options.rows)
        others = peers(plain)
        named = {case.beside for case in asked}
        wanted = [case for case in CASES if case in asked or case.name in named]
        jobs = {name: job for name, job in others.items() if name in named}
        jobs |= {case.name: protected(home, plain, case, Path(folder)) for case in wanted}
        report(asked, race(jobs, options.rounds), options.rows)
        if not options.only:
            print(f"\n{weights(home, plain, Path(folder))}")


def beside_them(folder: Path) -> None:
    """The files that the rules name: a public key and a hierarchy."""
    _, public = generate_pair("x25519")
    (folder / "public.pem").write_bytes(public)
    lines = [f"{letter}{at},group-{letter}" for letter in "abcdefghij" for at in range(100)]
    (folder / "codes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(spark: SparkSession, path: Path, rows: int) -> DataFrame:
    """`rows` rows of eight columns in a Parquet table of 8 files."""
    drawn = F.abs(F.xxhash64("id"))
    digits = F.lpad(drawn.cast("string"), 19, "7")
    octet = [F.pmod(F.shiftright(drawn, at), F.lit(256)).cast("string") for at in (0, 8, 16, 24)]
    letter = F.substring(F.lit("abcdefghij"), F.pmod(drawn, F.lit(10)).cast("int") + 1, 1)
    spark.range(0, rows, 1, 8).select(
        F.concat(F.lit("p"), F.substring(digits, 4, 10)).alias("value"),
        F.substring(digits, 4, 16).alias("card"),
        F.concat_ws("-", *(F.substring(digits, at, 3) for at in (4, 7)), F.substring(digits, 10, 4))
        .alias("phone"),
        F.concat_ws(".", *octet).alias("ip"),
        F.concat(letter, F.pmod(drawn, F.lit(100)).cast("string")).alias("code"),
        F.pmod(drawn, F.lit(100)).alias("number"),
        (F.pmod(drawn, F.lit(1_000_000)) / 1000).alias("amount"),
        F.date_add(F.lit("1930-01-01").cast("date"), F.pmod(drawn, F.lit(30_000)).cast("int"))
        .alias("born"),
        F.col("id").alias("subject"),
    ).write.parquet(str(path))  # fmt: skip
    return spark.read.parquet(str(path))


def peers(plain: DataFrame) -> dict[str, DataFrame]:
    """The limits that the protections stand beside, and the one loop."""
    value = F.col("value")
    widths = {36, *(at for at in range(60) if any(c.beside == null(at) for c in CASES))}
    jobs = {null(at): plain.select(null_udf(at, "string")(value)) for at in sorted(widths)}
    jobs["identity UDF, dates"] = plain.select(identity_udf("date")(F.col("born")))
    jobs["pandas UDF, Fernet"] = plain.select(fernet_udf()(value))
    return jobs


def protected(home: Home, plain: DataFrame, case: Case, folder: Path) -> DataFrame:
    """The protected column alone, and what stands beside it where the rule names it."""
    beside = ["subject"] if "subject" in case.rule else []
    df = plain.select(case.column, *beside)
    kept = "".join(f", {name}: {{protect: keep}}" for name in beside)
    text = (
        f"version: 1\ntable: bench.{case.column}\n"
        f"columns: {{{case.column}: {{{case.rule}}}{kept}}}\n"
    )
    plan = home.plan(parse_policy(text, base=folder), df)
    return protect(df, plan).select(case.column)


def weights(home: Home, plain: DataFrame, folder: Path) -> str:
    """The bytes in Delta of a sealed column beside those of an encrypted one."""
    size = {}
    for case in CASES:
        if case.name in ("encrypt", "seal"):
            path = folder / case.name
            protected(home, plain, case, folder).write.format("delta").save(str(path))
            size[case.name] = sum(each.stat().st_size for each in path.glob("*.parquet"))
    ratio = size["seal"] / size["encrypt"]
    return (
        f"A sealed column takes {ratio:.2f} times the bytes in Delta of an encrypted one "
        f"({size['seal']:,} and {size['encrypt']:,}; promised: <= 1.5)."
    )


def report(cases: list[Case], times: dict[str, float], rows: int) -> None:
    """The table, with a ratio a line."""
    print(
        f"| job over {rows:,} rows | seconds | ns a row | beside | its seconds | ratio | promised |"
    )
    print("|---|---:|---:|---|---:|---:|---:|")
    for case in cases:
        took, other = times[case.name], times[case.beside]
        promised = "" if case.promised is None else f"<= {case.promised}"
        print(
            f"| {case.name} | {took:.2f} | {took / rows * 1e9:,.0f} | {case.beside} | {other:.2f} "
            f"| {took / other:.2f} | {promised} |"
        )


if __name__ == "__main__":
    main()
