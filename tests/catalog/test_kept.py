"""Rows that stay in memory: read once a commit, and never older than what the folder holds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake

from privpipe.catalog import _deltars, _deltars_kept, open_folder
from privpipe.catalog._deltars_write import _source
from privpipe.catalog._tables import TABLES
from tests.catalog._facts import run


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables that were read from their files, one after another."""
    monkeypatch.setattr(_deltars_kept, "_kept", type(_deltars_kept._kept)())
    read, found = _deltars._with_integer_times, list[str]()

    def told(data: Any, name: str) -> Any:
        found.append(name)
        return read(data, name)

    monkeypatch.setattr(_deltars, "_with_integer_times", told)
    return found


def add(folder: Path, *names: str) -> None:
    """As any other process does."""
    rows = _source(TABLES["runs"], [run(name) for name in names])
    write_deltalake(str(folder / "runs"), rows, mode="append")


def names(folder: Path) -> set[str]:
    return {each.run_id for each in open_folder(folder).runs()}


def test_a_table_is_read_once_a_commit(loads: list[str], tmp_path: Path) -> None:
    assert names(tmp_path) == set()
    add(tmp_path, "a")
    for _ in range(3):
        assert names(tmp_path) == {"a"}
        open_folder(tmp_path).runs()
    assert len(loads) == 1
    add(tmp_path, "b")
    assert names(tmp_path) == names(tmp_path) == {"a", "b"}
    assert len(loads) == 2


def test_a_folder_that_was_put_back_is_read_anew(loads: list[str], tmp_path: Path) -> None:
    folder, copy = tmp_path / "catalog", tmp_path / "copy"
    add(folder, "a")
    assert names(folder) == {"a"}
    shutil.copytree(folder, copy)
    add(folder, "b")
    assert names(folder) == {"a", "b"}

    shutil.rmtree(folder)
    assert names(folder) == set()
    shutil.copytree(copy, folder)
    assert names(folder) == {"a"}, "an earlier version of the same table"

    add(folder, "b")
    assert names(folder) == {"a", "b"}
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    add(folder, "c")
    assert names(folder) == {"a", "c"}, "another commit of the same number"
    assert len(loads) == 5


def test_what_is_much_is_not_kept(
    loads: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_deltars_kept, "_MOST_ROWS", 1)
    monkeypatch.setattr(_deltars_kept, "_MOST_TABLES", 2)
    add(tmp_path / "many", "a", "b")
    assert names(tmp_path / "many") == names(tmp_path / "many") == {"a", "b"}
    assert len(loads) == 2
    for folder in ("one", "two", "three"):
        add(tmp_path / folder, folder)
        assert names(tmp_path / folder) == {folder}
    assert len(_deltars_kept._kept) == 2
