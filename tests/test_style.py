"""How the code reads, as far as a machine can tell."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
LONGEST = 450
TEXT = {".cfg", ".ini", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}

# A path that exists on one machine alone, or the host of a package registry: neither belongs in a
# tree that others build. Written in two halves, so that this file does not name them.
FOREIGN = re.compile(
    "|".join(
        [
            "/" + r"(?:work|root)/",
            "/" + r"home/[a-z]",
            "/" + r"tmp/[a-z]",
            "/" + r"Users/[a-z]",
            "pypi" + r"\.org|python" + r"hosted\.org",
            "repo1?" + r"\.maven\.org|maven\." + r"apache\.org/maven2",
            "registry" + r"\.npmjs\.org|crates" + r"\.io|proxy" + r"\.golang\.org",
            "deb" + r"\.debian\.org|archive" + r"\.ubuntu\.com",
        ]
    )
)
LEFTOVER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def tracked() -> list[Path]:
    """Every text file of the project, as git sees it; new ones too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    paths = [PROJECT / name for name in listed if name and not name.startswith("tests/golden/")]
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


FILES = tracked()
PYTHON = [path for path in FILES if path.suffix == ".py"]


def name(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def faults(path: Path, text: str) -> Iterator[str]:
    """What this file must not hold, as `line what`."""
    for number, line in enumerate(text.splitlines(), 1):
        if path.name != "LICENSE" and FOREIGN.search(line):
            yield f"{number} a path or host of one machine"
        if path.suffix == ".py" and LEFTOVER.search(line):
            yield f"{number} a leftover"
    if path.suffix == ".py":
        yield from python_faults(text)


def python_faults(text: str) -> Iterator[str]:
    lines = text.count("\n") + 1
    if lines > LONGEST:
        yield f"{lines} lines: one idea a file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name) and node.id == "NotImplemented" + "Error":
            yield f"{node.lineno} a stub"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{node.lineno} a bare except"
        elif isinstance(node, ast.ExceptHandler) and all(
            isinstance(part, ast.Pass) for part in node.body
        ):
            broad = ast.unparse(node.type) if node.type else ""
            if broad in {"Exception", "BaseException"}:
                yield f"{node.lineno} an error swallowed"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_reads_as_it_should(path: Path) -> None:
    assert list(faults(path, path.read_text("utf-8"))) == []


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_python_files_say_what_they_are(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    if path.is_relative_to(PROJECT / "privpipe"):
        assert ast.get_docstring(tree), "a module says in a sentence what it is for"
    if tree.body and path.parent.name != "notebooks":
        assert "from __future__ import annotations" in ast.unparse(tree)


def test_jobs_are_short() -> None:
    long = [
        name(p)
        for p in PYTHON
        if p.parent == PROJECT / "jobs" and len(p.read_text().split("\n")) > 51
    ]
    assert long == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("x.py", "path = '" + "/" + "work/data'"),
        ("x.md", "see https://" + "pypi" + ".org/x"),
        ("x.py", "# TO" + "DO: later"),
        ("x.py", "raise NotImplemented" + "Error"),
        ("x.py", "try:\n    pass\nexcept:\n    raise"),
        ("x.py", "try:\n    f()\nexcept Exception:\n    pass"),
        ("x.py", "x = 1\n" * (LONGEST + 1)),
    ],
)
def test_a_planted_fault_is_found(file: str, text: str) -> None:
    assert list(faults(Path(file), text))
