"""Keys that other programs made, each in a file that its owner alone may read.

An executor opens them where it works, by the path alone: no key is in a plan or a closure. What is
open is kept while the file stays as it is; once it is gone, or open to others, so is the key.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from privpipe.errors import KeysetError
from privpipe.keys._keyset import load_keyset
from privpipe.keys._secret_file import FileWords, read_secret_file

if TYPE_CHECKING:
    from privpipe.kernels import AesGcm, Fernet, Opener
    from privpipe.keys._open import OpenKeyset

__all__ = ["open_fernet_file", "open_keyset_file", "open_private_file", "open_vault_file"]


def open_keyset_file(path: str) -> OpenKeyset:
    """The keyset in a file of Tink's cleartext JSON, mode 0600.

    KeysetError where the file cannot be had, or Tink refuses it.
    """
    opened: OpenKeyset = _opened(_keyset, path)
    return opened


def open_fernet_file(path: str) -> Fernet:
    """The kernel of a Fernet key in its usual form of 44 characters, in a file, mode 0600."""
    opened: Fernet = _opened(_fernet, path)
    return opened


def open_vault_file(path: str) -> Mapping[int, AesGcm]:
    """Exported keys of Vault's transit engine by version, from a file, mode 0600.

    The file holds one key as base64, which stands under version 0, or what
    `transit/export/encryption-key` gives as JSON: `{"1": "...", "2": "..."}`, also inside Vault's
    whole answer.
    """
    opened: Mapping[int, AesGcm] = _opened(_vault, path)
    return opened


def open_private_file(path: str) -> Opener:
    """What opens sealed columns, of a private key's PEM file, mode 0600."""
    opened: Opener = _opened(_private, path)
    return opened


def _opened(build: Callable[[bytes], Any], path: str) -> Any:
    try:
        found = Path(path).stat()
    except OSError:
        return _built(build, path)
    # A change of content, owner or mode changes one of these.
    return _kept(build, path, (found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size))


@lru_cache(maxsize=64)
def _kept(build: Callable[[bytes], Any], path: str, _stamp: tuple[int, ...]) -> Any:
    return _built(build, path)


def _built(build: Callable[[bytes], Any], path: str) -> Any:
    """What `build` makes of the file's bytes; KeysetError, with the path, where it cannot."""
    content = read_secret_file(Path(path), _WORDS)
    try:
        return build(content)
    except KeysetError as error:
        raise KeysetError(error.message, where=path, hint=error.hint) from None


_WORDS = FileWords(
    name="key file",
    error=KeysetError,
    placed="check the path; on a cluster every executor needs it at this very path, mode 0600, "
    "owned by the user that runs Spark; or `privpipe keys import` keeps it in the catalog",
    made="name the file that holds the key",
)


def _text(content: bytes) -> str:
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        raise KeysetError("the key file is not text") from None


def _private(content: bytes) -> Opener:
    from privpipe.kernels import Opener

    return Opener(content)


def _keyset(content: bytes) -> OpenKeyset:
    opened = load_keyset(_text(content))
    if not opened.type_url.endswith(("AesGcmKey", "AesSivKey")):
        raise KeysetError("a keyset that encrypts nothing", hint="it must be of AES-GCM or AES-SIV")
    return opened


def _fernet(content: bytes) -> Fernet:
    from privpipe.kernels import Fernet

    return Fernet(Fernet.parse_key(_text(content)))


def _vault(content: bytes) -> Mapping[int, AesGcm]:
    text = _text(content)
    if not text.startswith("{"):
        return MappingProxyType({0: _aes(text)})
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    data = found.get("data", found) if isinstance(found, dict) else None
    keys = data.get("keys", data) if isinstance(data, dict) else None
    if not isinstance(keys, dict) or not keys:
        raise _no_export()
    if not all(name.isdecimal() and name.isascii() for name in keys):
        raise _no_export()
    return MappingProxyType({int(version): _aes(key) for version, key in keys.items()})


def _aes(text: object) -> AesGcm:
    from privpipe.kernels import AesGcm

    try:
        key = base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise _no_export() from None
    if len(key) not in (16, 32):
        raise _no_export()
    return AesGcm(key)


def _no_export() -> KeysetError:
    return KeysetError(
        "not an exported AES-GCM key of Vault: base64 of 16 or 32 bytes, or those by version",
        hint="vault read -format=json transit/export/encryption-key/NAME",
    )
