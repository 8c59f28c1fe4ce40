"""`keys import`: a key of another program, from its file to a policy and a reveal."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.cli._project import Project, Shell, write_people

POLICY = """\
version: 1
table: clinic.legacy
unlisted: drop
columns:
  id: keep
  surname: {protect: fernet, key: "imported:legacy"}
  ssn: {protect: seal, public_key: archive.public.pem}
"""
SECRET = Fernet.generate_key()


def secret(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.fixture
def mine(shell: Shell, tmp_path: Path) -> Project:
    """A project with a source, a policy, and a locked private key in `locked.pem`."""
    write_people(tmp_path / "people.csv")
    (tmp_path / "legacy.yaml").write_text(POLICY)
    made = Project(folder=tmp_path, shell=shell)
    assert made.run("init", ".").code == 0
    assert made.run("keys", "pair", "archive").code == 0
    own = tmp_path / "archive.private.pem"
    key = load_pem_private_key(own.read_bytes(), None)
    lock = BestAvailableEncryption(b"open, sesame")
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    secret(tmp_path / "locked.pem", locked)
    own.unlink()
    secret(tmp_path / "phrase", b"open, sesame\n")
    secret(tmp_path / "fernet", SECRET)
    return made


def test_from_a_file_to_a_table_and_back(mine: Project) -> None:
    planned = mine.json("plan", "legacy.yaml", "--source", "people.csv")["columns"]
    assert {row["column"]: row["key_id"] for row in planned}["surname"] == "not imported"

    done = mine.run("keys", "import", "legacy", "--fernet", "fernet")
    assert done.code == 0, done
    assert "imported:legacy FERNET imported, key id " in done.out
    assert "no backup holds it yet" in done.err
    assert "fernet still holds it in clear" in done.err
    again = mine.json("keys", "import", "legacy", "--fernet", "fernet")
    assert (again["name"], again["imported"]) == ("imported:legacy", False)
    pem = ("keys", "import", "archive", "--pem", "locked.pem", "--passphrase-file", "phrase")
    archive = mine.json(*pem)
    assert (archive["kind"], archive["imported"]) == ("PEM", True)
    for name in ("fernet", "locked.pem", "phrase"):
        (mine.folder / name).unlink()

    listed = mine.json("keys", "list")["keysets"]
    assert [(row["scope"], row["keys"][0]["key_id"]) for row in listed] == [
        ("imported:archive", archive["key_id"]),
        ("imported:legacy", again["key_id"]),
    ]
    assert "imported:legacy" in mine.run("catalog", "keys").out
    assert mine.json("keys", "backup", "keys.json")["keysets"] == 2
    (mine.folder / "warehouse/catalog/keysets").rename(mine.folder / "lost")
    assert mine.run("reveal", "x", "--columns", "a", "--purpose", "p").code == 3
    assert len(mine.json("keys", "restore", "keys.json")["restored"]) == 2

    done = mine.run(
        *("protect", "legacy.yaml", "--source", "people.csv", "--target", "warehouse/legacy")
    )
    assert done.code == 0, done
    assert "an opener's key on a producer" in done.err
    reveal = ("reveal", "warehouse/legacy", "--columns", "surname,ssn", "--purpose", "test")
    rows = mine.json(*reveal, "--opener", "imported:archive")["rows"]
    with (mine.folder / "people.csv").open(newline="", encoding="utf-8") as file:
        people = {row["id"]: (row["surname"], row["ssn"]) for row in csv.DictReader(file)}
    assert {row["id"]: (row["surname"] or "", row["ssn"] or "") for row in rows} == people
    verified = mine.json("verify", "warehouse/legacy", "--opener", "imported:archive")
    assert verified["ok"] is True
    doctor = mine.json("doctor", "--no-spark")["findings"]
    (found,) = (each for each in doctor if each["name"] == "keysets")
    assert found["status"] == "ok"


def test_what_is_refused(mine: Project) -> None:
    files = mine.folder
    secret(files / "open", SECRET, 0o644)
    secret(files / "wrong", b"sesame")
    secret(files / "none.pem", b"no PEM")
    public = secret(files / "public", (files / "archive.public.pem").read_bytes())
    cases = {
        (): (2, "one key is imported"),
        ("--fernet", "fernet", "--pem", "locked.pem"): (2, "one key is imported"),
        ("--fernet", "fernet", "--passphrase-file", "phrase"): (2, "has no passphrase"),
        ("--fernet", "nowhere"): (3, "no key file on the machine"),
        ("--fernet", "open"): (3, "mode is 0644"),
        ("--fernet", "locked.pem"): (3, "a private key takes --pem"),
        ("--pem", "fernet"): (3, "no PEM"),
        ("--pem", public.name): (3, "a public key, which seals"),
        ("--pem", "locked.pem"): (2, "no terminal to ask for it"),
        ("--pem", "locked.pem", "--passphrase-file", "wrong"): (3, "does not open the private"),
        ("--pem", "locked.pem", "--passphrase-file", "gone"): (3, "no passphrase file"),
    }
    for argv, (code, said) in cases.items():
        done = mine.run("keys", "import", "k", *argv)
        assert (done.code, said in done.err) == (code, True), (argv, done)
        assert "sesame" not in done.err
    done = mine.run("keys", "import", "a:b", "--fernet", "fernet")
    assert (done.code, "a key's name" in done.err) == (3, True), done
    assert mine.run("keys", "create", "imported:k").code == 2
    assert mine.json("keys", "list")["keysets"] == []
