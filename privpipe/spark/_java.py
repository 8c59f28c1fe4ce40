"""Which Java Spark would start with, looked at before Spark is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from privpipe.errors import EngineError

OLDEST_JAVA = 17
JAVA_PACKAGE = "openjdk-17-jre-headless"

_INSTALL = f"install Java {OLDEST_JAVA} or newer: apt-get install {JAVA_PACKAGE}"


def check_java() -> tuple[Path, int]:
    """The `java` that Spark will run, and its major version.

    Spark's own scripts look in `JAVA_HOME`, then on the `PATH`; so does this. Where there is none,
    or an older one, Spark would print its launcher's trace: the error here names the package.

    Raises: EngineError.
    """
    home = os.environ.get("JAVA_HOME")
    runner = Path(home, "bin", "java") if home else _on_path()
    if runner is None:
        raise EngineError("java is not installed, and Spark runs on it", hint=_INSTALL)
    if not os.access(runner, os.X_OK):
        raise EngineError(
            "JAVA_HOME holds no java",
            where=home,
            hint=f"unset JAVA_HOME, or set it to a Java {OLDEST_JAVA} or newer; {_INSTALL}",
        )
    major = _major(runner)
    if major < OLDEST_JAVA:
        cause = "JAVA_HOME points to it: set another" if home else _INSTALL
        raise EngineError(
            f"Spark 4.2 needs Java {OLDEST_JAVA} or newer, this one is Java {major}",
            where=str(runner),
            hint=cause,
        )
    return runner, major


def _on_path() -> Path | None:
    found = shutil.which("java")
    return Path(found) if found else None


def _major(runner: Path) -> int:
    # A JDK states its version in a file; asking the launcher instead costs a tenth of a second.
    release = runner.resolve().parent.parent / "release"
    text = release.read_text(errors="replace") if release.is_file() else ""
    found = re.search(r'^JAVA_VERSION="([^"]+)"', text, re.MULTILINE)
    return parse_major(found.group(1) if found else _ask(runner))


def _ask(runner: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (the java that Spark is about to run)
            [str(runner), "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError("java does not start", where=str(runner), hint=_INSTALL) from error
    found = re.search(r'version "([^"]+)"', done.stderr + done.stdout)
    if found is None:
        raise EngineError("java does not say its version", where=str(runner), hint=_INSTALL)
    return found.group(1)


def parse_major(version: str) -> int:
    """17 of `17.0.15`, 21 of `21`, 8 of `1.8.0_402`."""
    parts = [int(number) for number in re.findall(r"\d+", version)[:2]]
    if not parts:
        return 0
    return parts[1] if parts[0] == 1 and len(parts) > 1 else parts[0]
