"""Whether a column has one value of one person in all rows, which unit and entity ask alike."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

from privpipe.catalog import ColumnRecord
from privpipe.errors import SpecError
from privpipe.spark._facts import held_keys
from privpipe.spark._labels import key_ids_said, refuse_other_labels
from privpipe.spark._recorded import key_column, stands_beside
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._source import Stored

__all__ = ["fact_of_one", "refuse_several"]

Whose = Literal["entity", "unit"]

_STANDS_FOR_ONE = ("pseudonymize", "tokenize", "vault", "encrypt_deterministic")


def fact_of_one(
    work: Workspace, table: Stored, column: str, where: str, whose: Whose
) -> ColumnRecord | None:
    """The fact by which `column` stands, of the one key that its values are under; None where it
    is in clear.

    Raises: SpecError where one may have several values in it, DecryptionError where the table says
    another thing than the catalog.
    """
    fact = table.fact(column)
    if fact is None:
        return None
    refuse_other_labels(table.df.schema, [fact], one_key=True)
    refuse_several(fact, column, where, whose)
    return _of_one_key(work, table, fact, where, whose)


def refuse_several(fact: ColumnRecord, name: str, where: str, whose: Whose) -> None:
    """Raises SpecError where the protection itself gives one several values, or several one.
    `name` is what the error calls the column."""
    if fact.protection not in _STANDS_FOR_ONE:
        raise SpecError(
            f"{name} stands under `{fact.protection}`, which does not stand for one {whose}",
            where=where,
            hint=f"one that does: {', '.join(_STANDS_FOR_ONE)}",
        )
    beside = stands_beside(fact)
    if beside:
        raise SpecError(
            f"{name} has one token for each value of {', '.join(beside)}",
            where=where,
            hint=f"take a column of which one {whose} has one token",
        )


def _of_one_key(
    work: Workspace, table: Stored, fact: ColumnRecord, where: str, whose: Whose
) -> ColumnRecord:
    """The fact without the column of key ids that may stand beside tokens: they are of one key."""
    if key_column(fact) is None:
        return fact
    catalog = work.catalog
    held = held_keys(catalog.runs(), catalog.columns(fact.target), fact.target)[fact.path]
    # Of what was restored, the log knows an earlier key than the catalog's last run.
    held |= {key_id for _, key_id in key_ids_said(table.df.schema, [fact])}
    if len(held) > 1:
        raise SpecError(
            f"{fact.path} has tokens under {len(held)} keys, so one {whose} may have several",
            where=where,
            hint="bring them under one key: privpipe rekey",
        )
    told = json.loads(fact.settings or "{}")
    told.pop("key_column", None)
    text = json.dumps(told, sort_keys=True, ensure_ascii=False) if told else None
    return replace(fact, settings=text)
