"""Pseudonyms: a PRF of the context and the typed value, shown in one of four ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pyarrow as pa

from privpipe import arrow
from privpipe.kernels import (
    AesCmac,
    HmacSha256,
    HmacSha512,
    as_base64,
    as_hex,
    as_int64,
    as_uuid,
    context_head,
)
from privpipe.keys import open_ref
from privpipe.policy import Pseudonymize
from privpipe.spark._task import LeafTask, Row

__all__ = ["pseudonymize"]

_SHOWN: Mapping[str, Callable[[pa.Array], pa.Array]] = MappingProxyType(
    {"hex": as_hex, "base64": as_base64, "uuid": as_uuid, "int64": as_int64}
)


def pseudonymize(task: LeafTask, leaf: pa.Array, row: Row) -> pa.Array:
    """The pseudonym of each value."""
    del row
    settings = task.told(Pseudonymize)
    # An empty context is `context: ""`: the bare PRF of the value, for those who match others.
    head = context_head(task.context) if task.context else b""
    keyset = open_ref(task.ref)
    values = arrow.encode(leaf)
    if settings.algorithm == "hmac":
        made = HmacSha512 if keyset.hash == "SHA512" else HmacSha256
        kernel = keyset.built(("hmac", head), lambda key: made(key, head=head))
        # Whole where it is for matching others; the rest is as long as a CMAC.
        tags = kernel.compute(values, size=None if settings.output in {"hex", "base64"} else 16)
    else:
        tags = keyset.built(("cmac", head), lambda key: AesCmac(key, head=head)).compute(values)
    return _SHOWN[settings.output](tags)
