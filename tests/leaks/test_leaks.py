"""Nothing that a run leaves behind holds a key or a value; and the search would find one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from privpipe.testing import Leak
from tests.leaks import _others as others
from tests.leaks._scene import BIRDS, build, leaks, run

HERE = Path(__file__).resolve().parent

# Step -> the code it fails with; None where the wrong type happens to hold every value.
REFUSED: dict[str, str | None] = {
    "pickle the keyset": "PP-KEY-05",
    "tampered": "PP-DEC-01",
    "wrong KEK": "PP-KEY-02",
    "wrong KEK, protect": "PP-KEY-02",
    "pin as int": "PP-DAT-08",
    "pin as date": "PP-DAT-08",
    "pin as decimal(3,2)": "PP-DAT-08",
    "name as bigint": "PP-DAT-08",
    "name as boolean": "PP-DAT-08",
    "number as date": "PP-DAT-08",
    "number as string": None,
    "torn.csv": "PP-DAT-02",
    "torn.csv, read": "PP-DAT-02",
    "unfit.csv": "PP-DAT-08",
    "unfit.csv, read": "PP-DAT-08",
    "torn.json": "PP-DAT-02",
    "torn.json, read": "PP-DAT-02",
    "no token": "PP-DAT-09",
    "sealed": "PP-KEY-03",
    "one way": "PP-DAT-07",
    "moved": "PP-DEC-01",
    "as text": "PP-POL-01",
}
COMMANDS = {"plan": 0, "protect": 3, "reveal": 3, "keys": 0, "catalog": 0}


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that was left by a driver that protected, revealed and failed."""
    folder = tmp_path_factory.mktemp("leaks")
    build(folder, io_encryption=True)
    code = run(folder, str(HERE / "_driver.py"), to="driver")
    assert code == 0, (folder / "out" / "driver.stderr").read_text()[-4000:]
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], set[tuple[str, str]]]:
    """Canary and form of each leak in the files of this name that a leaking driver left."""
    folder = tmp_path_factory.mktemp("planted")
    build(folder, io_encryption=False)
    code = run(folder, str(HERE / "_planted.py"), to="driver")
    assert code == 0, (folder / "out" / "driver.stderr").read_text()[-4000:]
    found = leaks(folder)

    def inside(place: str, name: str = "") -> set[tuple[str, str]]:
        return {(leak.canary, leak.form) for leak in found if _is_in(leak, folder / place, name)}

    return inside


def _is_in(leak: Leak, place: Path, name: str) -> bool:
    return leak.where.startswith(f"{place}/") and name in leak.where.removeprefix(str(place))


def test_no_trace_holds_a_key_or_a_value(traces: Path) -> None:
    assert leaks(traces) == ()


def test_every_kind_of_trace_was_there(traces: Path) -> None:
    names = {path.name for path in (traces / "kept").iterdir()}
    assert any(name.startswith("shuffle_") for name in names)
    assert any(name.startswith("temp_local_") for name in names)  # spill
    log = (traces / "logs" / "spark.log").read_text(errors="replace")
    for words in (" DEBUG ", "PythonException", "TaskSetManager"):
        assert words in log
    assert "a user's" in (traces / "logs" / "python.log").read_text()
    assert any(path.stat().st_size > 100_000 for path in (traces / "events").rglob("*"))
    for name in ("plan", "refs", "facts", "closures", "other_closures"):
        assert (traces / "out" / f"{name}.pickle").stat().st_size > 500
    assert "keysetInfo" in (traces / "out" / "backup.json").read_text()
    for table in ("warehouse/people", "warehouse/catalog/keysets", "warehouse/catalog/columns"):
        assert list((traces / table / "_delta_log").glob("*.json"))


def test_each_step_failed_as_it_should(traces: Path) -> None:
    told = (traces / "out" / "driver.stdout").read_text()
    for step, code in REFUSED.items():
        said = told.partition(f"== {step}\n")[2].partition("\n== ")[0]
        assert said, step
        assert (code or "no error") in said, step
    assert "Arrow" in told  # the plans
    ended = dict(re.findall(r"^== privpipe (\w+) .*: (\d+)$", told, re.MULTILINE))
    assert {name: int(code) for name, code in ended.items()} == COMMANDS


def test_source_and_secrets_hold_what_is_searched_for(traces: Path) -> None:
    """What was found nowhere else can be found."""
    found = BIRDS.in_paths(traces / "source", traces / "secrets")
    keysets = {"the table's random key", "the table's equal key", "the domain's key"}
    keysets |= {*others.KEYS} - {"the private key", "the imported key"}
    # A source keeps a date as the number of its days.
    unseen = {*keysets, "a number, big-endian", "a pin read as a number", "born's value"}
    assert {leak.canary for leak in found} == ({*BIRDS.values} | {*BIRDS.keys}) - unseen
    revealed = {leak.canary for leak in BIRDS.in_paths(traces / "revealed")}
    assert {"name", "a map's value", "a number, little-endian"} <= revealed


def test_a_literal_is_found_in_the_event_log(
    planted: Callable[[str, str], set[tuple[str, str]]],
) -> None:
    assert ("name", "raw") in planted("events", "")


def test_a_key_is_found_in_a_log(planted: Callable[[str, str], set[tuple[str, str]]]) -> None:
    assert ("the KEK", "hex") in planted("logs", "spark.log")
    assert ("the table's random key", "base64") in planted("logs", "python.log")


def test_a_key_is_found_in_a_closure(planted: Callable[[str, str], set[tuple[str, str]]]) -> None:
    assert ("the table's random key", "raw") in planted("out", "closure.pickle")


def test_statistics_are_found(planted: Callable[[str, str], set[tuple[str, str]]]) -> None:
    assert {("ssn", "raw"), ("mail", "raw")} <= planted("warehouse/clear/_delta_log", ".json")


def test_a_value_in_an_error_is_found(
    planted: Callable[[str, str], set[tuple[str, str]]],
) -> None:
    for place in ("events", "logs", "out"):
        assert ("a dropped column", "raw") in planted(place, "")


def test_known_limits_are_as_they_are_told(
    planted: Callable[[str, str], set[tuple[str, str]]],
) -> None:
    """docs/known-limits.md: should Spark or Delta close one of these, the page can say so."""
    # Without io encryption, shuffle and spill files lie in clear.
    for kind in ("/shuffle_", "/temp_local_"):
        assert "ssn" in {canary for canary, _ in planted("kept", kind)}
    # In a session that somebody brings, Delta prints a small table's statistics at INFO.
    assert {("ssn", "raw"), ("mail", "raw")} <= planted("logs", "spark.log")
