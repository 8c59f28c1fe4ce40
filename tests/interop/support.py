"""What the interop tests share: the records, and Tink's own primitive over any keyset."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tink
from tink import aead, cleartext_keyset_handle, daead

aead.register()
daead.register()

Record = dict[str, Any]


def records(vectors: Path, family: str, part: str) -> list[Record]:
    """The records of one part of a family's file."""
    found: list[Record] = json.loads((vectors / f"{family}.json").read_text("utf-8"))[part]
    assert found
    return found


def json_keyset(proto_b64: str) -> str:
    """A binary keyset as JSON; Tink checks nothing on the way."""
    if not proto_b64:
        return "{}"
    text = io.StringIO()
    keyset = tink.BinaryKeysetReader(base64.b64decode(proto_b64)).read()
    tink.JsonKeysetWriter(text).write(keyset)
    return text.getvalue()


class Tink:
    """The real library over a cleartext JSON keyset."""

    def __init__(self, text: str, *, deterministic: bool) -> None:
        handle = cleartext_keyset_handle.read(tink.JsonKeysetReader(text))
        self.encrypt: Callable[[bytes, bytes], bytes]
        self.decrypt: Callable[[bytes, bytes], bytes]
        if deterministic:
            siv = handle.primitive(daead.DeterministicAead)
            self.encrypt = siv.encrypt_deterministically
            self.decrypt = siv.decrypt_deterministically
        else:
            gcm = handle.primitive(aead.Aead)
            self.encrypt, self.decrypt = gcm.encrypt, gcm.decrypt
