"""`open_foreign`: columns that other programs encrypted, opened with a key in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import BinaryType, StringType

from privpipe.arrow import decode
from privpipe.errors import KeysetNotFound, UsageError
from privpipe.kernels import parse_vault
from privpipe.keys import (
    KeyRef,
    Keyring,
    open_fernet_file,
    open_fernet_ref,
    open_vault_file,
)
from privpipe.spark._imported import IMPORTED_HEAD, imported_ref
from privpipe.spark._opened import Opening, Pick, by_group, key_file, open_leaves, opened_values

__all__ = ["open_foreign"]

Format = Literal["vault", "fernet", "dlp"]
_KINDS = MappingProxyType({"string": StringType(), "binary": BinaryType()})


def open_foreign(  # noqa: PLR0913 (what each format asks for)
    df: DataFrame,
    column: str,
    *,
    format: Format,  # noqa: A002 (what it is)
    key: str,
    type: Literal["string", "binary"] = "string",  # noqa: A002 (as in the policy)
    aad: bytes = b"",
    ttl: int | None = None,
    on_error: Literal["fail", "null"] = "fail",
    keys: Keyring | None = None,
) -> DataFrame:
    """`df` with `column` (a path: `card`, `visits[].note`) opened; all others as they are.

    `format` is "fernet" (`key`: a file of the 44 characters of a Fernet key) or "vault" (Vault's
    transit engine; a file of the exported key in base64, or of `{"1": ..., "2": ...}` by version;
    `aad` where one was given to Vault). The file's mode is 0600, and every executor has it at the
    same path. A Fernet key that `privpipe keys import` keeps is `key="imported:NAME"`, with
    `keys=home.keys`. A Fernet token older than `ttl` seconds, or from the future, does not open.
    Surrogates of Google's DLP ("dlp") are refused: how it derives its key is not public.

    Lazy: a value that does not open raises InvalidValue or DecryptionError when it is read, or
    becomes null under `on_error="null"`. A file that is missing, or a key version that it lacks,
    is an error in either case.
    """
    if format not in _OPENERS:
        raise _refused(format)
    if type not in _KINDS:
        raise UsageError(f"no type {type!r} here", hint="string or binary, and cast that")
    if format == "fernet" and aad:
        raise UsageError("Fernet has no associated data")
    if ttl is not None and (format != "fernet" or ttl < 0):
        raise UsageError(
            f"a ttl of {ttl} for {format}",
            hint="`ttl` is for Fernet: seconds, not below 0, that a token may be old",
        )
    place = _place(format, key, keys)
    task = _Task(format=format, key=place, aad=aad, ttl=ttl, skip=on_error == "null")
    work = partial(_work, task, pa.string() if type == "string" else pa.binary())
    return open_leaves(df, [Opening(text=column, kind=_KINDS[type], work=work)], on_error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    format: str
    key: str | KeyRef
    aad: bytes
    ttl: int | None
    skip: bool


def _place(format: str, key: str, keys: Keyring | None) -> str | KeyRef:  # noqa: A002 (as above)
    if not str(key).startswith(IMPORTED_HEAD):
        return key_file(key)
    if format != "fernet":
        raise UsageError(f"an imported key opens no {format}", hint="name the key's file")
    if keys is None:
        raise UsageError("an imported key is in a project's catalog", hint="give keys=home.keys")
    return imported_ref(keys, key, "FERNET")


def _work(task: _Task, kind: pa.DataType, values: pa.Array) -> pa.Array:
    opened = opened_values(partial(_OPENERS[task.format], task), values, skip=task.skip)
    return decode(opened, kind)


def _fernet(task: _Task, values: pa.Array) -> pa.Array:
    key = task.key
    kernel = open_fernet_file(key) if isinstance(key, str) else open_fernet_ref(key)
    return kernel.decrypt(values, now=int(time.time()), ttl=task.ttl)


def _vault(task: _Task, values: pa.Array) -> pa.Array:
    file = str(task.key)
    keys = open_vault_file(file)
    sealed, versions = parse_vault(values)

    def opened(version: int, pick: Pick) -> pa.Array:
        # A key without a version is tried on all.
        key = keys.get(version, keys.get(0))
        if key is None:
            raise KeysetNotFound(
                f"the key file has no version {version}",
                where=file,
                hint=f"it has: {', '.join(map(str, sorted(keys)))}; export the key again",
            )
        return key.decrypt(pick(sealed), task.aad)

    return by_group(versions.dictionary_encode(), opened)


_OPENERS: Mapping[str, Callable[[_Task, pa.Array], pa.Array]] = MappingProxyType(
    {"fernet": _fernet, "vault": _vault}
)


def _refused(format: str) -> UsageError:  # noqa: A002 (as above)
    if format == "dlp":
        return UsageError(
            "surrogates of Google's DLP open nowhere but there: how it expands its key and puts "
            "the context in is not public",
            hint="reidentify them with DLP; `privpipe.kernels.parse_dlp` takes them apart",
        )
    return UsageError(f"unknown format {format!r}", hint=f"one of {', '.join(_OPENERS)}")
