"""`OpenerRef`: what travels in place of the private key that opens sealed columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from privpipe.errors import KeysetError
from privpipe.keys._cache import open_private_ref
from privpipe.keys._key_files import open_private_file
from privpipe.keys._ref import KeyRef

if TYPE_CHECKING:
    from privpipe.kernels import Opener

__all__ = ["OpenerRef", "opener_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenerRef:
    """Where a private key is to be had: a file, or a wrapped key. Holds no key.

    `fingerprint` is the id of the pair, as it was when this was made.
    """

    place: str | KeyRef
    fingerprint: int

    def open(self) -> Opener:
        """What opens sealed columns, here; KeysetError where another key is there now."""
        opened = _open(self.place)
        if opened.fingerprint != self.fingerprint:
            raise KeysetError(
                f"the private key here is {opened.fingerprint}, and {self.fingerprint} on the "
                "machine where the job began",
                where=self.place if isinstance(self.place, str) else self.place.scope,
                hint="the same file must be at this path on the driver and on every executor",
            )
        return opened


def opener_of(place: str | KeyRef) -> OpenerRef:
    """The private key of a file (its absolute path) or of an imported key, opened once."""
    return OpenerRef(place=place, fingerprint=_open(place).fingerprint)


def _open(place: str | KeyRef) -> Opener:
    return open_private_file(place) if isinstance(place, str) else open_private_ref(place)
