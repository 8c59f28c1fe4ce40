"""What the doctor sees of the machine: Python, Java, packages, disk."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata

from privpipe.cli._findings import Finding, fault
from privpipe.errors import PrivpipeError

__all__ = ["machine_findings"]

# What was tested together. A prefix ends in a dot.
_PINNED = {"pyspark": "4.2.0", "delta-spark": "4.4.0", "pandas": "2."}
_SHOWN = ("pyarrow", "numpy", "tink", "cryptography", "deltalake")
_LEAST_FREE = 2 << 30  # bytes: Spark's scratch files and a table's first version


def machine_findings() -> Iterator[Finding]:
    """Everything that can be seen with no project and no session."""
    yield _python()
    yield _java()
    for name, wanted in _PINNED.items():
        yield _package(name, wanted)
    yield Finding.ok("packages", ", ".join(f"{name} {_version(name)}" for name in _SHOWN))
    yield _disk("scratch space", tempfile.gettempdir(), "set spark.local.dir to another disk")
    yield _disk("disk space", os.curdir, "make room, or work in another folder")


def _python() -> Finding:
    text = f"{platform.python_version()}, {sys.executable}"
    workers = os.environ.get("PYSPARK_PYTHON")
    if workers and shutil.which(workers) is None:
        return Finding.fail(
            "python", f"PYSPARK_PYTHON names {workers}, which is not there", "unset PYSPARK_PYTHON"
        )
    if workers and os.path.realpath(shutil.which(workers) or "") != os.path.realpath(
        sys.executable
    ):
        return Finding.warn(
            "python",
            f"{text}; workers run {workers}, which needs the same packages",
            "unset PYSPARK_PYTHON, unless the executors need another",
        )
    return Finding.ok("python", text)


def _java() -> Finding:
    try:
        from privpipe.spark import check_java

        runner, major = check_java()
    except PrivpipeError as error:
        return fault("java", error)
    except ImportError as error:
        return Finding.fail(
            "java", f"not looked at: {error.name} is missing", "pip install privpipe"
        )
    home = os.environ.get("JAVA_HOME")
    return Finding.ok("java", f"{major}, {runner}" + (f" by JAVA_HOME={home}" if home else ""))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _package(name: str, wanted: str) -> Finding:
    found = _version(name)
    exact = wanted if not wanted.endswith(".") else f"{wanted}*"
    if found == wanted or (wanted.endswith(".") and found.startswith(wanted)):
        return Finding.ok(name, found)
    return Finding.fail(name, f"{found}, tested with {exact}", f"pip install '{name}=={exact}'")


def _disk(name: str, folder: str, mend: str) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free at {os.path.abspath(folder)}"  # noqa: PTH100
    return Finding.ok(name, text) if free >= _LEAST_FREE else Finding.warn(name, text, mend)
