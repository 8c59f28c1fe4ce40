"""`vault`: the list, subjects and expired entries that leave, and what the disk then holds."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from privpipe.cli import main
from tests.cli._project import PEOPLE, Project, Shell, hasten, write_people

POLICY = """\
version: 1
table: clinic.patients
schema: id int, surname string, zip string, ssn string, born string
columns:
  id: {protect: vault, vault: ids, format: "digits:9"}
  surname: {protect: vault, vault: people, expires: 1}
  zip: {protect: vault, vault: people, expires: 1}
  ssn: keep
  born: drop
"""
ODD = """\
version: 1
table: clinic.odd
columns: {text: {protect: vault, vault: odd}}
"""
PROTECT = ("protect", "people.yaml", "--source", "people.csv", "--target", "warehouse/people")
REVEAL = ("reveal", "warehouse/people", "--columns", "id,surname,zip", "--purpose", "test")


def test_subjects_leave_the_vault(shell: Shell, tmp_path: Path) -> None:
    mine = Project(folder=tmp_path, shell=shell)
    write_people(tmp_path / "people.csv")
    assert mine.run("init", ".").code == 0
    hasten(tmp_path)
    assert mine.json("vault", "list") == {"vaults": []}
    (tmp_path / "people.yaml").write_text(POLICY)
    done = mine.run(*PROTECT)
    assert done.code == 0, done
    told = mine.json("vault", "list")["vaults"]
    assert [(each["name"], each["format"], each["entries"]) for each in told] == [
        ("ids", "digits:9", 5),
        ("people", "uuid", 8),
    ]
    assert told[0]["fill"] == 5 / 500_000_000
    everyone = mine.json(*REVEAL)["rows"]
    assert {row["id"]: row["surname"] for row in everyone} == {
        int(row["id"]): row["surname"] or None for row in PEOPLE
    }

    # What is off is told, with no value in what is said.
    bad = tmp_path / "bad.txt"
    bad.write_text("1\nNeumann\n")
    for argv, code in (
        (("vault", "forget", "../keysets", "--values", "bad.txt"), "PP-DAT-04"),
        (("vault", "forget", "ids", "--values", "bad.txt"), "PP-DAT-09"),
        (("vault", "purge", "nobody"), "PP-DAT-04"),
    ):
        done = mine.run(*argv, "--json")
        assert done.error["code"] == code, done
        assert "Neumann" not in done.out + done.err

    subjects = tmp_path / "subjects.txt"
    subjects.write_bytes("\ufeffNeumann\r\nnobody\nGrößmüller\nNeumann\n\n".encode())
    done = mine.run("vault", "forget", "people", "--values", "subjects.txt")
    assert done.code == 0, done
    assert done.out.startswith("3 value(s) given, 2 of them had an entry in vault people")
    assert "privpipe vault purge people" in done.err
    subjects.write_text("3\n")
    assert mine.json("vault", "forget", "ids", "--values", subjects)["forgotten"] == 1
    assert mine.run(*REVEAL, "--json").error["code"] == "PP-DEC-01"
    odd = "\ufeffline\r\nbreak"
    (tmp_path / "odd.json").write_text("".join(f"{json.dumps({'text': t})}\n" for t in ("", odd)))
    (tmp_path / "odd.yaml").write_text(ODD)
    done = mine.run("protect", "odd.yaml", "--source", "odd.json", "--target", "warehouse/odd")
    assert done.code == 0, done
    subjects.write_bytes(f"nobody\0\0{odd}\0\0".encode())
    told = mine.json("vault", "forget", "odd", "--values", subjects, "--null")
    assert (told["values"], told["forgotten"]) == (3, 2)
    left = mine.json(*REVEAL, "--on-error", "null")["rows"]
    for row, before in zip(left, everyone, strict=True):
        assert row["surname"] == (None if before["id"] in (1, 4) else before["surname"])
        assert row["id"] == (None if before["id"] == 3 else before["id"])
        assert row["zip"] == before["zip"]
    counts = {each["name"]: each["entries"] for each in mine.json("vault", "list")["vaults"]}
    assert counts == {"ids": 4, "odd": 0, "people": 6}

    vault = tmp_path / "warehouse/catalog/vaults/people"
    assert mine.json("vault", "expire", "people") == {"vault": "people", "expired": 0}
    assert mine.json("vault", "purge", "people")["files"] == 0
    assert rows_on_disk(vault) > 6 + 1
    assert mine.json("vault", "purge", "people", "--retain-hours", 0)["files"] > 0
    assert rows_on_disk(vault) == 6 + 1, "the reservation, and who was not forgotten"


def rows_on_disk(vault: Path) -> int:
    """The rows of all files of the vault, old ones too."""
    return sum(pq.read_metadata(file).num_rows for file in vault.rglob("*.parquet"))


def test_values_come_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read before a session is started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n\r\n")
    (tmp_path / "nothing.txt").touch()
    (tmp_path / "latin.txt").write_bytes("Größmüller".encode("latin-1"))
    for argv, said in (
        (["--values", "none.txt"], "cannot be read: no such file"),
        (["--values", "."], "cannot be read: is a directory"),
        (["--values", "empty.txt"], "no value is named"),
        (["--values", "nothing.txt", "-0"], "an empty value is a zero byte alone"),
        ([], "missing option '--values'"),
    ):
        assert main(["vault", "forget", "people", *argv]) == 2
        assert said in capsys.readouterr().err
    assert main(["vault", "forget", "people", "--values", "latin.txt"]) == 3
    assert "Gr" not in capsys.readouterr().err
