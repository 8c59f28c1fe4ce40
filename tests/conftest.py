"""One Spark session for a test run, and a real cluster for the tests that ask for one."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

os.environ["PYSPARK_PYTHON"] = sys.executable
# For every JVM that a test starts: jobs of five rows end before their code is worth optimizing.
# C1 alone reserves 48 MB for its code; full after a minute of tests, it leaves the rest of them to
# the interpreter, at half the speed or less.
JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=512m -XX:+UseSerialGC"
# Of `tools/classes`. Java does without one that another Java wrote, and need not say so.
CLASSES = Path(sys.prefix) / ".classes.jsa"
if CLASSES.exists():
    JAVA += f' -XX:SharedArchiveFile="{CLASSES}" -Xlog:cds=off -Xlog:cds+dynamic=off'
os.environ.setdefault("SPARK_SUBMIT_OPTS", JAVA)

# A shared machine is no clock, so no deadline; in CI a failure must come back on every run.
settings.register_profile("privpipe", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("privpipe")

ALL_FILES_IN_CRC = "spark.databricks.delta.allFilesInCrc"
PROJECT = Path(__file__).resolve().parent.parent
VECTORS = PROJECT.parent / "shared" / "vectors"


# Whose files take minutes, the longest first: begun last, one would keep one of two processes at
# work when the other has nothing left. Those that bring a JVM of their own come before `spark`.
SLOW = ("leaks", "faults", "test_notebooks.py", "jobs", "cli", "test_readme.py", "spark", "golden")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, each one's tests in their own order."""
    tests = PROJECT / "tests"

    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""
        return SLOW.index(room) if room in SLOW else len(SLOW)

    items.sort(key=place)


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of published vectors; skips where this machine has none."""
    if not VECTORS.is_dir():
        pytest.skip("the published vectors are not on this machine")
    return VECTORS


@pytest.fixture(scope="session")
def spark_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of the test session: all that Spark writes lands in a temporary folder."""
    home = tmp_path_factory.mktemp("spark")
    return {
        "spark.master": "local[2]",
        "spark.app.name": "privpipe-tests",
        "spark.sql.warehouse.dir": (home / "warehouse").as_uri(),
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={home / 'derby'}",
        "spark.local.dir": str(home / "local"),
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.memory": "1g",
        "spark.sql.session.timeZone": "Europe/Berlin",  # not UTC: a zone that is lost would show
        # There alone Delta reads its log anew behind each commit, to check its own checksum file.
        f"{ALL_FILES_IN_CRC}.verificationMode.forceOnNonUTC.enabled": "false",
    }


@pytest.fixture(scope="session")
def spark(spark_settings: dict[str, str]) -> Iterator[SparkSession]:
    """The one session: local[2], with Delta."""
    from privpipe.spark._session import build_session

    session = build_session(spark_settings)
    yield session
    session.stop()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], str]:
    """Writes a file of that name and content beneath `tmp_path`; gives its path."""

    def written(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return written


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A standalone master with two workers, each a process of its own."""

    settings: Mapping[str, str]
    folder: Path

    @property
    def master(self) -> str:
        """The master's URL."""
        return self.settings["spark.master"]

    def start(self, script: str, *args: str) -> subprocess.Popen[str]:
        """A driver in its own process: `script` is Python text and finds `build_session` and
        `settings` (the cluster's) defined, its arguments in `sys.argv[1:]`."""
        handle, path = tempfile.mkstemp(suffix=".py", dir=self.folder)
        os.close(handle)
        head = (
            "import sys\n"
            "from privpipe.spark._session import build_session\n"
            f"settings = {dict(self.settings)!r}\n"
        )
        Path(path).write_text(head + script, encoding="utf-8")
        return subprocess.Popen(
            [sys.executable, path, *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, *args: str, timeout: float = 300) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of such a driver, once it has ended."""
        driver = self.start(script, *args)
        try:
            out, err = driver.communicate(timeout=timeout)
        finally:
            driver.kill()
        return driver.returncode, out, err


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.2)
    pytest.fail("the standalone master did not come up")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real cluster, authenticated and encrypted; about ten seconds to start, so once a run."""
    import pyspark

    folder = tmp_path_factory.mktemp("cluster")
    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    port, secret = _free_port(), secrets.token_hex(16)
    daemon = f"-Dspark.authenticate=true -Dspark.authenticate.secret={secret}"
    environment = {
        **os.environ,
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_MASTER_OPTS": daemon,
        "SPARK_WORKER_OPTS": daemon,
        "SPARK_WORKER_DIR": str(folder / "work"),
        "SPARK_LOCAL_DIRS": str(folder / "scratch"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(PROJECT),  # executors import privpipe from here
    }
    url = f"spark://127.0.0.1:{port}"
    deploy = "org.apache.spark.deploy"
    master_command = f"{deploy}.master.Master --host 127.0.0.1 --port {port} --webui-port 0"
    worker_command = f"{deploy}.worker.Worker -c 1 -m 1500M --host 127.0.0.1 --webui-port 0 {url}"
    processes: list[subprocess.Popen[bytes]] = []

    def begin(command: str) -> subprocess.Popen[bytes]:
        with (folder / "daemons.log").open("ab") as log:
            process = subprocess.Popen(
                [str(spark_class), *command.split()], env=environment, stdout=log, stderr=log
            )
        processes.append(process)
        return process

    try:
        _await_port(port, begin(master_command))
        begin(worker_command)
        begin(worker_command)
        yield Cluster(
            folder=folder,
            settings={
                "spark.master": url,
                "spark.authenticate.secret": secret,
                "spark.driver.host": "127.0.0.1",
                "spark.driver.memory": "600m",
                "spark.executor.memory": "900m",
                "spark.executor.cores": "1",
                "spark.sql.shuffle.partitions": "2",
                "spark.sql.warehouse.dir": (folder / "warehouse").as_uri(),
                "spark.local.dir": str(folder / "driver"),
                "spark.executorEnv.PYTHONPATH": str(PROJECT),
            },
        )
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)
