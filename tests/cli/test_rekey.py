"""`keys rotate` and `rekey`: a fresh key, the table under it, and a backup that knows both."""

from __future__ import annotations

from pathlib import Path

from tests.cli._project import POLICY, Project, Shell, hasten, write_people

PROTECT = ("protect", "people.yaml", "--source", "people.csv", "--target", "warehouse/people")
REVEAL = ("reveal", "warehouse/people", "--columns", "ssn,surname", "--purpose", "test")


def test_from_a_fresh_key_to_a_table_under_it(shell: Shell, tmp_path: Path) -> None:
    mine = Project(folder=tmp_path, shell=shell)
    write_people(tmp_path / "people.csv")
    assert mine.run("init", ".").code == 0
    hasten(tmp_path)
    (tmp_path / "people.yaml").write_text(POLICY)
    assert mine.run(*PROTECT).code == 0
    assert mine.run("keys", "backup", "first.json").code == 0
    rows = mine.json(*REVEAL)["rows"]
    assert "is under its active key" in mine.run("rekey", "warehouse/people").out

    done = mine.run("keys", "rotate", "domain:ssn", "--primitive", "AES256_SIV")
    assert done.code == 0, done
    assert "ssn stays under an earlier key until: privpipe rekey ./warehouse/people" in done.out
    assert "keys backup FILE" in done.err
    assert mine.run("keys", "rotate", "domain:none", "--json").error["code"] == "PP-KEY-03"
    error = mine.run("keys", "rotate", "domain:ssn", "--json").error
    assert error["hint"] == "of this scope it has: AES256_SIV; say which by --primitive"
    assert mine.run("keys", "rotate", "domain:ssn", "--primitive", "AES").code == 2
    saved = {(key["scope"], key["backup"]) for key in mine.json("keys", "list")["keysets"]}
    assert saved == {("domain:ssn", False), ("table:clinic.patients", True)}
    assert mine.run(*PROTECT, "--mode", "append", "--json").error["code"] == "PP-DAT-06"
    assert mine.json(*REVEAL)["rows"] == rows

    done = mine.run("rekey", "warehouse/people", "--run-id", "again")
    assert done.code == 0, done
    assert "5 row(s) of clinic.patients rekeyed in ./warehouse/people, version 1" in done.out
    assert not mine.json("rekey", "warehouse/people", "--run-id", "again")["rekeyed"]
    assert mine.json(*REVEAL)["rows"] == rows
    assert mine.run(*PROTECT, "--mode", "append").code == 0

    # An earlier backup lacks the fresh key, and takes nothing away.
    assert mine.json("keys", "restore", "first.json") == {"restored": [], "there": 2}
    assert mine.json("keys", "backup", "second.json")["keysets"] == 2
    (tmp_path / "warehouse/catalog/keysets").rename(tmp_path / "lost")
    assert len(mine.json("keys", "restore", "first.json")["restored"]) == 2
    assert mine.run(*REVEAL, "--json").code == 3
    assert len(mine.json("keys", "restore", "second.json")["restored"]) == 1
    opened = [(row["id"], row["ssn"], row["surname"]) for row in mine.json(*REVEAL)["rows"]]
    assert opened == 2 * [(row["id"], row["ssn"], row["surname"]) for row in rows]
