"""Who is dead: asked of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from privpipe.catalog import LEASE, lease_is_over, owner_is_dead, this_owner
from tests.catalog._facts import NOW, run

PROJECT = Path(__file__).resolve().parents[2]
SAY = "from privpipe.catalog import this_owner; print(this_owner(), flush=True)"


def started(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_this_process_lives() -> None:
    host, pid, start = this_owner().rsplit(":", 2)
    assert host
    assert int(pid) == os.getpid()
    assert start.isdecimal()
    assert this_owner() == this_owner()
    assert not owner_is_dead(this_owner())


def test_a_process_is_dead_once_it_has_ended() -> None:
    with started(f"{SAY}; input()") as process:
        assert process.stdout
        assert process.stdin
        owner = process.stdout.readline().strip()
        assert not owner_is_dead(owner)
        process.kill()
        process.stdout.read()  # the pipe closes when it ends
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner_is_dead(owner), "dead, and not waited for"
        process.wait()
        process.stdin.close()
    assert owner_is_dead(owner), "dead and gone"


def test_another_process_of_the_same_id_is_not_the_owner() -> None:
    host, pid, start = this_owner().rsplit(":", 2)
    assert owner_is_dead(f"{host}:{pid}:{int(start) + 1}")


@pytest.mark.parametrize("owner", ["", ":", "::", "a:b:c", "nonsense", "{host}:0:1", "{host}:-1:1"])
def test_in_doubt_nobody_is_dead(owner: str) -> None:
    assert not owner_is_dead(owner.replace("{host}", this_owner().rsplit(":", 2)[0]))


def test_another_hosts_process_cannot_be_asked() -> None:
    assert not owner_is_dead("some-other-host:999999:1")


def test_a_lease_ends_by_the_clock_or_with_its_owner() -> None:
    held = run("r", lease_until=NOW)
    assert timedelta(minutes=10) == LEASE
    assert not lease_is_over(held, NOW - timedelta(microseconds=1))
    assert lease_is_over(held, NOW)
    host, pid, start = this_owner().rsplit(":", 2)
    assert lease_is_over(run("r", owner=f"{host}:{pid}:{start}9"), NOW - LEASE)
