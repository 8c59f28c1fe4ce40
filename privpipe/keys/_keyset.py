"""Keysets made, wrapped, opened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from privpipe.errors import KeysetError, UnwrapError
from privpipe.keys._info import keyset_info, parse_wrapped
from privpipe.keys._primitives import associated_data, primitive_named
from privpipe.keys._ref import KeyRef
from privpipe.keys.kms import open_kek

if TYPE_CHECKING:
    from privpipe.keys._open import OpenKeyset
    from privpipe.keys._tink import Handle


def generate_wrapped(scope: str, primitive: str, kek_uri: str) -> KeyRef:
    """A new keyset of one key, made by Tink (prefix TINK), wrapped under the KEK.

    It is bound to scope and primitive by its associated data. KekError where the KEK is no use.
    """
    from privpipe.keys import _tink

    bound = associated_data(scope, primitive)
    wrapped = _tink.wrap(_tink.generate(primitive_named(primitive)), open_kek(kek_uri), bound)
    key_id = next(key.key_id for key in keyset_info(wrapped) if key.primary)
    return KeyRef(scope=scope, primitive=primitive, wrapped=wrapped, kek_uri=kek_uri, key_id=key_id)


def rotate_wrapped(ref: KeyRef) -> KeyRef:
    """The keyset behind `ref` with a fresh key as its primary, wrapped anew under its KEK.

    All its earlier keys stay, and still open what they made. Errors as of `open_wrapped`.
    """
    from privpipe.keys import _secret, _tink

    bound = associated_data(ref.scope, ref.primitive)
    fresh = _tink.generate(primitive_named(ref.primitive))
    handle = _secret.with_primary(_unwrapped(ref, bound), fresh)
    wrapped = _tink.wrap(handle, open_kek(ref.kek_uri), bound)
    key_id = next(key.key_id for key in keyset_info(wrapped) if key.primary)
    return replace(ref, wrapped=wrapped, key_id=key_id)


def load_keyset(text: str) -> OpenKeyset:
    """An open keyset from a cleartext Tink JSON keyset: for tests and for import.

    KeysetError where Tink would refuse it, or where a key's type is none of ours.
    """
    from privpipe.keys import _secret

    return _open(_secret.parse_clear(text))


def open_wrapped(ref: KeyRef) -> OpenKeyset:
    """The keyset behind a ref, opened anew through its KEK.

    KekError (the KEK), UnwrapError (another KEK, scope, primitive or key id than it was made
    for), KeysetError (what came out cannot be used).
    """
    where = f"{ref.scope} {ref.primitive}"
    primitive = primitive_named(ref.primitive)
    opened = _open(_unwrapped(ref, associated_data(ref.scope, primitive.name)))
    if opened.type_url != primitive.type_url:
        raise KeysetError("the keyset holds keys of another primitive", where=where)
    if opened.key_id != ref.key_id:
        raise UnwrapError(
            f"the catalog names key {ref.key_id}, while the keyset's primary is {opened.key_id}",
            where=where,
            hint="the catalog's row was changed: restore it with privpipe keys restore",
        )
    return opened


def _unwrapped(ref: KeyRef, bound: bytes) -> Handle:
    from privpipe.keys import _tink

    parse_wrapped(ref.wrapped)
    kek = open_kek(ref.kek_uri)
    try:
        return _tink.unwrap(ref.wrapped, kek, bound)
    except UnwrapError:
        raise UnwrapError(
            "the wrapped keyset does not open under this KEK for this scope and primitive",
            where=f"{ref.scope} {ref.primitive}",
            hint=f"is {ref.kek_uri} the KEK it was wrapped under? If so, the catalog's row was "
            "changed or swapped: restore it with privpipe keys restore",
        ) from None


def _open(handle: Handle) -> OpenKeyset:
    from privpipe.keys._open import OpenKeyset
    from privpipe.keys._secret import read_keys

    return OpenKeyset(read_keys(handle))
