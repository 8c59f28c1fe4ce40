"""Open keysets of this process, kept for a while."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from secrets import SystemRandom
from typing import TYPE_CHECKING

from privpipe.keys._keyset import open_wrapped
from privpipe.keys._ref import KeyRef

if TYPE_CHECKING:
    from privpipe.keys._open import OpenKeyset

SIZE = 64
SECONDS = 300.0
JITTER = 0.2

# Not `random`: forked workers share its state, and would all come back to the KMS at once.
_uniform = SystemRandom().uniform


class _Slot:
    """A place for one keyset. Its lock lets one thread open while the others wait for it."""

    __slots__ = ("lock", "opened", "until")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: OpenKeyset | None = None
        self.until = 0.0


class OpenCache:
    """At most `size` open keysets, least recently used out first, each for `seconds` ± jitter.

    An entry that has expired is opened anew through its KEK, so a revocation takes effect after
    one expiry; where that fails, the error is raised and the old keyset is gone.
    """

    def __init__(
        self,
        opener: Callable[[KeyRef], OpenKeyset],
        *,
        size: int = SIZE,
        seconds: float = SECONDS,
        jitter: float = JITTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opener = opener
        self._size = size
        self._seconds = seconds
        self._jitter = jitter
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forgets every keyset. With a fresh lock: a fork may have copied one that is held."""
        self._lock = threading.Lock()
        self._slots: OrderedDict[str, _Slot] = OrderedDict()

    def get(self, ref: KeyRef) -> OpenKeyset:
        """The open keyset of a ref, opened at most once an expiry."""
        digest = ref.digest
        with self._lock:
            slot = self._slots.get(digest)
            if slot is None:
                slot = self._slots[digest] = _Slot()
                self._make_room()
            self._slots.move_to_end(digest)
        with slot.lock:
            if slot.opened is None or self._clock() >= slot.until:
                slot.opened = None
                slot.opened = self._opener(ref)
                slot.until = self._clock() + self._seconds * _uniform(
                    1 - self._jitter, 1 + self._jitter
                )
            return slot.opened

    def _make_room(self) -> None:
        now = self._clock()
        for digest, slot in tuple(self._slots.items()):
            if slot.opened is not None and now >= slot.until:
                del self._slots[digest]
        while len(self._slots) > self._size:
            self._slots.popitem(last=False)


_CACHE = OpenCache(open_wrapped)
os.register_at_fork(after_in_child=_CACHE.clear)


def open_ref(ref: KeyRef) -> OpenKeyset:
    """The open keyset of a ref, from this process's cache or opened through its KEK.

    KekError, UnwrapError or KeysetError where it does not open. A ref's keyset is kept for 4 to
    6 minutes.
    """
    return _CACHE.get(ref)
