"""The face that Tink has for this room, typed: Tink ships no stubs.

Only this file and `_secret.py` import Tink. It costs some 60 ms, so they are imported where a
keyset is opened, never where one is only listed.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Protocol, cast

import tink
from tink import aead, daead, prf

from privpipe.errors import KeysetError, UnwrapError
from privpipe.keys._primitives import Primitive

aead.register()
daead.register()
prf.register()


class Aead(Protocol):
    """Tink's AEAD interface: a KEK behind any door."""

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """One ciphertext."""

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        """The inverse; raises where it does not authenticate."""


class Handle(Protocol):
    """A keyset inside Tink: it prints its ids only, and Tink refuses to pickle it."""

    def keyset_info(self) -> object:
        """Ids, types and statuses, no key."""


def generate(primitive: Primitive) -> Handle:
    """A keyset of one fresh key with prefix TINK, made by Tink from its own template."""
    return cast("Handle", tink.new_keyset_handle(attrgetter(primitive.template)(tink)))


def aead_of(handle: Handle) -> Aead:
    """Tink's own AEAD over a keyset; KeysetError where it is no AEAD keyset or a key is off."""
    try:
        return cast("Aead", handle.primitive(aead.Aead))  # type: ignore[attr-defined]
    except tink.TinkError:
        raise KeysetError("Tink can make no AEAD of this keyset") from None


def wrap(handle: Handle, kek: Aead, associated_data: bytes) -> str:
    """Tink's encrypted-keyset JSON."""
    return cast(
        "str", tink.json_proto_keyset_format.serialize_encrypted(handle, kek, associated_data)
    )


def unwrap(wrapped: str, kek: Aead, associated_data: bytes) -> Handle:
    """The inverse of `wrap`; UnwrapError where it does not authenticate."""
    try:
        return cast(
            "Handle", tink.json_proto_keyset_format.parse_encrypted(wrapped, kek, associated_data)
        )
    except tink.TinkError:
        raise UnwrapError("the wrapped keyset does not open") from None


def wrap_bytes(content: bytes, kek: Aead, associated_data: bytes) -> bytes:
    """The KEK's ciphertext of a key that is no keyset of Tink's."""
    return kek.encrypt(content, associated_data)


def unwrap_bytes(ciphertext: bytes, kek: Aead, associated_data: bytes) -> bytes:
    """The inverse of `wrap_bytes`; UnwrapError where it does not authenticate."""
    try:
        return kek.decrypt(ciphertext, associated_data)
    except tink.TinkError:
        raise UnwrapError("the wrapped key does not open") from None
