"""Start Spark's JVM with its chatter held back until the session stands."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.java_gateway import launch_gateway

from privpipe.errors import EngineError

_CHUNK = 65536
_KEEP = 256 * 1024

_JAR = re.compile(r"unresolved dependency: ([\w.#;-]+): not found")

# What the launcher says, and what mends it. First match wins.
_CAUSES = (
    (
        "unresolved dependenc",
        "a jar of spark.jars.packages could not be resolved",
        "give this machine a way to Maven Central, name a mirror in spark.jars.ivySettings, "
        "or list the jar files themselves in spark.jars",
    ),
    (
        "download failed",
        "a jar of spark.jars.packages could not be downloaded",
        "clear what an earlier attempt left in the local Maven repository and the ivy cache, "
        "then try again",
    ),
    (
        "UnsupportedClassVersionError",
        "this Java is too old for Spark 4.2",
        "install openjdk-17-jre-headless and set JAVA_HOME to it",
    ),
    (
        "Could not reserve enough space",
        "this machine has too little memory for the driver",
        "lower spark.driver.memory",
    ),
    ("Invalid maximum heap size", "spark.driver.memory is no size", "write it as 2g"),
    (
        "No space left on device",
        "the disk is full",
        "free some space, or set spark.local.dir to another disk",
    ),
)


def _children() -> set[int]:
    """The processes that this one has started; none where the system does not tell."""
    lists = Path("/proc/self/task").glob("*/children")
    with contextlib.suppress(OSError):
        return {int(pid) for each in lists for pid in each.read_text().split()}
    return set()


class QuietStart:
    """Holds the JVM's standard error while a session starts, and passes on what follows.

    The launcher, ivy and log4j's first lines write there before any log setting applies: some 60
    lines that a user of a command line has no use for. They are kept in memory to find the cause
    of a start that failed, and then forgotten. From the moment the session stands, all that the
    JVM writes goes to this process's standard error.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._open = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.set()
        self._held.clear()

    def launch(self, conf: SparkConf) -> None:
        """Start the JVM that pyspark's next session will use.

        Raises: EngineError that names the cause where the launcher told it.
        """
        reader, writer = os.pipe()
        drain = threading.Thread(target=self._drain, args=(reader,), daemon=True)
        drain.start()
        gateway, before = None, _children()
        try:
            with contextlib.suppress(PySparkRuntimeError):
                gateway = launch_gateway(conf, {"stderr": writer})  # type: ignore[no-untyped-call]
        except BaseException:
            # Interrupted: a JVM that cannot tell us its port any more would wait for ever.
            for pid in _children() - before:
                with contextlib.suppress(OSError):
                    if b"pyspark-shell" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        os.kill(pid, signal.SIGTERM)
            raise
        os.close(writer)  # the JVM holds its own copy
        if gateway is None:
            drain.join(timeout=5)
            raise self._failure()
        # pyspark is pinned: its public doors launch with a JVM whose errors go to the terminal.
        SparkContext._ensure_initialized(gateway=gateway)  # noqa: SLF001

    def _drain(self, reader: int) -> None:
        while chunk := os.read(reader, _CHUNK):
            if self._open.is_set():
                with contextlib.suppress(OSError):  # a closed terminal must not stop the JVM
                    os.write(2, chunk)
            elif len(self._held) < _KEEP:
                self._held += chunk
        os.close(reader)

    def _failure(self) -> EngineError:
        said = self._held.decode(errors="replace")
        jar = _JAR.search(said)
        for sign, cause, hint in _CAUSES:
            if sign.lower() in said.lower():
                return EngineError(cause, where=jar.group(1) if jar else None, hint=hint)
        return EngineError(
            "Spark's Java process ended before it was up",
            hint="`privpipe doctor` looks for the cause; "
            "`spark-submit --version` shows what Java says",
        )
