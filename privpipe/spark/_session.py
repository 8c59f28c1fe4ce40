"""The Spark session that privpipe builds: safe settings, a quiet start, Delta on board."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from privpipe.errors import ConfigError, EngineError
from privpipe.spark._java import check_java
from privpipe.spark._launch import QuietStart

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
REDACTION = "(?i:secret|password|token|access[.]?key|kek|vault)"

EXTENSIONS = "spark.sql.extensions"
PACKAGES = "spark.jars.packages"
REDACTION_REGEX = "spark.redaction.regex"
COLUMNAR_INPUT = "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled"
ARROW_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
SESSION_CATALOG = "spark.sql.catalog.spark_catalog"
AUTHENTICATE = "spark.authenticate"
AUTHENTICATE_SECRET = "spark.authenticate.secret"  # noqa: S105 (a setting's name)
NETWORK_CRYPTO = "spark.network.crypto.enabled"
IO_ENCRYPTION = "spark.io.encryption.enabled"
IO_ENCRYPTION_BITS = "spark.io.encryption.keySizeBits"

# What delta-spark pulls in and Spark ships already: without these 5 jars come instead of 33, and
# no second log4j on the class path.
_SHIPPED_WITH_SPARK = (
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.parquet:*",
    "org.apache.logging.log4j:*",
    "org.scala-lang:*",
    "com.github.luben:*",
    "com.fasterxml.jackson.core:*",
    "com.fasterxml.jackson.datatype:*",
    "org.slf4j:*",
    "org.xerial.snappy:*",
    "io.airlift:*",
    "org.roaringbitmap:*",
    "commons-logging:*",
    "commons-pool:*",
    "javax.annotation:*",
    "com.google.code.findbugs:*",
    "org.locationtech.jts:*",
    "io.unitycatalog:*",
)

_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "spark.app.name": "privpipe",
        ARROW_BATCH: "20000",  # 10k to 100k run alike, so chosen for a worker's memory
        SESSION_CATALOG: DELTA_CATALOG,
        "spark.jars.excludes": ",".join(_SHIPPED_WITH_SPARK),
        "spark.databricks.delta.snapshotPartitions": "1",  # the catalog's logs are small
        # A commit of Delta's runs more kinds of generated code than the 100 that Spark keeps: they
        # would be compiled again for every one, a third of the work where rows are few.
        "spark.sql.codegen.cache.maxEntries": "1000",
        "spark.ui.enabled": "false",  # the UI shows literals to whoever can reach its port
        "spark.ui.showConsoleProgress": "false",
        # Task failures arrive as exceptions; Spark would print each one's trace beside it.
        "spark.log.level": "FATAL",
    }
)

# At INFO, Delta prints the least and greatest values of small tables that stand in clear, a source
# for one, and Spark's scans print the values that folders name; at DEBUG, Parquet prints those of
# each file it reads, and each value that it writes, and ORC the folders.
_TELLTALES = (
    "org.apache.spark.sql.delta",
    "org.apache.spark.sql.execution.datasources",
    "org.apache.parquet",
    "org.apache.orc",
)

_LOCAL: Mapping[str, str] = MappingProxyType(
    {
        # One process: nobody else has to reach the driver, and no host name has to resolve.
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "8",
    }
)


def build_session(settings: Mapping[str, str] | None = None) -> SparkSession:
    """A Spark session under privpipe's rules, or the active one with the rules that still apply.

    `settings` are Spark's own (`spark.…`) and win over the defaults here and, under
    `spark-submit`, over those of its command line; but three are safety and stay whatever is
    said: columnar input to Python UDFs is off (SPARK-58241: a plain UDF on a parquet scan hangs),
    the redaction pattern and the session extensions are added to, never replaced. Workers run the
    driver's interpreter unless `spark.pyspark.python` or `PYSPARK_PYTHON` names another.

    Nothing is written to the terminal by a start that succeeds.

    Raises: EngineError (no Java, a Java too old, a start that failed), ConfigError.
    """
    wanted = {key: str(value) for key, value in (settings or {}).items()}
    if "spark.remote" in wanted:
        raise ConfigError(
            "a Spark Connect session is not built here",
            where="spark.remote",
            hint="open it yourself and pass it: open_home(config, spark=session)",
        )
    # This is the one place that tells workers their Python; pyspark takes it from here alone.
    python = wanted.get("spark.pyspark.python") or os.environ.get("PYSPARK_PYTHON")
    os.environ["PYSPARK_PYTHON"] = python or sys.executable
    _hush_query_errors()
    if SparkContext._gateway is not None or "PYSPARK_GATEWAY_PORT" in os.environ:  # noqa: SLF001
        # A JVM is there (spark-submit's, or an earlier session's): it holds settings of its own,
        # which a SparkConf shows once Python is joined to it, and takes no more jars.
        SparkContext._ensure_initialized()  # noqa: SLF001
        session = _start(resolve_settings({**dict(SparkConf().getAll()), **wanted}))
        if not has_delta(session):
            raise EngineError(
                "this Spark has no Delta Lake",
                hint="give spark-submit `--properties-file conf/spark/local.conf`, "
                f"or `--packages {DELTA_PACKAGE}`",
            )
        return session
    check_java()
    with QuietStart() as start:
        resolved = resolve_settings(wanted)
        start.launch(_conf(resolved))
        return _start(resolved)


def _hush_query_errors() -> None:
    """Spark's errors may quote the value that they stumbled on, and pyspark logs each on standard
    error before it raises it: the raising is enough."""
    for name in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL)
    # At DEBUG it tells every word between Python and Java: the folders that name values, for one.
    logging.getLogger("py4j").setLevel(logging.INFO)


def resolve_settings(wanted: Mapping[str, str]) -> dict[str, str]:
    """The settings a session gets for those that its user wants."""
    master = wanted.get("spark.master", "local[*]")
    settings = {**_DEFAULTS, **(_LOCAL if is_local(master) else _cluster(master, wanted))}
    settings |= wanted
    settings["spark.master"] = master
    settings[COLUMNAR_INPUT] = "false"
    settings[REDACTION_REGEX] = _with_redaction(wanted.get(REDACTION_REGEX))
    settings[EXTENSIONS] = _added(wanted.get(EXTENSIONS), DELTA_EXTENSION)
    if "delta-spark" not in wanted.get("spark.jars", ""):
        settings[PACKAGES] = _added(wanted.get(PACKAGES), DELTA_PACKAGE, unless="io.delta:delta-")
    return settings


def has_delta(spark: SparkSession) -> bool:
    """Whether Delta's classes are there, and not its settings alone. Takes a second at most."""
    try:
        spark.sql("DESCRIBE DETAIL delta.`/privpipe/no/such/table`")
    except PySparkException as error:
        return str(error.getCondition()).startswith("DELTA_")
    except Py4JError:
        return False
    return True


def is_local(master: str) -> bool:
    """Whether a master URL runs its executors in the driver's own process."""
    return master == "local" or master.startswith("local[")


def _cluster(master: str, wanted: Mapping[str, str]) -> dict[str, str]:
    """What keeps plaintext off the wires and the scratch disks of several processes.

    YARN and Kubernetes hand out the secret that authenticates processes to one another. A
    standalone master has one only where its operator gave it one, so there it is the user's to say
    (`session_findings` asks for it).
    """
    settings = {IO_ENCRYPTION: "true", IO_ENCRYPTION_BITS: "256"}
    if AUTHENTICATE_SECRET in wanted or master.startswith(("yarn", "k8s://")):
        settings |= {AUTHENTICATE: "true", NETWORK_CRYPTO: "true"}
    return settings


def _with_redaction(given: str | None) -> str:
    return REDACTION if not given or REDACTION in given else f"{given}|{REDACTION}"


def _added(given: str | None, item: str, *, unless: str | None = None) -> str:
    items = [part.strip() for part in (given or "").split(",") if part.strip()]
    present = any((unless or item) in part for part in items)
    return ",".join(items if present else [*items, item])


def _conf(settings: Mapping[str, str]) -> SparkConf:
    return SparkConf(loadDefaults=False).setAll(list(settings.items()))


def _start(settings: Mapping[str, str]) -> SparkSession:
    builder = SparkSession.builder
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # noqa: BLE001 (py4j, Spark and Java each have their own)
        # Spark's message may repeat a setting, and settings may hold credentials.
        raise EngineError(
            f"the Spark session did not start ({type(error).__name__})",
            where=settings["spark.master"],
            hint="`privpipe doctor` looks for the cause; set spark.log.level to WARN to see more",
        ) from None
    _hush_telltales(session)
    return session


def _hush_telltales(session: SparkSession) -> None:
    """Whatever level is asked for: in this JVM, what tells of values logs warnings alone."""
    jvm = session.sparkContext._jvm  # noqa: SLF001 (log4j has no other door from here)
    if jvm is None:
        return
    log4j = jvm.org.apache.logging.log4j
    for name in _TELLTALES:
        level = log4j.LogManager.getLogger(name).getLevel()
        # A level of its own, even where that is what it has: the root's may be changed later.
        level = log4j.Level.WARN if level.isLessSpecificThan(log4j.Level.WARN) else level
        log4j.core.config.Configurator.setLevel(name, level)
