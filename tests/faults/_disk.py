"""A small disk of one's own: a tmpfs that can be full, freed, and read-only."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A mounted file system. What stands in it is lost at the end."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def remount(self, options: str) -> None:
        """Changes its size (`size=64m`) or whether it can be written (`ro`, `rw`)."""
        subprocess.run(["mount", "-o", f"remount,{options}", self.place], check=True)

    def fill(self) -> None:
        """Leaves not one byte free."""
        with (self.place / "ballast").open("ab", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while ballast.write(b"\0" * size):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Undoes `fill`."""
        (self.place / "ballast").unlink()


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Disk]:
    """Mounts one at `place`; skips the test where this user may not mount."""
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount` here")
    if said.returncode:
        pytest.skip(f"a disk cannot be mounted here: {said.stderr.strip()}")
    try:
        yield Disk(place)
    finally:
        # Lazily: a Java process may keep a file open for a while.
        subprocess.run(["umount", "--lazy", place], check=True)
