"""`privpipe advise`."""

from __future__ import annotations

from pathlib import Path

import pytest

from privpipe.cli import main
from tests.cli._project import PEOPLE, Shell, write_people


def test_it_needs_no_project(shell: Shell, tmp_path: Path) -> None:
    write_people(tmp_path / "people.csv")
    source = ("--source", "people.csv")
    done = shell("advise", *source, "--json", cwd=tmp_path)
    assert done.code == 0, done
    columns = {column["column"]: column for column in done.document["columns"]}
    assert list(columns) == list(PEOPLE[0])
    assert columns["born"]["looks"] == "date"
    for column in columns.values():
        assert 1 <= len(column["advice"]) <= 3
        assert column["advice"][0]["line"] == f"{column['column']}: encrypt"
    assert not (tmp_path / "privpipe.yaml").exists()

    asked = ("--column", "ssn", "--needs", "join,reveal,sort")
    told = shell("advise", *source, *asked, cwd=tmp_path)
    assert told.code == 0, told
    first = told.out.splitlines()[1]
    assert first.startswith("ssn: {protect: encrypt_deterministic, domain: ssn}")
    assert "does not serve sort" in first
    assert "warning: ssn: nothing serves sort: ciphertext has no order" in told.err
    for person in PEOPLE:
        for value in (person["surname"], person["ssn"], person["born"]):
            assert not value or value not in done.out + done.err + told.out + told.err

    none = shell("advise", *source, "--column", "nowhere", "--json", cwd=tmp_path)
    assert (none.code, none.error["code"]) == (2, "PP-USE-01")


def test_an_unknown_need_is_refused_before_spark_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["advise", "--source", "people.csv", "--needs", "join,srt"]) == 2
    err = capsys.readouterr().err
    assert 'unknown need "srt"; nearest: "sort"' in err
    assert "allowed: join, sort, last4" in err
