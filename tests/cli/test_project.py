"""The commands on a real project: a CSV, a policy, a protected table, its catalog and keys."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from privpipe.policy import load_policy
from tests.cli._project import PEOPLE, POLICY, Project, Shell, write_people

REVEAL = ("reveal", "warehouse/people", "--purpose", "a test")


def by_id(rows: list[dict[str, object]]) -> dict[object, dict[str, object]]:
    return {row["id"]: row for row in rows}


def source_values(column: str) -> dict[object, object]:
    return {person["id"]: person[column] or None for person in PEOPLE}


def test_init_drafts_a_policy_from_the_source(project: Project, tmp_path: Path) -> None:
    done = project.run("init", tmp_path / "new", "--source", "people.csv")
    assert done.code == 0, done
    path = tmp_path / "new" / "policies" / "people.yaml"
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# yaml-language-server: $schema=")
    (surname,) = (line for line in lines if line.startswith("  surname: undecided    # string; "))
    assert surname.split("; ")[1].endswith("no need for more was named")
    policy = load_policy(path)
    assert list(policy.columns) == list(PEOPLE[0])
    assert {rule.protect for rule in policy.rules} == {"undecided"}
    refused = project.run(
        *("protect", path, "--source", "people.csv", "--target", "warehouse/undecided")
    )
    assert refused.code == 3
    assert "undecided" in refused.err


def test_init_makes_nothing_where_the_source_is_not(project: Project, tmp_path: Path) -> None:
    done = project.run("init", tmp_path / "new", "--source", "nowhere.csv", "--json")
    assert (done.code, done.error["code"]) == (3, "PP-DAT-01")
    assert not (tmp_path / "new").exists()


def test_plan_shows_every_column_and_writes_nothing(project: Project) -> None:
    before = project.state()
    document = project.json("plan", "people.yaml", "--source", "people.csv")
    rows = {row["column"]: row for row in document["columns"]}
    assert list(rows) == list(PEOPLE[0])
    assert rows["zip"]["reveals"] == "everything"
    assert rows["surname"]["becomes"] == "binary"
    assert isinstance(rows["ssn"]["key_id"], int)
    assert rows["ssn"]["domain"] == "ssn"
    assert rows["surname"]["type"] == "string"
    assert project.state() == before


def test_plan_for_people(project: Project) -> None:
    (project.folder / "new.yaml").write_text(
        POLICY.replace("clinic.patients", "clinic.new").replace("zip: keep", "zip: undecided")
    )
    done = project.run("plan", "new.yaml", "--source", "people.csv")
    assert done.code == 0, done
    line = next(line for line in done.out.splitlines() if line.startswith("surname"))
    assert line.split()[:5] == ["surname", "string", "encrypt", "binary", "new"]
    assert "1 column(s) are undecided, which protect refuses: zip" in done.err


def test_the_same_run_id_changes_nothing(project: Project) -> None:
    before = project.state()
    again = ("protect", "people.yaml", "--source", "people.csv", "--target", "warehouse/people")
    done = project.run(*again, "--run-id", "first")
    assert done.code == 0
    assert "was committed before" in done.out
    assert project.json(*again, "--run-id", "first")["replayed"] is True
    assert project.state() == before


def test_the_same_run_id_with_another_target_is_refused(project: Project) -> None:
    before = project.state()
    done = project.run(
        *("protect", "people.yaml", "--source", "people.csv", "--target", "warehouse/other"),
        *("--run-id", "first", "--json"),
    )
    assert (done.code, done.error["code"]) == (3, "PP-CAT-01")
    assert project.state() == before


def test_a_target_that_exists_is_refused(project: Project) -> None:
    done = project.run(
        *("protect", "people.yaml", "--source", "people.csv", "--target", "warehouse/people")
    )
    assert done.code == 3
    assert done.err.startswith("[PP-DAT-04]")
    assert "hint: " in done.err


def test_protect_tells_what_it_did(project: Project) -> None:
    done = project.run(
        *("protect", "people.yaml", "--source", "people.csv", "--target", "warehouse/told")
    )
    assert done.code == 0, done
    assert done.out.startswith("5 row(s) of clinic.patients protected into ")
    assert "key ids " in done.out
    for value in ("Neumann", "0053042"):
        assert value not in done.out + done.err


def test_reveal_gives_rows(project: Project) -> None:
    document = project.json(*REVEAL, "--columns", "surname,ssn")
    rows = by_id(document["rows"])
    for column in ("surname", "ssn", "zip"):
        assert {key: row[column] for key, row in rows.items()} == source_values(column)
    closed = {row["born"] for row in rows.values() if row["born"] is not None}
    assert all(bytes.fromhex(str(value))[0] == 1 for value in closed)
    assert document["more"] is False


def test_reveal_prints_rows(project: Project) -> None:
    done = project.run(*REVEAL, "--columns", "surname", "--limit", "2")
    assert done.code == 0, done
    lines = done.out.splitlines()
    assert len(lines) == 3
    assert "… (" in lines[1]
    assert "first 2 rows" in done.err


@pytest.mark.parametrize("suffix", ["", ".parquet", ".csv"])
def test_reveal_writes_a_target(suffix: str, project: Project, tmp_path: Path) -> None:
    target = tmp_path / f"opened{suffix}"
    done = project.run(*REVEAL, "--columns", "surname", "--target", target)
    assert done.code == 0, done
    assert "5 row(s) written to" in done.out
    assert target.exists()
    again = project.run(*REVEAL, "--columns", "surname", "--target", target)
    assert again.code == 3


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ((*REVEAL, "--columns", "zip"), "PP-DAT-07"),
        ((*REVEAL, "--columns", "nowhere"), "PP-DAT-07"),
        (("reveal", "warehouse/none", "--columns", "a", "--purpose", "x"), "PP-DAT-01"),
        (("plan", "people.yaml", "--source", "none.parquet"), "PP-DAT-01"),
        (("verify", "warehouse/none"), "PP-DAT-01"),
    ],
)
def test_refusals(argv: tuple[str, ...], code: str, project: Project) -> None:
    before = project.state()
    done = project.run(*argv, "--json")
    assert (done.code, done.error["code"], done.err) == (3, code, "")
    assert done.error["hint"]
    assert project.state() == before


def test_verify(project: Project) -> None:
    done = project.run("verify", "warehouse/people")
    assert done.code == 0
    held = sum(bool(person[name]) for person in PEOPLE for name in ("surname", "ssn", "born"))
    assert done.out == f"warehouse/people: all {held} protected values authenticate\n"
    assert project.json("verify", "warehouse/people")["ok"] is True


def test_the_catalog_is_read_without_a_session(project: Project) -> None:
    tables = project.json("catalog", "tables")["tables"]
    mine = next(table for table in tables if table["target"].endswith("warehouse/people"))
    assert (mine["table"], mine["rows"], mine["run_id"]) == ("clinic.patients", 5, "first")
    assert mine["protected"] == ["born", "ssn", "surname"]
    columns = project.json("catalog", "columns", "warehouse/people")["columns"]
    assert [fact["path"] for fact in columns] == ["born", "ssn", "surname"]
    assert columns[1]["context"] == "pp1:d:ssn:text"
    assert project.run("catalog", "columns", "warehouse/none").code == 3
    runs = {run["run_id"]: run for run in project.json("catalog", "runs")["runs"]}
    assert runs["first"]["state"] == "COMMITTED"
    for name in ("tables", "columns", "keys", "runs"):
        done = project.run("catalog", name)
        assert done.code == 0
        assert len(done.out.splitlines()) >= 2


def test_repair_has_nothing_to_do(project: Project) -> None:
    assert project.run("catalog", "repair").out == "nothing to settle\n"
    assert project.json("catalog", "repair") == {"settled": []}


def test_keys_go_into_a_backup_and_come_back(shell: Shell, tmp_path: Path) -> None:
    write_people(tmp_path / "people.csv")
    (tmp_path / "people.yaml").write_text(POLICY)
    mine = Project(folder=tmp_path, shell=shell)
    assert mine.run("init", ".").code == 0
    assert mine.run("keys", "backup", "keys.json").code == 3
    done = mine.run(
        *("protect", "people.yaml", "--source", "people.csv", "--target", "warehouse/people")
    )
    assert "exist in the catalog alone" in done.err
    assert {key["backup"] for key in mine.json("keys", "list")["keysets"]} == {False}

    made = mine.json("keys", "backup", "keys.json")
    backup = tmp_path / "keys.json"
    assert made["keysets"] == 2
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert mine.run("keys", "backup", "keys.json").code == 2
    listed = mine.json("keys", "list")["keysets"]
    assert {key["backup"] for key in listed} == {True}
    assert [key["keys"][0]["status"] for key in listed] == ["ENABLED", "ENABLED"]

    # The keysets are lost, and with them the data.
    (tmp_path / "warehouse/catalog/keysets").rename(tmp_path / "lost")
    lost = mine.run(*REVEAL, "--columns", "surname", "--json")
    assert (lost.code, lost.error["code"]) == (3, "PP-KEY-03")
    assert mine.json("keys", "restore", "keys.json") == {
        "restored": made["key_ids"],
        "there": 0,
    }
    rows = by_id(mine.json(*REVEAL, "--columns", "surname")["rows"])
    assert {key: row["surname"] for key, row in rows.items()} == source_values("surname")
    assert mine.json("keys", "restore", "keys.json") == {"restored": [], "there": 2}
    # A domain's family came back as well: the table can grow.
    grown = mine.run(
        *("protect", "people.yaml", "--source", "people.csv", "--target", "warehouse/people"),
        *("--mode", "append"),
    )
    assert grown.code == 0, grown


def test_keys_of_another_kek_or_name_are_not_restored(
    project: Project, shell: Shell, tmp_path: Path
) -> None:
    other = Project(folder=tmp_path, shell=shell)
    assert other.run("init", ".").code == 0
    assert other.run("keys", "create", "table:clinic.patients").code == 0
    assert project.run("keys", "backup", tmp_path / "theirs.json").code == 0
    done = other.run("keys", "restore", "theirs.json", "--json")
    assert (done.code, done.error["code"]) == (3, "PP-KEY-02")
    (tmp_path / "theirs.json").write_text("{}")
    assert other.run("keys", "restore", "theirs.json", "--json").error["code"] == "PP-KEY-04"


def test_a_keyset_is_made_once(project: Project) -> None:
    made = project.json("keys", "create", "domain:card", "--family", "text")
    assert made["created"] is True
    again = project.json("keys", "create", "domain:card", "--family", "text")
    assert again == {**made, "created": False}


def test_doctor_finds_nothing_and_then_something(project: Project) -> None:
    document = project.json("doctor")
    assert document["ok"] is True
    names = {finding["name"] for finding in document["findings"]}
    assert {"python", "java", "pyspark", "kek", "keysets", "executors"} <= names
    kek = project.folder / "secrets" / "kek.json"
    kek.chmod(0o644)
    try:
        done = project.run("doctor", "--no-spark")
    finally:
        kek.chmod(0o600)
    assert done.code == 1
    assert "fail kek: [PP-KEY-01]" in done.out
    assert "mend: chmod 600 " in done.out


def test_a_project_that_lies_elsewhere_now_still_reads(project: Project, tmp_path: Path) -> None:
    there = Project(folder=tmp_path / "elsewhere", shell=project.shell)
    shutil.copytree(project.folder, there.folder)
    document = there.json(*REVEAL, "--columns", "surname")
    assert len(document["rows"]) == len(PEOPLE)


def test_no_command_made_spark_talk(project: Project) -> None:
    assert project.shell.noise == ""


def test_json_is_one_document(project: Project) -> None:
    done = project.run("keys", "list", "--json")
    assert json.loads(done.out)
    assert done.err == ""
