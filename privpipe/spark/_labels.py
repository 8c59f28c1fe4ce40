"""What a table's own metadata says of a protected leaf. It informs; nothing of it is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from privpipe.errors import DecryptionError

__all__ = ["labels_of"]


def labels_of(metadata: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The labels of the leaf at `path` in its column's field metadata; empty where there are none.

    Raises DecryptionError where they are not as privpipe writes them.
    """
    if "privpipe.leaves" not in metadata:
        return metadata
    try:
        labels = json.loads(metadata["privpipe.leaves"]).get(path, {})
    except (AttributeError, TypeError, ValueError):
        labels = None
    if not isinstance(labels, Mapping):
        raise DecryptionError(
            "the table's metadata is not as privpipe wrote it",
            where=f"column {path}",
            hint="someone changed the table's log; restore it from its history",
        )
    return labels
