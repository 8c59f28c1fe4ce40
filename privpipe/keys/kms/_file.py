"""The file door: a KEK as a Tink JSON keyset in a file of mode 0600.

The same path must hold the same file wherever a keyset is opened: on the driver and on every
executor.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from privpipe.errors import KekError, KeysetError
from privpipe.keys._primitives import TYPE_PREFIX, primitive_named, type_named
from privpipe.keys._secret_file import FileWords, read_secret_file

if TYPE_CHECKING:
    from privpipe.keys._tink import Aead


def open_uri(uri: str) -> Aead:
    """The KEK of a `file:` URI; KekError says what is wrong with it and what to do."""
    path = _path(uri)
    return _parse(read_secret_file(path, _WORDS), str(path))


def generate_kek(path: Path) -> str:
    """A new KEK at an absolute path, mode 0600; its URI. KekError where something is there.

    The file appears whole or not at all: it is written under another name in the same folder,
    synced, then linked to its own, which fails where that exists.
    """
    from privpipe.keys import _secret, _tink

    if not path.is_absolute():
        raise KekError("a KEK's path must be absolute", where=str(path), hint=_ABSOLUTE)
    text = _secret.clear_json(_tink.generate(primitive_named("AES256_GCM")))
    try:
        _make_folder(path.parent)
        _write_new(path, text.encode())
    except FileExistsError:
        raise KekError(
            "something is there already, and a KEK is never overwritten",
            where=str(path),
            hint="use that KEK, or choose another path: without its KEK no keyset opens again",
        ) from None
    except OSError as error:
        raise KekError(
            f"the KEK file cannot be made: {os.strerror(error.errno or 0)}",
            where=str(path),
            hint="choose a folder on a local disk that you may write to",
        ) from None
    return f"file:{path}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def _write_new(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(temporary, flags, 0o600), "wb") as file:  # noqa: PTH123 (a descriptor)
        try:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _path(uri: str) -> Path:
    text = uri.removeprefix("file:")
    if text.startswith("///"):  # file:///path, with an empty host
        text = text[2:]
    if not text.startswith("/") or text.startswith("//") or "\0" in text:
        raise KekError("a KEK's path must be absolute", where=uri, hint=_ABSOLUTE)
    return Path(text)


def _parse(content: bytes, where: str) -> Aead:
    from privpipe.keys import _secret, _tink

    text = _keyset_text(content, where)
    try:
        handle = _secret.parse_clear(text)
    except KeysetError:
        raise KekError(
            "the KEK file is a damaged Tink keyset, or has no enabled primary key",
            where=where,
            hint=_BACKUP,
        ) from None
    _check_keys(text, where)
    try:
        return _tink.aead_of(handle)
    except KeysetError:
        raise KekError(
            "a key in the KEK file has a wrong length or version", where=where, hint=_BACKUP
        ) from None


def _keyset_text(content: bytes, where: str) -> str:
    if not content:
        raise KekError("the KEK file is empty", where=where, hint=_BACKUP)
    try:
        text = content.decode()
        keyset = json.loads(text)
    except (ValueError, RecursionError):
        raise KekError("the KEK file is not JSON", where=where, hint=_BACKUP) from None
    if isinstance(keyset, dict) and "encryptedKeyset" in keyset:
        raise KekError("the KEK file is itself a wrapped keyset", where=where, hint=_MAKE)
    if not isinstance(keyset, dict) or "key" not in keyset:
        raise KekError("the KEK file is JSON, but no Tink keyset", where=where, hint=_MAKE)
    return text


_AEADS = frozenset(
    TYPE_PREFIX + name
    for name in (
        "AesCtrHmacAeadKey",
        "AesEaxKey",
        "AesGcmKey",
        "AesGcmSivKey",
        "ChaCha20Poly1305Key",
        "XAesGcmKey",
        "XChaCha20Poly1305Key",
    )
)


def _check_keys(text: str, where: str) -> None:
    """Tink has parsed the text before, so its shape is known."""
    for key in json.loads(text)["key"]:
        kind = key.get("keyData", {}).get("typeUrl", "")
        if key.get("status") == "ENABLED" and kind not in _AEADS:
            raise KekError(
                f"the KEK file holds a key of {type_named(kind)}, which wraps no keys",
                where=where,
                hint=_MAKE,
            )


_ABSOLUTE = "write file:/the/whole/path, the same on the driver and on every executor"
_MAKE = "a KEK is a Tink AEAD keyset as `privpipe init` makes it: check `kek:` in privpipe.yaml"
_BACKUP = "put the KEK file back from its backup; another KEK opens none of its keysets"

_WORDS = FileWords(
    name="KEK file",
    error=KekError,
    placed="a file: KEK must be at this very path, mode 0600, on the driver and on every "
    "executor: copy it there, or check `kek:` in privpipe.yaml",
    made=_MAKE,
)
