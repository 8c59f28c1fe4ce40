"""`privpipe inspect`: what the columns of a table seem to hold, with no key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privpipe.cli._output import Output, table
from privpipe.cli._project import home_or_none

if TYPE_CHECKING:
    from privpipe.spark import Home, Kind, Seen

__all__ = ["inspect"]

Keysets = Mapping[int, list[str]]


def inspect(
    out: Output,
    source: Annotated[str, typer.Argument(metavar="T", show_default=False)],
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=1, help="Look at so many rows.")
    ] = 10_000,
) -> None:
    """Tell what the text and binary columns of a table or source seem to hold.

    Needs no key, prints no value. Ciphertexts of Tink, Fernet, Kryptonite (k2), Google DLP and
    Vault's transit engine have marks; Tink's key ids are looked up in the catalog, if there is a
    project. RAW ciphertexts have no mark and pass for plain.
    """
    from privpipe.spark import inspect as look

    with home_or_none(out) as home, out.working(f"looking at {source}"):
        found = look(source, spark=None if home is None else home.spark, sample=sample)
        keysets = _keysets(home)
    rows = [_row(seen, keysets) for seen in found]
    out.result({"source": source, "sample": sample, "columns": rows}, lambda c: _show(c, rows))


def _keysets(home: Home | None) -> Keysets:
    """The catalog's keysets by the ids of their keys; ids may meet by chance."""
    from privpipe.keys import keyset_info

    found: dict[int, list[str]] = {}
    for record in () if home is None else home.catalog.keysets():
        for key in keyset_info(record.wrapped):
            found.setdefault(key.key_id, []).append(record.scope)
    return found


def _row(seen: Seen, keysets: Keysets) -> dict[str, Any]:
    return {
        "column": seen.column,
        "type": seen.type,
        "looked": seen.looked,
        "seems": [_kind(kind, keysets) for kind in seen.kinds],
    }


def _kind(kind: Kind, keysets: Keysets) -> dict[str, Any]:
    # What looks like a key id may be four bytes of a value: what a single value has is not told
    # unless the catalog knows it.
    shared = kind.count > 1 and not kind.doubtful
    return {
        "kind": kind.kind,
        "count": kind.count,
        "key_ids": [
            {"key_id": key_id, "keysets": sorted(set(keysets.get(key_id, ())))}
            for key_id in kind.key_ids
            if shared or key_id in keysets
        ],
        "key_names": kind.names,
        "doubtful": kind.doubtful,
    }


def _show(console: Any, rows: list[dict[str, Any]]) -> None:
    table(
        console,
        ["column", "type", "values", "seem to be", "keys"],
        [line for row in rows for line in _lines(row)],
    )


def _lines(row: dict[str, Any]) -> list[tuple[object, ...]]:
    head = (row["column"], row["type"])
    if not row["looked"]:
        return [(*head, "", "not looked at: no worker takes such a column", "")]
    return [
        (*head, each["count"], each["kind"] + (", doubtful" if each["doubtful"] else ""),
         _keys(each))
        for each in row["seems"]
    ] or [(*head, 0, "nothing but nulls", "")]  # fmt: skip


def _keys(kind: dict[str, Any]) -> str:
    if kind["doubtful"] and not kind["key_ids"]:
        return "nearly each value has a key id of its own"
    ids = [
        " ".join([str(each["key_id"]), *(f"({scope})" for scope in each["keysets"])])
        for each in kind["key_ids"]
    ]
    return ", ".join([*ids, *kind["key_names"]])
