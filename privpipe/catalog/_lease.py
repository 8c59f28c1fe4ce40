"""Who holds a run, and until when.

An owner is `host:pid:start`. The process's start time tells it from a later one that got the same
process id; what runs on another host cannot be asked, so only its lease can end it.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from pathlib import Path

from privpipe.catalog._records import RunRecord

__all__ = ["LEASE", "lease_is_over", "owner_is_dead", "this_owner"]

LEASE = timedelta(minutes=10)
_UNKNOWN = "0"
_START_FIELD = 19  # starttime, counted from the state, the first field behind the command's name


def this_owner() -> str:
    """This process as the owner of a run: `host:pid:start`."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{_start_of(pid) or _UNKNOWN}"


def owner_is_dead(owner: str) -> bool:
    """Whether `owner` is a process of this host that runs no more. False whenever in doubt."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    start = owner.rpartition(":")[2]
    if host != socket.gethostname() or not rest.isdecimal() or int(rest) == 0:
        return False
    pid = int(rest)
    if not _exists(pid):
        return True
    now = _start_of(pid)
    return now is not None and start not in (_UNKNOWN, now)


def lease_is_over(record: RunRecord, now: datetime) -> bool:
    """Whether nobody holds this run any more: the lease has ended, or its owner here is dead."""
    return record.lease_until <= now or owner_is_dead(record.owner)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _start_of(pid: int) -> str | None:
    """The process's start, in clock ticks after boot; None where there is no /proc to say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    if state == "Z":  # dead, and only not yet waited for
        return "zombie"
    return fields[_START_FIELD - 1]
