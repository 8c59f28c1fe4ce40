"""Where `protect` gets its keys from."""

from __future__ import annotations

from typing import Protocol

from privpipe.keys._opener import OpenerRef
from privpipe.keys._ref import KeyRef


class Keyring(Protocol):
    """The keysets of a project, by scope and primitive: a catalog's, or a test's own.

    `opener` is what leads to the private key that opens sealed columns, if there is one.
    """

    opener: OpenerRef | None

    def ref(self, scope: str, primitive: str, *, family: str | None = None) -> KeyRef:
        """The keyset's ref; makes and stores the keyset where there is none yet.

        `family` is what a domain's values are (text, integer, …): fixed at first use.
        """

    def find(self, scope: str, primitive: str) -> KeyRef | None:
        """The keyset's ref, or None where there is none."""
