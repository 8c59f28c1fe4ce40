"""`privpipe check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from privpipe.cli import main

GOOD = "version: 1\ntable: clinic.patients\ncolumns:\n  a: keep\n  b: undecided\n"


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_undecided_is_fine_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "p.yaml", GOOD)
    assert main(["check", path]) == 0
    out = capsys.readouterr().out
    assert out == (
        f"{path}: ok, 2 column(s) of clinic.patients\n  undecided, which protect refuses: b\n"
    )


def test_all_faults_of_all_files_come_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path, "one.yaml", GOOD.replace("keep", "encypt"))
    two = write(tmp_path, "two.yaml", GOOD.replace("version: 1", "version: 7"))
    fine = write(tmp_path, "fine.yaml", GOOD)
    assert main(["check", one, fine, two]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("[PP-POL-01] 2 policies are at fault\n")
    assert err.count("[PP-POL-01]") == 1
    assert f"{one}:4 columns.a" in err
    assert 'nearest: "encrypt"; allowed: keep, drop' in err
    assert f"{two}:1 version" in err


def test_a_fault_is_a_document_under_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "one.yaml", GOOD.replace("keep", "encypt"))
    assert main(["--json", "check", path]) == 3
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["error"]["code"] == "PP-POL-01"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{", b"- a\n- b\n", b"", b"a: [1, 2"])
def test_what_is_no_policy(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(content)
    assert main(["check", str(path)]) == 3
    assert capsys.readouterr().err.startswith("[PP-POL-01]")


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["check", str(tmp_path / "none.yaml")])
    err = capsys.readouterr().err
    assert code in (2, 3)
    assert "none.yaml" in err
    assert "hint: " in err


def test_two_policies_for_one_table_are_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = write(tmp_path, "one.yaml", GOOD), write(tmp_path, "two.yaml", GOOD)
    assert main(["check", one, two]) == 0
    assert f"warning: {two} and {one} are both for the table" in capsys.readouterr().err
