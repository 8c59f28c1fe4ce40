"""The doors to key-encryption keys: one file a provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from privpipe.errors import KekError
from privpipe.keys.kms import _file
from privpipe.keys.kms._file import generate_kek

if TYPE_CHECKING:
    from privpipe.keys._tink import Aead

__all__ = ["DOORS", "generate_kek", "open_kek"]

DOORS: Mapping[str, Callable[[str], Aead]] = MappingProxyType({"file": _file.open_uri})


def open_kek(uri: str) -> Aead:
    """The KEK behind a URI as a Tink AEAD; KekError where it cannot be had.

    `file:/absolute/path` is a Tink JSON keyset in a file that its owner alone may read.
    """
    scheme, colon, _ = uri.partition(":")
    door = DOORS.get(scheme) if colon else None
    if door is None:
        known = ", ".join(f"{name}:" for name in sorted(DOORS))
        raise KekError("no door leads to this KEK", where=uri, hint=f"known doors: {known}")
    return door(uri)
