"""All wrapped keysets as one text, to survive the loss of the catalog. Holds no key in clear."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from privpipe.errors import KeysetError
from privpipe.keys._info import keyset_info
from privpipe.keys._primitives import associated_data
from privpipe.keys._ref import KeyRef

FORMAT = 1


def backup_text(refs: Iterable[KeyRef]) -> str:
    """JSON `{"privpipe_backup": 1, "keysets": [...], "digest": sha256}`.

    The digest tells a file that was cut or edited; what authenticates a keyset is its wrapping.
    """
    keysets = [
        {
            "scope": ref.scope,
            "primitive": ref.primitive,
            "family": ref.family,
            "key_id": ref.key_id,
            "kek_uri": ref.kek_uri,
            "wrapped": ref.wrapped,
        }
        for ref in refs
    ]
    document = {"privpipe_backup": FORMAT, "keysets": keysets, "digest": _digest(keysets)}
    return json.dumps(document, indent=1) + "\n"


def parse_backup(text: str) -> tuple[KeyRef, ...]:
    """The refs of a backup, in its order; KeysetError where it is cut, changed or no backup."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise KeysetError("the backup is not JSON, or was cut short", hint=_OTHER) from None
    if not isinstance(document, dict) or "privpipe_backup" not in document:
        raise KeysetError("this file is no backup of privpipe keysets", hint=_OTHER)
    if document["privpipe_backup"] != FORMAT:
        raise KeysetError(
            f"the backup's format is not {FORMAT}",
            hint="a newer privpipe wrote it: restore it with that version",
        )
    keysets = document.get("keysets")
    if not isinstance(keysets, list) or document.get("digest") != _digest(keysets):
        raise KeysetError("the backup's digest does not match: cut or edited", hint=_OTHER)
    return tuple(_ref(at, keyset) for at, keyset in enumerate(keysets))


def _digest(keysets: list[Any]) -> str:
    text = json.dumps(keysets, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_FIELDS = {"scope": str, "primitive": str, "wrapped": str, "kek_uri": str, "key_id": int}


def _ref(at: int, keyset: object) -> KeyRef:
    where = f"keyset {at + 1} of the backup"
    if not isinstance(keyset, dict) or any(
        type(keyset.get(name)) is not kind for name, kind in _FIELDS.items()
    ):
        raise KeysetError("a field is missing or of the wrong type", where=where, hint=_OTHER)
    family = keyset.get("family")
    if not isinstance(family, str | None):
        raise KeysetError("its family is no text", where=where, hint=_OTHER)
    ref = KeyRef(**{name: keyset[name] for name in _FIELDS}, family=family)
    associated_data(ref.scope, ref.primitive)
    if all(key.key_id != ref.key_id for key in keyset_info(ref.wrapped)):
        raise KeysetError("its key id is not in its keyset", where=where, hint=_OTHER)
    return ref


_OTHER = "take another copy of the backup"
