"""The session: its rules, its quiet start, what it says where it cannot start, and a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import SparkSession

from privpipe.errors import ConfigError, EngineError
from privpipe.spark import _findings, _session
from privpipe.spark._java import check_java, parse_major
from privpipe.spark._session import build_session, resolve_settings

if TYPE_CHECKING:
    from tests.conftest import Cluster

PROJECT = Path(__file__).resolve().parents[2]
CONF = PROJECT / "conf" / "spark"


class Settings:
    """A session that has settings alone."""

    version = "4.2.0"

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings

    @property
    def conf(self) -> Settings:
        return self

    def get(self, key: str, default: str | None = None) -> str | None:
        return self._settings.get(key, default)


def python(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class TestSettings:
    def test_defaults_give_way_to_the_users(self) -> None:
        settings = resolve_settings({"spark.ui.enabled": "true", "spark.executor.memory": "4g"})
        assert settings["spark.master"] == "local[*]"
        assert settings["spark.ui.enabled"] == "true"
        assert settings["spark.executor.memory"] == "4g"
        assert "spark.sql.session.timeZone" not in settings

    def test_safety_does_not(self) -> None:
        settings = resolve_settings(
            {
                _session.COLUMNAR_INPUT: "true",
                _session.REDACTION_REGEX: "(?i)ssn",
                _session.EXTENSIONS: "com.acme.Extension",
                _session.PACKAGES: "com.acme:jar:1",
            }
        )
        assert settings[_session.COLUMNAR_INPUT] == "false"
        assert settings[_session.EXTENSIONS] == f"com.acme.Extension,{_session.DELTA_EXTENSION}"
        assert settings[_session.PACKAGES] == f"com.acme:jar:1,{_session.DELTA_PACKAGE}"
        for name in ("spark.kek", "SSN", "spark.Vault.x", "fs.s3a.access.key"):
            assert re.search(settings[_session.REDACTION_REGEX], name)

    def test_what_is_there_is_not_added_twice(self) -> None:
        once = resolve_settings({})
        assert resolve_settings(once) == once
        jars = resolve_settings({"spark.jars": "/opt/delta-spark_4.2_2.13-4.4.0.jar"})
        assert _session.PACKAGES not in jars

    @pytest.mark.parametrize("master", ["yarn", "k8s://https://host:6443", "spark://h:7077"])
    def test_several_processes_get_encryption(self, master: str) -> None:
        secret = {"spark.authenticate.secret": "s"} if master.startswith("spark") else {}
        settings = resolve_settings({"spark.master": master, **secret})
        assert settings["spark.io.encryption.enabled"] == "true"
        assert settings["spark.io.encryption.keySizeBits"] == "256"
        assert settings["spark.authenticate"] == "true"
        assert settings["spark.network.crypto.enabled"] == "true"

    def test_a_standalone_cluster_without_a_secret_is_the_doctors_matter(self) -> None:
        settings = resolve_settings({"spark.master": "local-cluster[2,1,1024]"})
        assert settings["spark.io.encryption.enabled"] == "true"
        assert "spark.authenticate" not in settings

    def test_connect_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"open_home\(config, spark=session\)"):
            build_session({"spark.remote": "sc://host"})

    @pytest.mark.parametrize("name", ["local.conf", "cluster.conf"])
    def test_files_for_spark_submit_say_the_same(self, name: str) -> None:
        lines = (CONF / name).read_text(encoding="utf-8").splitlines()
        given = dict(line.split(None, 1) for line in lines if line and line[0] != "#")
        built = resolve_settings({"spark.master": given.get("spark.master", "yarn")})
        for key, value in given.items():
            assert built[key] == value, key
        before = ""
        for line in lines:
            assert line.startswith("#") or not line or before.startswith("#"), f"no reason: {line}"
            before = line


class TestJava:
    @pytest.mark.parametrize(
        ("version", "major"), [("17.0.15", 17), ("21", 21), ("1.8.0_402", 8), ("25-ea", 25)]
    )
    def test_versions(self, version: str, major: int) -> None:
        assert parse_major(version) == major

    def test_this_one(self) -> None:
        _, major = check_java()
        assert major >= 17

    @pytest.fixture
    def jdk(self, tmp_path: Path) -> Callable[[str], Path]:
        def made(script: str) -> Path:
            java = tmp_path / "jdk" / "bin" / "java"
            java.parent.mkdir(parents=True)
            java.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            java.chmod(0o755)
            return tmp_path / "jdk"

        return made

    def test_none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(EngineError, match="openjdk-17-jre-headless"):
            check_java()

    def test_a_home_without_java(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        with pytest.raises(EngineError, match="JAVA_HOME holds no java"):
            check_java()

    def test_one_too_old(self, monkeypatch: pytest.MonkeyPatch, jdk: Callable[[str], Path]) -> None:
        home = jdk("echo 'openjdk version \"1.8.0_402\"' >&2")
        monkeypatch.setenv("JAVA_HOME", str(home))
        with pytest.raises(EngineError, match="this one is Java 8"):
            check_java()
        (home / "release").write_text('JAVA_VERSION="11.0.2"\n', encoding="utf-8")
        with pytest.raises(EngineError, match="this one is Java 11"):
            check_java()

    @pytest.mark.parametrize("script", ["exit 1", "echo hello"])
    def test_one_that_is_none(
        self, monkeypatch: pytest.MonkeyPatch, jdk: Callable[[str], Path], script: str
    ) -> None:
        monkeypatch.setenv("JAVA_HOME", str(jdk(script)))
        with pytest.raises(EngineError, match="does not say its version"):
            check_java()


class TestFindings:
    def test_the_session_that_is_built_has_none(self, spark: SparkSession) -> None:
        assert [f for f in _findings.session_findings(spark) if f.severity != "ok"] == []

    def test_a_bare_cluster_session_has_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bare = Settings({"spark.master": "spark://host:7077"})
        found = _findings.session_findings(bare)  # type: ignore[arg-type]
        bad = {f.what.split()[0]: f.severity for f in found if f.severity != "ok"}
        assert bad == {
            _session.COLUMNAR_INPUT: "fail",
            _session.REDACTION_REGEX: "warn",
            "this": "fail",
            "spark.authenticate": "fail",
            "spark.network.crypto.enabled": "fail",
            "spark.io.encryption.enabled": "fail",
        }
        assert all(f.hint for f in found if f.severity != "ok")

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({_session.ARROW_BATCH: "-1"}, "has no bound"),
            ({_session.ARROW_BATCH: "5"}, "is 5"),
            ({_session.REDACTION_REGEX: "(?i)secret"}, "spark.my.password"),
            ({_session.REDACTION_REGEX: r"\p{javaUpperCase}+"}, "cannot be checked"),
            (
                {"spark.master": "yarn", _session.IO_ENCRYPTION: "true"},
                "encrypted with 128 bits",
            ),
        ],
    )
    def test_each_rule_speaks(self, settings: dict[str, str], said: str) -> None:
        found = _findings.session_findings(Settings(settings))  # type: ignore[arg-type]
        assert any(said in f.what and f.severity == "warn" for f in found)


def test_workers_run_the_drivers_python(spark: SparkSession) -> None:
    def interpreter(batches: Any) -> Any:
        for batch in batches:
            yield type(batch).from_pydict({"python": [sys.executable]})

    found = spark.range(0, 1, 1, 1).mapInArrow(interpreter, "python string").collect()
    assert [row["python"] for row in found] == [sys.executable]


def test_a_start_says_nothing_and_a_failed_one_says_why() -> None:
    quiet = python(
        "from privpipe.spark._session import build_session\n"
        "spark = build_session({'spark.master': 'local[1]'})\n"
        "try:\n"
        "    spark.range(1).selectExpr('1 div (id * 0)').collect()\n"
        "except Exception:\n"
        "    print('failed')\n"
    )
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "failed\n", "")
    failed = python(
        "from privpipe.errors import EngineError\n"
        "from privpipe.spark._session import build_session\n"
        "try:\n"
        "    build_session({'spark.jars.packages': 'com.acme:no-such-jar:1',\n"
        "                   'spark.jars.repositories': 'file:///nowhere'})\n"
        "except EngineError as error:\n"
        "    print(error)\n"
    )
    assert "com.acme#no-such-jar;1: a jar of spark.jars.packages could not be res" in failed.stdout
    assert "hint: " in failed.stdout
    assert failed.stderr == ""


def test_under_spark_submit_the_files_settings_hold(tmp_path: Path) -> None:
    import pyspark

    script = tmp_path / "job.py"
    script.write_text(
        "from privpipe.spark._session import build_session\n"
        "from privpipe.spark._findings import session_findings\n"
        "spark = build_session({})\n"
        "print([f.what for f in session_findings(spark) if f.severity != 'ok'])\n"
        "print(spark.conf.get('spark.master'), spark.conf.get('spark.sql.shuffle.partitions'))\n",
        encoding="utf-8",
    )
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    command = ["--properties-file", str(CONF / "local.conf"), "--master", "local[1]"]
    done = subprocess.run(
        [str(submit), *command, str(script)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == "[]\nlocal[1] 8\n", done.stderr[-2000:]
    bare = subprocess.run(
        [str(submit), "--master", "local[1]", str(script)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert bare.returncode == 1
    assert "this Spark has no Delta Lake" in bare.stdout  # spark-submit joins the two


def test_a_cluster_runs_a_delta_job(cluster: Cluster) -> None:
    code, out, err = cluster.run(
        "import sys\n"
        "from pyspark.sql.functions import arrow_udf\n"
        "from privpipe.spark._findings import session_findings\n"
        "spark = build_session(settings)\n"
        "@arrow_udf('string')\n"
        "def who(ids):\n"
        "    import os, pyarrow as pa, privpipe.errors\n"
        "    return pa.array([str(os.getppid())] * len(ids))\n"
        "made = spark.range(0, 100, 1, 4).select(who('id').alias('worker'))\n"
        "made.write.format('delta').save(sys.argv[1])\n"
        "table = spark.read.format('delta').load(sys.argv[1])\n"
        "print(table.count(), table.distinct().count())\n"
        "print([f for f in session_findings(spark) if f.severity != 'ok'])\n",
        str(cluster.folder / "table"),
    )
    assert (code, err) == (0, "")
    assert out == "100 2\n[]\n"
