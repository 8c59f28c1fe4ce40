"""The file door: a KEK as a Tink JSON keyset in a file of mode 0600.

The same path must hold the same file wherever a keyset is opened: on the driver and on every
executor.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from privpipe.errors import KekError, KeysetError
from privpipe.keys._primitives import TYPE_PREFIX, primitive_named, type_named

if TYPE_CHECKING:
    from privpipe.keys._tink import Aead

MAX_BYTES = 64 * 1024


def open_uri(uri: str) -> Aead:
    """The KEK of a `file:` URI; KekError says what is wrong with it and what to do."""
    path = _path(uri)
    return _parse(read_secret_file(path), str(path))


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


def read_secret_file(path: Path) -> bytes:
    """The content of a file that nobody but its owner may read or exchange; KekError otherwise."""
    where = str(path)
    try:
        _check_link(path)
        # O_NONBLOCK: a FIFO in its place must not hang the job
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise KekError(
            f"there is no KEK file on the machine {os.uname().nodename}",
            where=where,
            hint="a file: KEK must be at this very path, mode 0600, on the driver and on every "
            "executor: copy it there, or check `kek:` in privpipe.yaml",
        ) from None
    except OSError as error:
        raise KekError(
            f"the KEK file cannot be read: {os.strerror(error.errno or 0)}",
            where=where,
            hint=f"it must belong to the user that runs this: chown {os.geteuid()} {where}",
        ) from None
    try:
        _check_file(os.fstat(descriptor), where)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def _check_link(path: Path) -> None:
    """Refuses a path that another user could turn elsewhere.

    A link of one's own or of root is fine: that is how Kubernetes mounts its secrets.
    """
    if path.lstat().st_uid not in (0, os.geteuid()):
        raise KekError(
            "the KEK file, or the link in its place, belongs to another user",
            where=str(path),
            hint=f"chown {os.geteuid()} {path}",
        )
    folder = path.parent.stat()
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        raise KekError(
            "anyone may put another file in the KEK's place",
            where=str(path),
            hint=f"chmod o-w {path.parent}",
        )


def _check_file(found: os.stat_result, where: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KekError("the KEK is not a regular file", where=where, hint=_MAKE)
    if found.st_uid not in (0, os.geteuid()):
        raise KekError(
            "the KEK file belongs to another user",
            where=where,
            hint=f"chown {os.geteuid()} {where}",
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(found.st_mode)
        raise KekError(
            f"the KEK file's mode is {mode:04o}: others may use it",
            where=where,
            hint=f"chmod 600 {where}",
        )


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
    if len(content) > MAX_BYTES:
        raise KekError("the KEK file is too large to be a keyset", where=where, hint=_MAKE)
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
