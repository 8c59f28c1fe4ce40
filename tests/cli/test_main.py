"""`main`: options, exit codes, and how errors leave it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from privpipe.cli import main
from privpipe.cli._errors import coded
from privpipe.errors import EngineError, InternalError, PolicyError

POLICY = "version: 1\ntable: t\ncolumns:\n  a: keep\n"
CANARY = "Neumann-1915"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(POLICY)
    return path


def test_a_usage_error_is_coded_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chek"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("[PP-USE-01] privpipe: no such command 'chek'")
    assert err.endswith("\nhint: privpipe --help\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["check"], "privpipe check: missing argument"),
        (["catalog"], "privpipe catalog: missing command"),
        (["check", "--bogus", "p.yaml"], "no such option: --bogus"),
        (["plan", "p.yaml"], "missing option '--source'"),
        (["reveal", "t", "--columns", "a"], "missing option '--purpose'"),
        (["reveal", "t", "--columns", " , ", "--purpose", "x"], "no column is named"),
        (["reveal", "t", "--columns", "a", "--purpose", " "], "the purpose is empty"),
        (["reveal", "t", "--columns", "a", "--purpose", "x", "--limit", "0"], "'--limit'"),
        (
            ["reveal", "t", "--columns", "a", "--purpose", "x", "--limit", "3", "--target", "u"],
            "a target takes all rows",
        ),
        (
            ["reveal", "t", "--columns", "a", "--purpose", "x", "--on-error", "quarantine"],
            "printed rows have no quarantine",
        ),
        (["protect", "p", "--source", "s", "--target", "t", "--mode", "replace"], "'--mode'"),
        (["protect", "p", "--source", "s", "--target", "t", "--as-of", "1.5."], "not a date"),
        (["keys", "create", "table:t", "--primitive", "DES"], "no primitive 'DES'"),
        (
            ["keys", "pair", "p", "--kind", "rsa"],
            "'--kind': 'rsa' is not one of 'x25519'",
        ),
        (["keys", "create", "domain:d"], "a domain holds one family"),
        (["keys", "restore", "nowhere.json"], "no such file"),
    ],
)
def test_usage_errors(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "\nhint: " in err
    assert "Traceback" not in err


def test_errors_are_documents_under_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chek", "--json"]) == 2
    out, err = capsys.readouterr()
    assert err == ""
    error = json.loads(out)["error"]
    assert set(error) == {"code", "message", "where", "hint"}
    assert error["code"] == "PP-USE-01"


@pytest.mark.parametrize("at", [0, 1, 2])
def test_common_options_stand_before_and_after_the_command(
    at: int, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["check", str(policy)]
    argv.insert(at, "--json")
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out)["policies"][0]["table"] == "t"


@pytest.mark.parametrize("at", [0, 1, 2])
def test_config_stands_anywhere(at: int, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["keys", "list"]
    argv[at:at] = ["--config", "x.yaml"]
    assert main(argv) == 2
    assert "--config x.yaml: no project file at " in capsys.readouterr().err


def test_quiet_leaves_results_and_errors(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(policy), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_every_place_that_was_searched_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRIVPIPE_CONFIG", raising=False)
    assert main(["catalog", "tables"]) == 2
    said = capsys.readouterr().err
    for place in ("--config", "PRIVPIPE_CONFIG", "privpipe.yaml", "conf/privpipe.yaml"):
        assert place in said


def test_no_arguments_print_help_and_return_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage: privpipe" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [[], ["init"], ["protect"], ["reveal"], ["catalog", "columns"], ["keys", "backup"]],
)
def test_help_tells_the_common_options(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "--help"]) == 0
    out = capsys.readouterr().out
    for option in ("--config", "--json", "--quiet", "--debug"):
        assert option in out


def test_a_strangers_error_leaves_as_its_class_alone() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int(CANARY)
    told = coded(caught.value)
    assert isinstance(told, InternalError)
    assert CANARY not in str(told)
    assert "ValueError" in str(told)


def test_our_code_in_sparks_text_is_ours_again() -> None:
    from pyspark.errors import PythonException

    text = f"Traceback ...\n{PolicyError('a b', hint='c')}\n {CANARY}"
    told = coded(PythonException(text))
    assert (type(told), told.message, told.hint) == (PolicyError, "a b", "c")
    other = coded(PythonException(CANARY))
    assert isinstance(other, EngineError)
    assert CANARY not in str(other)


def test_the_systems_error_names_the_file() -> None:
    try:
        Path("/nowhere/at/all").read_text()
    except OSError as error:
        told = coded(error)
    assert "no such file or directory" in str(told)
    assert told.where == "/nowhere/at/all"


def test_debug_adds_the_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\ntable: t\ncolumns:\n  a: encypt\n")
    assert main(["check", str(bad), "--debug"]) == 3
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.index("Traceback") < err.index("[PP-POL-01]")


def test_a_closed_pipe_ends_in_silence(policy: Path) -> None:
    command = f"{sys.executable} -m privpipe --help | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_program_is_a_module_too(policy: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "privpipe", "check", str(policy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{policy}: ok, 1 column(s) of t\n"
