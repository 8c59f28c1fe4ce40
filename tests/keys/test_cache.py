"""The cache of open keysets: bounded, expiring, safe over threads and forks."""

from __future__ import annotations

import multiprocessing
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from privpipe.errors import KekError, KeysetError
from privpipe.keys import KeyRef, OpenKeyset, generate_wrapped, load_keyset, open_ref
from privpipe.keys._cache import OpenCache
from privpipe.testing import TestKey, keyset_json

REF = KeyRef(scope="table:a", primitive="AES256_GCM", wrapped="{}", kek_uri="file:/k", key_id=1)


class Door:
    """Counts what is opened; the clock is ours."""

    def __init__(self) -> None:
        self.opened: list[KeyRef] = []
        self.now = 1000.0
        self.revoked = False
        self.wait = 0.0

    def open(self, ref: KeyRef) -> OpenKeyset:
        if self.revoked:
            raise KekError("revoked")
        self.opened.append(ref)
        time.sleep(self.wait)
        text = keyset_json([TestKey(key_id=ref.key_id, raw=bytes(32))], primary=ref.key_id)
        return load_keyset(text)

    def cache(self, *, size: int = 4, jitter: float = 0.2) -> OpenCache[OpenKeyset]:
        return OpenCache(self.open, size=size, seconds=300, jitter=jitter, clock=lambda: self.now)


def refs(count: int) -> list[KeyRef]:
    return [replace(REF, key_id=at + 1) for at in range(count)]


def test_a_ref_is_opened_once_until_it_expires() -> None:
    door = Door()
    cache = door.cache(jitter=0.0)
    first = cache.get(REF)
    door.now += 299.9
    assert cache.get(replace(REF)) is first
    door.now += 0.1
    assert cache.get(REF) is not first
    assert len(door.opened) == 2


def test_expiries_are_spread() -> None:
    door = Door()
    cache = door.cache(size=100)
    many = refs(100)
    for ref in many:
        cache.get(ref)
    door.opened.clear()
    spans: list[float] = []
    for at in range(230, 372, 2):
        door.now = 1000.0 + at
        before = len(door.opened)
        for ref in many:
            if ref not in door.opened:
                cache.get(ref)
        spans += [at] * (len(door.opened) - before)
    assert len(spans) == 100
    assert min(spans) >= 240
    assert max(spans) <= 362
    assert len(set(spans)) > 20


def test_a_revocation_takes_effect_after_one_expiry() -> None:
    door = Door()
    cache = door.cache()
    cache.get(REF)
    door.revoked = True
    cache.get(REF)
    door.now += 361
    with pytest.raises(KekError, match="revoked"):
        cache.get(REF)
    door.now -= 361
    with pytest.raises(KekError, match="revoked"):
        cache.get(REF)
    door.revoked = False
    cache.get(REF)


def test_the_least_recently_used_goes_first() -> None:
    door = Door()
    cache = door.cache(size=3)
    a, b, c, d = refs(4)
    for ref in (a, b, c, a, d, a, c, b):
        cache.get(ref)
    assert door.opened == [a, b, c, d, b]
    assert len(cache._slots) == 3


def test_what_has_expired_does_not_linger() -> None:
    door = Door()
    cache = door.cache()
    a, b, _, _ = refs(4)
    cache.get(a)
    door.now += 400
    cache.get(b)
    assert list(cache._slots) == [b.digest]


def test_threads_open_a_ref_once_and_do_not_hold_each_other_up() -> None:
    door = Door()
    door.wait = 0.2
    cache = door.cache(size=8)
    many = refs(4) * 6
    got: list[OpenKeyset] = []
    threads = [threading.Thread(target=lambda ref=ref: got.append(cache.get(ref))) for ref in many]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(door.opened) == 4
    assert len(got) == 24
    assert len({id(each) for each in got}) == 4
    assert time.perf_counter() - began < 4 * 0.2


def test_threads_at_the_bound() -> None:
    door = Door()
    cache = door.cache(size=2)
    wrong: list[object] = []

    def work(ref: KeyRef) -> None:
        wrong.extend(ref for _ in range(50) if cache.get(ref).key_id != ref.key_id)

    threads = [threading.Thread(target=work, args=(ref,)) for ref in refs(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cache._slots) <= 2


def child(ref: KeyRef, answers: multiprocessing.SimpleQueue[int]) -> None:
    answers.put(open_ref(ref).key_id)


def test_a_fork_while_the_lock_is_held(kek: str) -> None:
    from privpipe.keys import _cache

    ref = generate_wrapped("table:a", "AES256_GCM", kek)
    open_ref(ref)
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.SimpleQueue[int] = context.SimpleQueue()
    with _cache._CACHE._lock:
        process = context.Process(target=child, args=(ref, answers))
        process.start()
    process.join(timeout=20)
    assert process.exitcode == 0
    assert answers.get() == ref.key_id


def test_open_ref_keeps_what_it_opened(kek: str) -> None:
    ref = generate_wrapped("table:a", "AES256_GCM", kek)
    keyset = open_ref(ref)
    Path(kek.removeprefix("file:")).unlink()
    assert open_ref(ref) is keyset


def test_what_does_not_open_is_not_kept(kek: str) -> None:
    ref = generate_wrapped("table:a", "AES256_GCM", kek)
    bad = replace(ref, wrapped="no JSON")
    for _ in range(2):
        with pytest.raises(KeysetError):
            open_ref(bad)
    assert open_ref(ref).key_id == ref.key_id
