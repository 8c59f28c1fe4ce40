"""`privpipe init`, without a source."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from privpipe.cli import main
from privpipe.cli._init import draft, table_name
from privpipe.policy import ColumnPlan, Type, load_policy, parse_policy


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_makes_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "clinic"
    assert main(["init", str(folder)]) == 0
    assert set(files(folder)) == {
        ".gitignore",
        "policies/example.yaml",
        "policy.schema.json",
        "privpipe.yaml",
        "secrets/kek.json",
    }
    assert stat.S_IMODE((folder / "secrets/kek.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
    out, err = capsys.readouterr()
    assert "next:" in out
    assert "no backup was made" in err
    assert "/secrets/" in (folder / ".gitignore").read_text().splitlines()


def test_its_policy_is_right_by_check_and_by_the_schema_beside_it(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path), "--quiet"]) == 0
    path = tmp_path / "policies" / "example.yaml"
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    schema = json.loads((path.parent / first.rpartition("=")[2]).read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    assert load_policy(path).table == "example.people"


def test_it_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path)]) == 0
    before = files(tmp_path)
    assert main(["init", str(tmp_path)]) == 2
    assert files(tmp_path) == before
    assert "[PP-USE-02]" in capsys.readouterr().err


def test_a_source_in_the_place_of_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "people.csv"
    source.write_text("id\n1\n")
    assert main(["init", str(source)]) == 2
    assert f"privpipe init . --source {source}" in capsys.readouterr().err
    assert source.read_text() == "id\n1\n"


@pytest.mark.parametrize("name", ["privpipe.yaml", "secrets/kek.json", "policies/example.yaml"])
def test_one_file_that_is_there_stops_all(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    assert files(tmp_path) == {name: b"mine"}
    assert name in capsys.readouterr().err


def test_anothers_gitignore_stays_and_is_spoken_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n"
    assert "/secrets/ /warehouse/ /.privpipe/" in capsys.readouterr().out


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "p"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["files"]) == 5
    assert document["warnings"]


def test_where_nothing_may_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    code = main(["init", str(tmp_path / "file" / "p")])
    assert code in (1, 2, 3)
    err = capsys.readouterr().err
    assert err.startswith("[PP-")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("people.csv", "people"),
        ("in/2024/people.parquet/", "people"),
        ("s3a://lake/raw/people", "people"),
        ("clinic.patients", "patients"),
        ("Ärzte und Zeiten.CSV", "Ärzte_und_Zeiten"),
        ("日本.json", "日本"),
    ],
)
def test_a_table_is_named_after_its_source(source: str, name: str) -> None:
    assert table_name(source) == name


def column(name: str) -> ColumnPlan:
    kind = Type(text="string", kind="string")
    return ColumnPlan(name=name, action="keep", type=kind, nullable=True, leaves=(), line=0)


# Delta and Spark take any name; only what a file cannot hold is left out here.
NAMES = st.lists(
    st.text(
        st.characters(exclude_categories=["Cs"]),
        min_size=1,
        max_size=12,
    ),
    min_size=1,
    max_size=6,
    unique_by=str.lower,
)


@given(NAMES)
def test_any_column_can_be_drafted(names: list[str]) -> None:
    policy = parse_policy(draft("t", tuple(column(name) for name in names)))
    assert [rule.path for rule in policy.rules] == [(name,) for name in names]
    assert {rule.protect for rule in policy.rules} == {"undecided"}


@pytest.mark.parametrize(
    "name", ["yes", "NO", "null", "1", "1.5", "a b", "a.b", "#x", "`", "é", "~"]
)
def test_names_that_yaml_or_a_path_would_read_otherwise(name: str) -> None:
    policy = parse_policy(draft("t", (column(name),)))
    assert policy.rules[0].path == (name,)
