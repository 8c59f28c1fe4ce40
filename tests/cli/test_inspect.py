"""`privpipe inspect` and `privpipe open-k2`: what others wrote, told and opened."""

from __future__ import annotations

import base64
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.fernet import Fernet

from tests.cli._project import Project, Shell
from tests.spark._foreign import KEY_A, KEY_B, k2, secret, vault

CANARY = "Neumann-1915"


def test_a_protected_table_with_its_keysets_and_no_key(project: Project) -> None:
    kek = project.folder / "secrets" / "kek.json"
    kek.rename(kek.with_suffix(".away"))
    try:
        document = project.json("inspect", "warehouse/people")
        done = project.run("inspect", "warehouse/people", "--sample", "2")
    finally:
        kek.with_suffix(".away").rename(kek)
    seen = {row["column"]: row["seems"] for row in document["columns"]}
    assert list(seen) == ["id", "surname", "zip", "ssn", "born"]
    assert [each["kind"] for each in seen["zip"]] == ["plain"]
    for column, scope in (("surname", "table:clinic.patients"), ("ssn", "domain:ssn")):
        [found] = seen[column]
        assert found["kind"] == "tink"
        assert [key["keysets"] for key in found["key_ids"]] == [[scope]]
    assert sum(each["count"] for each in seen["id"]) == 5
    line = next(line for line in done.out.splitlines() if line.startswith("ssn"))
    assert line.split()[:2] == ["ssn", "binary"]
    assert "(domain:ssn)" in line
    assert "Neumann" not in done.out + done.err


def make_source(path: Path) -> None:
    """A table with a value of every kind in it, and a plain one that must not be told."""
    fernet = Fernet(Fernet.generate_key()).encrypt(b"x").decode()
    tink = base64.b64encode(b"\x01\x00\x00\x00\x09" + bytes(28)).decode()
    texts = [CANARY, fernet, tink, vault("x", bytes(32), 3), "PHONE(8):AVQxAAAA", None]
    strange = [bytes([1, 0, 0, at]) + bytes([at]) * 40 for at in range(6)]
    theirs = [b"\x01\x00\x00\x00\x09" + bytes([at]) * 28 for at in range(6)]
    notes = [[{"note": k2("string", CANARY)}, {"note": None}]] * 5
    notes += [[{"note": k2("string", "y", name="keyB", keyset=KEY_B)}]]
    table = pa.table(
        {
            "id": range(6),
            "text": texts,
            "strange": pa.array(strange),
            "theirs": pa.array(theirs),
            "none": pa.nulls(6, pa.string()),
            "visits": notes,
        }
    )
    pq.write_table(table, path)


def test_what_others_wrote_is_told_and_opened(shell: Shell, tmp_path: Path) -> None:
    make_source(tmp_path / "theirs.parquet")
    mine = Project(folder=tmp_path, shell=shell)
    rows = {row["column"]: row for row in mine.json("inspect", "theirs.parquet")["columns"]}
    assert list(rows) == ["text", "strange", "theirs", "none", "visits[].note"]
    assert {each["kind"]: each["count"] for each in rows["text"]["seems"]} == dict.fromkeys(
        ("plain", "fernet", "tink base64", "vault transit", "dlp surrogate"), 1
    )
    found = next(each for each in rows["text"]["seems"] if each["kind"] == "tink base64")
    assert found["key_ids"] == []  # the id of one value might be its text
    assert rows["strange"]["seems"][0]["doubtful"] is True
    assert rows["strange"]["seems"][0]["key_ids"] == []
    assert rows["theirs"]["seems"][0]["key_ids"] == [{"key_id": 9, "keysets": []}]
    assert rows["none"]["seems"] == []
    [k2_fields] = rows["visits[].note"]["seems"]
    assert (k2_fields["count"], k2_fields["key_names"]) == (6, ["keyA", "keyB"])
    done = mine.run("inspect", "theirs.parquet")
    assert done.code == 0, done
    assert "keyA, keyB" in done.out
    assert "nothing but nulls" in done.out
    assert CANARY not in done.out + done.err

    keys = ("--keys", "keyA=" + secret(tmp_path / "a.json", KEY_A))
    argv = ("open-k2", "--source", "theirs.parquet", "--target", "clear.parquet")
    columns = ("--columns", "visits[].note")
    failed = mine.run(*argv, *columns, "--keys", "keyA=none.json", "--json")
    assert (failed.code, failed.error["code"]) == (3, "PP-KEY-04")
    assert failed.error["hint"].startswith("check the path")
    failed = mine.run(*argv, *columns, *keys, "--json")
    assert (failed.code, failed.error["code"]) == (3, "PP-KEY-03")
    assert not (tmp_path / "clear.parquet").exists()
    both = (*keys, "--keys", "keyB=" + secret(tmp_path / "b.json", KEY_B))
    done = mine.run(*argv, *columns, *both, "--types", "visits[].note=string")
    assert (done.code, done.out) == (0, "6 row(s) written to clear.parquet, in clear\n")
    opened = pq.read_table(tmp_path / "clear.parquet").to_pylist()
    assert [row["visits"][0]["note"] for row in opened] == [CANARY] * 5 + ["y"]
    again = mine.run(*argv, *columns, *keys, "--json")
    assert (again.code, again.error["code"]) == (3, "PP-DAT-04")
    for bad in (("--keys", "keyA"), ("--keys", "keyA=x", "--keys", "keyA=y")):
        assert mine.run(*argv, *columns, *bad).code == 2
    assert shell.noise == ""
