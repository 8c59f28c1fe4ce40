"""The private key that opens sealed columns: a PEM file that its owner alone may read."""

from __future__ import annotations

from pathlib import Path

from privpipe.errors import KekError, KeysetError
from privpipe.keys.kms import read_secret_file

__all__ = ["read_private"]


def read_private(path: str) -> bytes:
    """The bytes of a private key's file, mode 0600; KeysetError where it cannot be had."""
    try:
        return read_secret_file(Path(path))
    except KekError as error:
        text = error.message.replace("KEK file", "private key's file").replace("KEK", "private key")
        hint = (error.hint or "").replace("a file: KEK", "a private key").replace("KEK", "key")
        raise KeysetError(text, where=error.where, hint=hint) from None
