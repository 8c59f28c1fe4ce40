"""Files that nobody but their owner may read or exchange: KEKs, others' keys, passphrases."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from privpipe.errors import KeyAccessError

__all__ = ["FileWords", "read_secret_file"]

_MOST = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileWords:
    """What messages call such a file, the error that they come in, and what to do: where it is not
    there (`placed`), and where it is something else (`made`)."""

    name: str
    error: type[KeyAccessError]
    placed: str
    made: str


def read_secret_file(path: Path, words: FileWords) -> bytes:
    """The content of a file that nobody but its owner may read or exchange; `words.error` else."""
    where = str(path)
    try:
        _check_link(path, words)
        # O_NONBLOCK: a FIFO in its place must not hang the job
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise words.error(
            f"there is no {words.name} on the machine {os.uname().nodename}",
            where=where,
            hint=words.placed,
        ) from None
    except OSError as error:
        raise words.error(
            f"the {words.name} cannot be read: {os.strerror(error.errno or 0)}",
            where=where,
            hint=f"it must belong to the user that runs this: chown {os.geteuid()} {where}",
        ) from None
    try:
        _check_file(os.fstat(descriptor), where, words)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(_MOST + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST:
        raise words.error(f"the {words.name} is too large", where=where, hint=words.made)
    return content


def _check_link(path: Path, words: FileWords) -> None:
    """Refuses a path that another user could turn elsewhere.

    A link of one's own or of root is fine: that is how Kubernetes mounts its secrets.
    """
    if path.lstat().st_uid not in (0, os.geteuid()):
        raise words.error(
            f"the {words.name}, or the link in its place, belongs to another user",
            where=str(path),
            hint=f"chown {os.geteuid()} {path}",
        )
    folder = path.parent.stat()
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        raise words.error(
            f"anyone may put another file in the place of the {words.name}",
            where=str(path),
            hint=f"chmod o-w {path.parent}",
        )


def _check_file(found: os.stat_result, where: str, words: FileWords) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise words.error(f"the {words.name} is not a regular file", where=where, hint=words.made)
    if found.st_uid not in (0, os.geteuid()):
        raise words.error(
            f"the {words.name} belongs to another user",
            where=where,
            hint=f"chown {os.geteuid()} {where}",
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(found.st_mode)
        raise words.error(
            f"the {words.name}'s mode is {mode:04o}: others may use it",
            where=where,
            hint=f"chmod 600 {where}",
        )
