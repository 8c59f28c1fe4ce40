"""Ctrl-C, as a terminal sends it: to the whole process group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from privpipe.cli import main
from tests.cli._project import POLICY, write_people


@pytest.mark.parametrize("seconds", [1.5, 3.0, 6.0])
def test_ctrl_c_ends_in_silence_with_130(seconds: float, tmp_path: Path) -> None:
    assert main(["init", str(tmp_path), "--quiet"]) == 0
    write_people(tmp_path / "people.csv")
    (tmp_path / "people.yaml").write_text(POLICY)
    # Read again and again, so that it never ends by itself. A test run in the background hands its
    # children a SIGINT that is ignored; a terminal's is not.
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from privpipe.cli import main\n"
        "code = 0\n"
        "while code == 0:\n"
        "    code = main(['plan', 'people.yaml', '--source', 'people.csv', '--quiet'])\n"
        "sys.exit(code)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "")
    deadline = time.monotonic() + 30
    while (left := _group(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


def _group(leader: int) -> list[int]:
    """The processes that are left of a session: a JVM that nobody can reach, for one."""
    found = []
    for state in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = state.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(state.parent.name))
    return found
