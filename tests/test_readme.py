"""The code of README and of the pages in docs runs, in order, a fresh folder a page, and prints
what it shows.

- ```` ```console ````: each `$ command` runs in a shell with the real `privpipe` on the path.
  Output that is shown is compared; `...` stands for anything, and what differs from run to run
  (ids, times, durations, ciphertext) is made alike first. A command fails if and only if its
  shown output has an error code in it.
- ```` ```python ```` runs as a script.
- ```` ```yaml file=NAME ```` (any language) is written to NAME.
- ```` ```sh ```` and other languages are for the reader alone: commands that make an environment
  and run this test, or what another test carries out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What differs from run to run, and what stands for it. The order matters: long forms first.
ALIKE = [
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{8}\b"), "<run>"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
        "<time>",
    ),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|s|seconds)\b"), "<span>"),
    (re.compile(r"\b[0-9a-fA-F]{16,}(?:\.\.\.|…)?"), "<hex>"),
    (re.compile(r"\b\d{6,10}\b"), "<id>"),
    (re.compile(r"[─━]{3,}"), "<rule>"),
    (re.compile(r"[ \t]+"), " "),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do: a command, a script, or a file to write."""

    kind: str  # command, python, file
    line: int
    text: str
    name: str = ""
    shown: str | None = None


def steps(markdown: str) -> list[Step]:
    """The executable steps of a page, in order."""
    found: list[Step] = []
    for fence in FENCE.finditer(markdown):
        info, body = fence.group(1).split(), fence.group(2)
        line = markdown.count("\n", 0, fence.start(2)) + 1
        language = info[0] if info else ""
        file = next((word.removeprefix("file=") for word in info if word.startswith("file=")), None)
        if file is not None:
            found.append(Step(kind="file", line=line, text=body, name=file))
        elif language == "console":
            found += commands(body, line)
        elif language == "python":
            found.append(Step(kind="python", line=line, text=body))
    return found


def commands(body: str, line: int) -> list[Step]:
    """`$ command` lines, continued by a backslash, each with the output shown below it."""
    found: list[Step] = []
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE):
        command, _, shown = re.sub(r"\\\n(?:> )?", "", part).partition("\n")
        if command.strip():
            found.append(Step(kind="command", line=line, text=command, shown=shown.strip() or None))
        line += part.count("\n")
    return found


def alike(text: str) -> list[str]:
    """The lines of `text` with all that differs from run to run made the same."""
    for pattern, stand_in in ALIKE:
        text = pattern.sub(stand_in, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def matches(shown: str, printed: str) -> bool:
    """Whether the printed text is the one shown, `...` standing for anything."""
    expected = "\n".join(alike(shown))
    pattern = ".*".join(re.escape(part) for part in re.split(r"\.\.\.|…", expected))
    return re.fullmatch(pattern, "\n".join(alike(printed)), re.DOTALL) is not None


def run(step: Step, folder: Path) -> None:
    """Do one step in `folder`; fails with the line of the page where it does not do as shown."""
    if step.kind == "file":
        path = folder / step.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text, encoding="utf-8")
        return
    binaries = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-c", step.text] if step.kind == "command" else [sys.executable, "-c", step.text],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "COLUMNS": "100",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    fails = step.shown is not None and "[PP-" in step.shown
    spot = f"line {step.line}: {step.text}"
    assert (done.returncode != 0) == fails, f"{spot}\nexit {done.returncode}\n{done.stdout}"
    if step.shown is not None:
        assert matches(step.shown, done.stdout), (
            f"{spot}\nshown:\n{step.shown}\nprinted:\n{done.stdout}"
        )


PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_does_what_it_shows(path: Path, tmp_path: Path) -> None:
    for step in steps(path.read_text("utf-8")):
        run(step, tmp_path)


def test_links_between_pages_lead_somewhere() -> None:
    for path in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_readme_names_its_two_commands() -> None:
    text = (PROJECT / "README.md").read_text("utf-8")
    assert "make demo" in text
    assert "make test" in text


PAGE = """
```yaml file=a/b.txt
hello 12345678
```
```console
$ cat a/b.txt && echo it took 1.5 s
hello 87654321
it took 12 s
$ echo one; echo two; \\
  echo three
one
...
$ ls /nowhere-at-all; echo "[PP-X]"; exit 3
...
[PP-X]
```
```python
from pathlib import Path
assert Path("a/b.txt").exists()
```
"""


def test_a_page_is_read_as_written(tmp_path: Path) -> None:
    page = steps(PAGE)
    assert [step.kind for step in page] == ["file", "command", "command", "command", "python"]
    assert [step.line for step in page] == [3, 6, 9, 13, 18]
    for step in page:
        run(step, tmp_path)


@pytest.mark.parametrize(
    "page",
    [
        "```console\n$ echo one\ntwo\n```",
        "```console\n$ echo one\n[PP-X] one\n```",
        "```console\n$ false\n```",
        "```python\nraise SystemExit(1)\n```",
    ],
)
def test_a_page_that_lies_is_found(page: str, tmp_path: Path) -> None:
    for step in steps(page):
        with pytest.raises(AssertionError, match="line 2"):
            run(step, tmp_path)
