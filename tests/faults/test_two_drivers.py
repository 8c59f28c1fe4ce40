"""Two drivers at once, on one catalog and on one table: both end in a right state."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pyspark.sql import SparkSession

from privpipe.errors import TargetError, TryAgain
from privpipe.spark import Home
from tests.conftest import PROJECT
from tests.faults._project import everyone, home_in, is_settled, make_project, opened, write_policy

Answers: TypeAlias = list[dict[str, Any]]
# Tells both drivers to protect; what is common to both, then what differs.
Together: TypeAlias = Callable[..., Answers]

NAMES = ("left", "right")
PEOPLE = {"left": range(40), "right": range(40, 100)}


class Driver:
    """A process with a session of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._errors = (folder / f"{name}.txt").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults._driver", str(folder / name)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def tell(self, asked: dict[str, Any]) -> None:
        """Has it begin; `answer` waits for the end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What the run came to: its state, or the code of its error."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, Path(self._errors.name).read_text()[-3000:]
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        """Ends it as a driver ends whose work is done."""
        self._process.communicate(timeout=120)
        self._errors.close()


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Driver]]:
    folder = tmp_path_factory.mktemp("drivers")
    started = {name: Driver(folder, name) for name in NAMES}
    yield started
    for driver in started.values():
        driver.end()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return home_in(make_project(tmp_path_factory.mktemp("two") / "project"), spark)


@pytest.fixture
def together(drivers: dict[str, Driver], tmp_path_factory: pytest.TempPathFactory) -> Together:
    def ask(folder: Path, *, meet: str, **common: Any) -> Answers:
        place = tmp_path_factory.mktemp("place") / meet
        for name, driver in drivers.items():
            asked = {
                "folder": str(folder),
                "place": str(place),
                "name": name,
                "meet": meet,
                "mode": "error",
                "policy": "people.yaml",
                "people": [PEOPLE[name].start, PEOPLE[name].stop],
                "run_id": name,
            } | {key: value.format(name=name) for key, value in common.items()}
            driver.tell(asked)
        answers = [driver.answer() for driver in drivers.values()]
        assert place.exists(), answers
        assert len(list(place.iterdir())) == 2, answers
        return answers

    return ask


def folder_of(home: Home) -> Path:
    return home.project.path.parent


def test_two_tables_of_one_domain_get_one_keyset(
    together: Together, spark: SparkSession, tmp_path: Path
) -> None:
    """On a catalog that is not there yet, so that they race to make its tables as well."""
    folder = make_project(tmp_path / "project")
    for name in NAMES:
        write_policy(folder, name)
    answers = together(
        folder, meet="keysets", policy="{name}.yaml", target="warehouse/{name}", run_id="{name}"
    )
    assert [answer.get("state") for answer in answers] == ["COMMITTED"] * 2, answers
    home = home_in(folder, spark)
    assert sorted((each.scope, each.primitive) for each in home.catalog.keysets()) == [
        ("domain:ssn", "AES256_SIV"),
        ("table:clinic.left", "AES256_GCM"),
        ("table:clinic.right", "AES256_GCM"),
    ]
    for name in NAMES:
        target = folder / "warehouse" / name
        is_settled(home, target, [name])
        assert opened(home, target) == everyone(PEOPLE[name])


def test_two_appends_to_a_new_table_and_to_one_that_is_there(
    together: Together, home: Home
) -> None:
    target = folder_of(home) / "warehouse" / "appended"
    asked = {"mode": "append", "target": "warehouse/appended"}
    answers = together(folder_of(home), meet="tasks", run_id="new-{name}", **asked)
    assert [answer.get("state") for answer in answers] == ["COMMITTED"] * 2, answers
    is_settled(home, target, ["new-left", "new-right"], spare_files=True)
    assert opened(home, target) == everyone(range(100))

    answers = together(folder_of(home), meet="tasks", run_id="more-{name}", **asked)
    assert [answer.get("state") for answer in answers] == ["COMMITTED"] * 2, answers
    runs = [f"{turn}-{name}" for turn in ("new", "more") for name in NAMES]
    is_settled(home, target, runs, spare_files=True)
    assert opened(home, target) == everyone(range(100), 2)


def test_of_two_that_make_one_table_one_is_refused(together: Together, home: Home) -> None:
    target = folder_of(home) / "warehouse" / "made"
    answers = together(folder_of(home), meet="tasks", target="warehouse/made", run_id="made-{name}")
    done = [name for name, each in zip(NAMES, answers, strict=True) if "state" in each]
    assert len(done) == 1, answers
    refused = next(each for each in answers if "code" in each)
    assert refused["code"] in (TargetError.code, TryAgain.code), refused
    assert opened(home, target) == everyone(PEOPLE[done[0]])
    states = {run.run_id: run.state for run in home.catalog.runs()}
    other = next(name for name in NAMES if name not in done)
    assert states[f"made-{done[0]}"] == "COMMITTED"
    assert states[f"made-{other}"] == "FAILED"
    assert home.verify(target).ok


def test_of_two_that_overwrite_one_table_the_last_one_stands(
    together: Together, home: Home
) -> None:
    target = folder_of(home) / "warehouse" / "over"
    for turn in ("new", "there"):
        asked = {"mode": "overwrite", "target": "warehouse/over", "run_id": f"over-{turn}-{{name}}"}
        answers = together(folder_of(home), meet="tasks", **asked)
        done = [name for name, each in zip(NAMES, answers, strict=True) if "state" in each]
        assert done, answers
        assert all(each.get("code", TryAgain.code) == TryAgain.code for each in answers), answers
        last = max(done, key=lambda name: answers[NAMES.index(name)]["version"])
        assert opened(home, target) == everyone(PEOPLE[last])
        assert home.verify(target).ok


def test_one_run_id_twice_at_once_is_done_once(together: Together, home: Home) -> None:
    target = folder_of(home) / "warehouse" / "once"
    answers = together(
        folder_of(home), meet="begin", mode="append", target="warehouse/once", run_id="once"
    )
    done = [name for name, each in zip(NAMES, answers, strict=True) if "state" in each]
    assert len(done) == 1, answers
    assert next(each["code"] for each in answers if "code" in each) == TryAgain.code
    is_settled(home, target, ["once"])
    assert opened(home, target) == everyone(PEOPLE[done[0]])
    again = home.protect(
        folder_of(home) / "people.yaml",
        home.spark.sql("select '0' as id, 'name 0' as name, '000000000' as ssn"),
        target,
        "append",
        run_id="once",
    )
    assert again.replayed
