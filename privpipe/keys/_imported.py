"""Keys that others made, kept in the catalog: wrapped under the KEK like a keyset, but no keyset.

What is wrapped is the key as its file has it: the 44 characters of a Fernet key, or a private key's
PEM without a passphrase. Around it stands the JSON of a wrapped keyset, so that whatever lists or
backs up keysets takes it for one more; it is bound to its name and kind as those to their scope.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import replace
from hmac import compare_digest
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from privpipe.errors import KeysetError, SecretTravels, UnwrapError
from privpipe.keys._info import parse_wrapped
from privpipe.keys._primitives import IMPORTED, associated_data
from privpipe.keys._ref import KeyRef
from privpipe.keys._secret_file import FileWords, read_secret_file
from privpipe.keys.kms import open_kek

if TYPE_CHECKING:
    from privpipe.kernels import Fernet, Opener
    from privpipe.keys._secret import Secret

__all__ = [
    "ForeignKey",
    "has_passphrase",
    "import_scope",
    "open_imported",
    "read_key_file",
    "read_passphrase",
]

SCOPE = "imported:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_TYPES = {"FERNET": "privpipe/FernetKey", "PEM": "privpipe/PrivateKey"}
_ID = b"pp1:id"


class ForeignKey:
    """A key of others, in use only to be wrapped. `key_id` is what the catalog calls it: of a
    private key the fingerprint of its pair."""

    __slots__ = ("_secret", "key_id", "kind")

    def __init__(self, kind: str, secret: Secret) -> None:
        self.kind = kind
        self.key_id = secret.key_id
        self._secret = secret

    def wrapped(self, name: str, kek_uri: str) -> KeyRef:
        """The key wrapped under the KEK, bound to its name and kind."""
        from privpipe.keys import _tink

        scope = import_scope(name)
        bound, kek = associated_data(scope, self.kind), open_kek(kek_uri)
        blob = self._secret.into(lambda content: _tink.wrap_bytes(content, kek, bound))
        return KeyRef(
            scope=scope,
            primitive=self.kind,
            wrapped=_as_keyset(blob, self.kind, self.key_id),
            kek_uri=kek_uri,
            key_id=self.key_id,
        )

    def is_in(self, ref: KeyRef) -> bool:
        """Whether the key behind `ref`, opened anew through its KEK, is this one."""
        there = _opened(ref)
        return self.kind == ref.primitive and self._secret.into(
            lambda ours: there.into(lambda theirs: compare_digest(ours, theirs))
        )

    def __repr__(self) -> str:
        return f"<ForeignKey {self.kind} {self.key_id}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretTravels("a key does not travel", hint="send its `KeyRef` instead")


def import_scope(name: str) -> str:
    """The scope of an imported key, `imported:<name>`; KeysetError where the name will not do."""
    if not _NAME.fullmatch(name):
        raise KeysetError(
            "a key's name has letters, digits, `.`, `_` and `-`, and begins with one of the former",
            hint="for example: privpipe keys import legacy --fernet secrets/fernet",
        )
    return SCOPE + name


def read_key_file(path: Path, kind: str, passphrase: bytes | None = None) -> ForeignKey:
    """The key in a file, mode 0600, of the kind FERNET or PEM: KeysetError where it holds none."""
    content = read_secret_file(path, _WORDS)
    try:
        return ForeignKey(kind, _checked(content, kind, passphrase))
    except KeysetError as error:
        raise KeysetError(error.message, where=str(path), hint=error.hint) from None


def has_passphrase(path: Path) -> bool:
    """Whether the private key in a file is locked by one."""
    from privpipe.kernels import is_locked

    return is_locked(read_secret_file(path, _WORDS))


def read_passphrase(path: Path) -> bytes:
    """The passphrase in a file, mode 0600, without the newline at its end."""
    passphrase = read_secret_file(path, replace(_WORDS, name="passphrase file"))
    return passphrase.removesuffix(b"\n").removesuffix(b"\r")


def open_imported(ref: KeyRef) -> Fernet | Opener:
    """The kernel of an imported key, opened anew through its KEK.

    KekError (the KEK), UnwrapError (another KEK, name, kind or key id than it was wrapped for).
    """
    from privpipe.kernels import Fernet, Opener

    secret = _opened(ref)
    if secret.key_id != ref.key_id:
        raise UnwrapError(
            f"the catalog names key {ref.key_id}, while the imported key is {secret.key_id}",
            where=f"{ref.scope} {ref.primitive}",
            hint="the catalog's row was changed: restore it with privpipe keys restore",
        )
    if ref.primitive == "PEM":
        return secret.into(Opener)
    return secret.into(lambda content: Fernet(Fernet.parse_key(content.decode())))


def _opened(ref: KeyRef) -> Secret:
    from privpipe.keys import _tink

    where = f"{ref.scope} {ref.primitive}"
    if ref.primitive not in IMPORTED:
        raise KeysetError("a keyset, and no imported key", where=where)
    blob = _blob(ref.wrapped, where)
    kek = open_kek(ref.kek_uri)
    try:
        content = _tink.unwrap_bytes(blob, kek, associated_data(ref.scope, ref.primitive))
    except UnwrapError:
        raise UnwrapError(
            "the imported key does not open under this KEK for this name and kind",
            where=where,
            hint=f"is {ref.kek_uri} the KEK it was wrapped under? If so, the catalog's row was "
            "changed or swapped: restore it with privpipe keys restore",
        ) from None
    return _checked(content, ref.primitive, None)


def _checked(content: bytes, kind: str, passphrase: bytes | None) -> Secret:
    """The key of this content in the one form that is wrapped."""
    from privpipe.kernels import Fernet, key_fingerprint, unlocked
    from privpipe.keys._secret import Secret

    if kind == "PEM":
        pem = unlocked(content, passphrase)
        return Secret(key_fingerprint(pem), pem)
    text = content.decode("ascii", "replace").strip()
    if "-----BEGIN" in text:
        raise KeysetError("a PEM file, and no Fernet key", hint="a private key takes --pem")
    raw = Fernet.parse_key(text)
    number = Secret(0, raw).derived_into(_ID, 4, lambda four: int.from_bytes(four, "big"))
    return Secret(number, text.encode())


def _as_keyset(blob: bytes, kind: str, key_id: int) -> str:
    key = {
        "typeUrl": _TYPES[kind],
        "status": "ENABLED",
        "keyId": key_id,
        "outputPrefixType": "RAW",
    }
    return json.dumps(
        {
            "encryptedKeyset": base64.b64encode(blob).decode(),
            "keysetInfo": {"primaryKeyId": key_id, "keyInfo": [key]},
        }
    )


def _blob(wrapped: str, where: str) -> bytes:
    try:
        return base64.b64decode(parse_wrapped(wrapped)["encryptedKeyset"], validate=True)
    except (binascii.Error, ValueError):
        raise KeysetError(
            "the wrapped key is not base64",
            where=where,
            hint="restore it from a backup: privpipe keys restore",
        ) from None


_WORDS = FileWords(
    name="key file",
    error=KeysetError,
    placed="name a file that is here: it is read once, on this machine alone",
    made="name the file itself",
)
