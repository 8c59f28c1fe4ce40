"""What `doctor` says of a session: the rules that make it safe, checked on one that is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import pyspark
from pyspark.sql import SparkSession

from privpipe.spark._session import (
    ARROW_BATCH,
    AUTHENTICATE,
    COLUMNAR_INPUT,
    DELTA_CATALOG,
    DELTA_EXTENSION,
    DELTA_PACKAGE,
    EXTENSIONS,
    IO_ENCRYPTION,
    IO_ENCRYPTION_BITS,
    NETWORK_CRYPTO,
    REDACTION_REGEX,
    SESSION_CATALOG,
    has_delta,
    is_local,
)

__all__ = ["Finding", "session_findings"]

# Names of settings that hold secrets: each must be one that Spark redacts.
_SECRET_NAMES = (
    "spark.my.secret",
    "spark.my.password",
    "spark.my.token",
    "spark.hadoop.fs.s3a.access.key",
    "spark.privpipe.kek",
    "spark.vault.address",
)
_LEAST_BATCH, _MOST_BATCH = 1_000, 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule on one session: how it stands, what was seen, and what mends it."""

    severity: Literal["ok", "warn", "fail"]
    what: str
    hint: str | None = None


def session_findings(spark: SparkSession) -> tuple[Finding, ...]:
    """Every rule of a session that privpipe runs on, in order, those that hold included.

    Settings are read through `spark.conf`, and Delta is asked by SQL, so that a Spark Connect
    session can be asked too.
    """

    def get(key: str, default: str = "") -> str:
        return str(spark.conf.get(key, default) or default)

    return (
        _versions(spark.version),
        _columnar_input(get),
        _batch(get),
        _redaction(get),
        _delta(spark, get),
        *_encryption(get),
        *_pandas(),
    )


Get = Callable[..., str]


def _versions(running: str) -> Finding:
    wanted = pyspark.__version__
    if running == wanted:
        return _ok(f"Spark {running}, as its Python side")
    return Finding(
        severity="warn",
        what=f"Spark is {running}, its Python side {wanted}",
        hint=f"install pyspark=={running} with the privpipe that pins it, or run Spark {wanted}",
    )


def _columnar_input(get: Get) -> Finding:
    if get(COLUMNAR_INPUT, "true") == "false":
        return _ok("Python UDFs take rows in batches, not the reader's own columns")
    return Finding(
        severity="fail",
        what=f"{COLUMNAR_INPUT} is on: a plain Python UDF on a Parquet scan hangs (SPARK-58241)",
        hint=f'spark.conf.set("{COLUMNAR_INPUT}", "false")',
    )


def _batch(get: Get) -> Finding:
    size = int(get(ARROW_BATCH, "10000"))
    if _LEAST_BATCH <= size <= _MOST_BATCH:
        return _ok(f"Arrow batches of {size} rows")
    what = "has no bound" if size <= 0 else f"is {size}"
    return Finding(
        severity="warn",
        what=f"{ARROW_BATCH} {what}: small batches are slow, large ones take a worker's memory",
        hint=f'spark.conf.set("{ARROW_BATCH}", "20000")',
    )


def _redaction(get: Get) -> Finding:
    pattern = get(REDACTION_REGEX, "(?i)secret|password|token|access[.]?key")
    try:
        shown = [name for name in _SECRET_NAMES if not re.search(pattern, name)]
    except re.error:  # Java's patterns know more than Python's
        shown = ["(a pattern that cannot be checked here)"]
    if not shown:
        return _ok("settings that hold secrets are redacted in logs and the UI")
    return Finding(
        severity="warn",
        what=f"{REDACTION_REGEX} leaves in clear: {', '.join(shown)}",
        hint=f"before the session starts: {REDACTION_REGEX}="
        "(?i)secret|password|token|access[.]?key|kek|vault",
    )


def _delta(spark: SparkSession, get: Get) -> Finding:
    missing = [
        f"{key}={value}"
        for key, value in ((EXTENSIONS, DELTA_EXTENSION), (SESSION_CATALOG, DELTA_CATALOG))
        if value not in get(key)
    ]
    if not missing and has_delta(spark):
        return _ok("Delta Lake is on board")
    if not missing:
        return Finding(
            severity="fail",
            what="the session is set up for Delta Lake, and its jars are not there",
            hint=f"before the session starts: spark.jars.packages={DELTA_PACKAGE}",
        )
    return Finding(
        severity="fail",
        what="this session cannot write Delta tables as privpipe needs them",
        hint=f"before the session starts: {' '.join(missing)}",
    )


def _encryption(get: Get) -> Iterator[Finding]:
    master = get("spark.master")
    if not master or is_local(master):
        yield _ok("one process: nothing travels between executors")
        return
    for key, what in (
        (AUTHENTICATE, "anyone who reaches a port of this cluster can ask it for data"),
        (NETWORK_CRYPTO, "rows travel between executors in clear"),
        (IO_ENCRYPTION, "shuffle and spill files hold rows in clear"),
    ):
        if get(key, "false") == "true":
            yield _ok(f"{key} is on")
        else:
            hint = f"before the session starts: {key}=true"
            if key == AUTHENTICATE:
                hint += " and, on a standalone cluster, spark.authenticate.secret"
            yield Finding(severity="fail", what=f"{key} is off: {what}", hint=hint)
    bits = get(IO_ENCRYPTION_BITS, "128")
    if get(IO_ENCRYPTION, "false") == "true" and bits != "256":
        yield Finding(
            severity="warn",
            what=f"shuffle and spill files are encrypted with {bits} bits",
            hint=f"before the session starts: {IO_ENCRYPTION_BITS}=256",
        )


def _pandas() -> Iterator[Finding]:
    try:
        installed = version("pandas")
    except PackageNotFoundError:
        return
    if int(installed.partition(".")[0]) >= 3:
        yield Finding(
            severity="warn",
            what=f"pandas {installed}: Spark 4.2 does not support it fully",
            hint="pip install 'pandas<3'",
        )


def _ok(what: str) -> Finding:
    return Finding(severity="ok", what=what)
