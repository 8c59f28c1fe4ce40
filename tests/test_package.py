"""What is shipped: the wheel holds the package, its worked policies and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=PROJECT,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_what_a_user_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "conf").rglob("*.*")}
    assert {"privpipe/__init__.py", "privpipe/py.typed"} <= names
    assert {f"privpipe/_{name}" for name in shipped if "__pycache__" not in name} <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"privpipe"}


def test_the_version_is_the_changelogs() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    released = r"^## (?!Unreleased)(\S+)"
    newest = re.search(released, (PROJECT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == project["version"]


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
    lock = (PROJECT / "constraints.txt").read_text("utf-8").splitlines()
    locked = {line.partition("==")[0].lower().replace("_", "-") for line in lock if "==" in line}
    assert {re.split(r"[<>=]", name)[0].lower() for name in wanted} <= locked
    assert not [line for line in lock if "@" in line or ":/" in line]
