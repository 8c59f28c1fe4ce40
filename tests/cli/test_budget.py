"""`budget`: opened exactly and for good, drawn with what each release cost, given back in time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from privpipe.catalog import Catalog, memory_catalog
from privpipe.catalog.ledger import attempts, open_budget, publish, reserve, start_draw
from privpipe.cli import main
from privpipe.dp import Budget
from tests.catalog._budgets import laplace, wanted
from tests.cli._project import Project, Shell, hasten
from tests.cli.test_startup import loaded

TENTH = {"charge": Budget.of_epsilon("0.1"), "mechanisms": (laplace(10),)}


def test_a_new_user(shell: Shell, tmp_path: Path) -> None:
    """With the mistakes that one makes."""
    mine = Project(folder=tmp_path, shell=shell)
    assert mine.run("init", ".").code == 0
    hasten(tmp_path)
    assert "no budget was opened yet: privpipe budget open" in mine.run("budget", "show").out
    assert mine.json("budget", "show") == {"budgets": []}
    for argv, code, told in (
        (["clinic"], "PP-USE-01", "an epsilon or a rho"),
        (["clinic", "--epsilon", "1", "--rho", "1"], "PP-USE-01", "an epsilon or a rho"),
        (["clinic", "--epsilon", "much"], "PP-USE-01", "is no number"),
        (["clinic", "--epsilon=-1"], "PP-USE-01", "negative"),
        (["clinic", "--epsilon", "nan"], "PP-USE-01", "is no number"),
        (["clinic", "--epsilon", "1", "--delta", "1"], "PP-USE-01", "outside [0, 1)"),
        (["a/b", "--epsilon", "1"], "PP-USE-01", "letters, digits"),
        (["clinic", "--epsilon", "0"], "PP-BUD-00", "admits nothing"),
    ):
        done = mine.run("budget", "open", *argv, "--json")
        assert (done.error["code"], done.code) == (code, 2 if code == "PP-USE-01" else 3)
        assert told in done.error["message"]
    assert not (tmp_path / "warehouse").exists(), "nothing was begun for them"

    first = mine.json("budget", "open", "clinic", "--epsilon", "0.3", "--note", "visits")
    assert (first["opened"], first["total"]) == (True, {"epsilon": "3/10", "delta": "0"})
    again = mine.json("budget", "open", "clinic", "--epsilon", "3/10")
    assert again == {**first, "opened": False}
    done = mine.run("budget", "open", "clinic", "--epsilon", "0.4")
    assert done.code == 3
    assert "[PP-BUD-03] budget clinic: it was opened with epsilon 0.3" in done.err
    done = mine.run("budget", "open", "huge", "--epsilon", "20", "--delta", "0.001")
    assert done.err.count("warning") == 2

    done = mine.run("budget", "show", "clinik")
    assert (done.code, "there are: clinic, huge" in done.err) == (3, True)
    assert mine.run("budget", "cancel", "nightly").code == 3
    [shown] = mine.json("budget", "show", "clinic")["budgets"]
    assert (shown["left"], shown["note"]) == (first["total"], "visits")
    modules = loaded("budget", "show", "--config", str(tmp_path / "privpipe.yaml"))
    assert not modules & {"pyspark", "py4j", "delta"}, "to look takes no Spark"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Catalog:
    """A catalog that the commands take for the project's: a spent one, and a fresh one."""
    made = memory_catalog()
    open_budget(made, "clinic", Budget.of_epsilon("1.5", delta="1e-9"), note="visits")
    open_budget(made, "rhos", Budget.of_rho("0.5"))
    uid = reserve(made, wanted("nightly")).release.uid
    start_draw(made, uid)
    publish(made, uid, 4)
    reserve(made, wanted("second", **TENTH))

    @contextmanager
    def catalog_of(*_: object) -> Iterator[Catalog]:
        yield made

    @contextmanager
    def home_of(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(catalog=made)

    monkeypatch.setattr("privpipe.cli._budget.load", lambda _: None)
    monkeypatch.setattr("privpipe.cli._budget.catalog_of", catalog_of)
    monkeypatch.setattr("privpipe.cli._budget.home_of", home_of)
    return made


def test_what_is_left_is_drawn(store: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budget", "show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("budget clinic (visits): epsilon 0.4, delta 1e-09 left of epsilon 1")
    assert lines[1] == f"epsilon [{'#' * 10}{'.' * 30}] 26.7% left"
    assert lines[2] == f"  delta [{'#' * 40}] 100.0% left"
    assert lines[3].startswith("by loss distributions, to inform: epsilon ")
    heads = ["run", "state", "epsilon", "delta", "of", "all", "reads", "writes", "when"]
    assert lines[4].split() == heads
    assert lines[5].split()[:7] == [
        *("nightly", "published", "1", "0", "66.7%", "./visits@3", "./features@4"),
    ]
    assert lines[6].split()[:7] == [
        *("second", "reserved", "0.1", "0", "6.7%", "./visits@3", "./features"),
    ]
    assert lines[7:] == ["", "budget rhos: rho 0.5 left of rho 0.5", lines[-1]]
    assert lines[-1] == f"    rho [{'#' * 40}] 100.0% left"


def test_the_document_is_exact(store: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budget", "show", "clinic", "--json"]) == 0
    [shown] = json.loads(capsys.readouterr().out)["budgets"]
    assert shown["spent"] == {"epsilon": "11/10", "delta": "0"}
    assert shown["left"] == {"epsilon": "2/5", "delta": "1/1000000000"}
    first, second = shown["releases"]
    assert (first["sources"], first["lineage"]) == ({"./visits": 3}, ["./visits"])
    assert (first["target_version"], first["charge"]) == (4, {"epsilon": "1", "delta": "0"})
    [mechanism] = second["mechanisms"]
    assert (mechanism["noise"], mechanism["scale"], mechanism["count"]) == ("laplace", "10", 1)


def test_a_bar_is_full_or_empty_only_where_that_is_so(
    store: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, cost in (("much", 999), ("little", 1)):
        open_budget(store, name, Budget.of_epsilon(1000))
        charge = Budget.of_epsilon(cost)
        source = {f"./{name}": None}
        reserve(store, wanted(name, budget=name, charge=charge, sources=source))
        assert main(["budget", "show", name]) == 0
        marks = capsys.readouterr().out.splitlines()[1].count("#")
        assert marks == (1 if name == "much" else 39)


def test_a_reservation_is_given_back(store: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budget", "cancel", "second", "--note", "mistyped"]) == 0
    assert "run second: epsilon 0.1 is back in budget clinic" in capsys.readouterr().out
    assert attempts(store, "second")[0].state == "cancelled"
    assert store.budget_events()[-1].note == "mistyped"
    assert main(["budget", "cancel", "second"]) == 0
    assert main(["budget", "show", "clinic"]) == 0
    assert "nothing" in capsys.readouterr().out.splitlines()[-1]

    assert main(["budget", "cancel", "nightly"]) == 3
    assert "[PP-BUD-04]" in capsys.readouterr().err
    assert attempts(store, "nightly")[0].state == "published"
    assert main(["budget", "cancel", "nobody"]) == 3
    assert "no budget knows this run" in capsys.readouterr().err
