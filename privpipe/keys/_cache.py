"""Open keysets of this process, and open keys of others, kept for a while."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from secrets import SystemRandom
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from privpipe.errors import KeysetError
from privpipe.keys._imported import open_imported
from privpipe.keys._keyset import open_wrapped
from privpipe.keys._primitives import IMPORTED
from privpipe.keys._ref import KeyRef

if TYPE_CHECKING:
    from privpipe.kernels import Fernet, Opener
    from privpipe.keys._open import OpenKeyset

T = TypeVar("T")

SIZE = 64
SECONDS = 300.0
JITTER = 0.2

# Not `random`: forked workers share its state, and would all come back to the KMS at once.
_uniform = SystemRandom().uniform


class _Slot(Generic[T]):
    """A place for one keyset. Its lock lets one thread open while the others wait for it."""

    __slots__ = ("lock", "opened", "until")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: T | None = None
        self.until = 0.0


class OpenCache(Generic[T]):
    """At most `size` open keysets, least recently used out first, each for `seconds` ± jitter.

    An entry that has expired is opened anew through its KEK, so a revocation takes effect after
    one expiry; where that fails, the error is raised and the old keyset is gone.
    """

    def __init__(
        self,
        opener: Callable[[KeyRef], T],
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
        self._slots: OrderedDict[str, _Slot[T]] = OrderedDict()

    def get(self, ref: KeyRef) -> T:
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
_IMPORTED = OpenCache(open_imported)
os.register_at_fork(after_in_child=_CACHE.clear)
os.register_at_fork(after_in_child=_IMPORTED.clear)


def open_ref(ref: KeyRef) -> OpenKeyset:
    """The open keyset of a ref, from this process's cache or opened through its KEK.

    KekError, UnwrapError or KeysetError where it does not open. A ref's keyset is kept for 4 to
    6 minutes.
    """
    return _CACHE.get(ref)


def open_fernet_ref(ref: KeyRef) -> Fernet:
    """As `open_ref`, the kernel of an imported Fernet key."""
    return cast("Fernet", _IMPORTED.get(_of_kind(ref, "FERNET")))


def open_private_ref(ref: KeyRef) -> Opener:
    """As `open_ref`, what opens sealed columns, of an imported private key."""
    return cast("Opener", _IMPORTED.get(_of_kind(ref, "PEM")))


def prove_ref(ref: KeyRef, *, anew: bool = False) -> None:
    """Opens whatever a ref leads to, and raises where that fails. `anew`: not from the cache."""
    if ref.primitive in IMPORTED:
        (open_imported if anew else _IMPORTED.get)(ref)
    else:
        (open_wrapped if anew else _CACHE.get)(ref)


def _of_kind(ref: KeyRef, kind: str) -> KeyRef:
    if ref.primitive != kind:
        raise KeysetError(f"a key of the kind {ref.primitive}, where {kind} is wanted")
    return ref
