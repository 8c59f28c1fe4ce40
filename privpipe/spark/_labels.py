"""What a table's own metadata says of a protected leaf, and whether the catalog says the same.

It informs; nothing of it is believed. A difference is refused: the log was changed, or the table
was restored to a version of before another run, and its values are not what the facts describe.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from pyspark.sql.types import StructType

from privpipe.catalog import ColumnRecord
from privpipe.errors import DecryptionError
from privpipe.policy import PROTECTIONS, parse_path
from privpipe.spark._recorded import key_column

__all__ = [
    "key_ids_said",
    "label_differences",
    "labels_for",
    "labels_of",
    "refuse_other_labels",
    "settings_digest",
]

_DIGITS = 16


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


def labels_for(fact: ColumnRecord) -> dict[str, str]:
    """The labels of a whole column of which the catalog has this fact."""
    labels = {
        "privpipe.scheme": fact.primitive or fact.protection,
        "privpipe.type": fact.type,
        "privpipe.context": fact.context,
        "privpipe.settings": settings_digest(fact.settings),
        "privpipe.protection": fact.protection,
    }
    return {**labels, "privpipe.key_id": str(fact.key_id)} if fact.key_id else labels


def settings_digest(settings: str | None) -> str:
    """What the metadata says of a leaf's settings, which the catalog keeps as this text."""
    return sha256((settings or "{}").encode()).hexdigest()[:_DIGITS]


def label_differences(
    schema: StructType, facts: Sequence[ColumnRecord], *, one_key: bool
) -> Iterator[tuple[str, str]]:
    """Path and name of what the table says otherwise than `facts`, of the columns that it has.

    `one_key` asks for the key of every column in which equal values are to meet; else only of those
    whose values do not say themselves by which key they were made.
    """
    for fact, said in _said(schema, facts):
        yield from ((fact.path, name) for name in _differences(said, fact, one_key))


def key_ids_said(schema: StructType, facts: Sequence[ColumnRecord]) -> Iterator[tuple[str, int]]:
    """Path and key id of each column of `facts` whose metadata gives one."""
    for fact, said in _said(schema, facts):
        text = str(said.get("privpipe.key_id", ""))
        if text.isascii() and text.isdigit():
            yield fact.path, int(text)


def _said(
    schema: StructType, facts: Sequence[ColumnRecord]
) -> Iterator[tuple[ColumnRecord, Mapping[str, Any]]]:
    """The facts of the columns that are there, each with its labels."""
    there = {field.name.lower(): field.metadata for field in schema.fields}
    for fact in facts:
        metadata = there.get(str(parse_path(fact.path)[0]).lower())
        if metadata is not None:
            yield fact, labels_of(metadata, fact.path)


def _differences(said: Mapping[str, Any], fact: ColumnRecord, one_key: bool) -> Iterator[str]:
    tells = PROTECTIONS[fact.protection].authenticated
    if "privpipe.scheme" not in said and (one_key or not tells):
        # Values that do not authenticate would be opened, whatever they are: perhaps in clear.
        yield "protection"
        return
    truth = {
        "context": fact.context,
        "type": fact.type,
        "scheme": fact.primitive or fact.protection,
        "settings": settings_digest(fact.settings),
        "protection": fact.protection,
    }
    if _has_one_key(fact, one_key or not tells):
        truth["key_id"] = str(fact.key_id)
    for name, value in truth.items():
        if said.get(f"privpipe.{name}", value) != value:
            yield name.replace("_", " ")


def _has_one_key(fact: ColumnRecord, asked: bool) -> bool:
    if fact.protection == "seal":
        return True
    return asked and PROTECTIONS[fact.protection].deterministic and key_column(fact) is None


def refuse_other_labels(
    schema: StructType, facts: Sequence[ColumnRecord], *, one_key: bool = False
) -> None:
    """Raises DecryptionError at the first difference."""
    for path, name in label_differences(schema, facts, one_key=one_key):
        raise DecryptionError(
            f"the table's metadata gives another {name} than the catalog",
            where=f"column {path}",
            hint="the table was restored to before its last run, or its log was changed: RESTORE "
            "the version of that run (`privpipe catalog runs`), or protect the source anew",
        )
