"""What a wrapped keyset says about itself in clear: no KEK, no Tink, no KMS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from privpipe.errors import KeysetError
from privpipe.keys._primitives import TYPE_PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """One key of a keyset, as its clear `keysetInfo` gives it.

    `type` is Tink's name (`AesGcmKey`), `status` ENABLED, DISABLED or DESTROYED, `prefix` TINK,
    RAW, CRUNCHY or LEGACY. This text is not authenticated: fit to show and to look up by, while
    opening the keyset decides.
    """

    key_id: int
    status: str
    type: str
    prefix: str
    primary: bool


def keyset_info(wrapped: str) -> tuple[KeyInfo, ...]:
    """The keys of a wrapped keyset in their order; KeysetError where the JSON is not one."""
    info = parse_wrapped(wrapped).get("keysetInfo")
    keys = info.get("keyInfo") if isinstance(info, dict) else None
    if not isinstance(info, dict) or not isinstance(keys, list) or not keys:
        raise KeysetError(
            "the wrapped keyset carries no keysetInfo",
            hint="it was written without it: open it, and wrap it again with privpipe",
        )
    primary = _number(info.get("primaryKeyId"))
    return tuple(_key_info(key, primary) for key in keys)


def parse_wrapped(wrapped: str) -> dict[str, Any]:
    """The JSON object of an encrypted keyset; KeysetError says what else it is."""
    try:
        parsed = json.loads(wrapped)
    except (ValueError, RecursionError):
        raise KeysetError("the wrapped keyset is not JSON", hint=_RESTORE) from None
    if isinstance(parsed, dict) and isinstance(parsed.get("encryptedKeyset"), str):
        return parsed
    if isinstance(parsed, dict) and "key" in parsed:
        raise KeysetError(
            "this keyset is in clear, not wrapped",
            hint="whoever could read it has its keys: make a new one and encrypt anew",
        )
    raise KeysetError("not Tink's encrypted-keyset JSON", hint=_RESTORE)


def _key_info(key: object, primary: int) -> KeyInfo:
    if not isinstance(key, dict):
        raise KeysetError("the wrapped keyset's keysetInfo is malformed", hint=_RESTORE)
    key_id = _number(key.get("keyId"))
    return KeyInfo(
        key_id=key_id,
        status=str(key.get("status", "UNKNOWN_STATUS")),
        type=str(key.get("typeUrl", "")).removeprefix(TYPE_PREFIX),
        prefix=str(key.get("outputPrefixType", "UNKNOWN_PREFIX")),
        primary=key_id == primary,
    )


def _number(value: object) -> int:
    # proto3 JSON allows an integer to be written as a string
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise KeysetError("the wrapped keyset's keysetInfo is malformed", hint=_RESTORE)


_RESTORE = "restore it from a backup: privpipe keys restore"
