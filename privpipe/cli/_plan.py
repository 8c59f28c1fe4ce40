"""`privpipe plan`: what each column becomes, under which key, and what it still reveals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privpipe.cli._output import Output, table
from privpipe.cli._project import home_of

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.keys import KeyRef
    from privpipe.policy import ColumnPlan, LeafPlan, Plan

__all__ = ["PolicyFile", "Source", "plan", "plan_rows", "show_plan"]

PolicyFile = Annotated[Path, typer.Argument(metavar="POLICY", show_default=False)]
Source = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="S",
        show_default=False,
        help="A path (.parquet .csv .json .avro .orc, Delta) or a name in Spark's catalog.",
    ),
]


def plan(out: Output, policy: PolicyFile, source: Source) -> None:
    """Show what each column of a source becomes; writes nothing.

    A key id of `new` means that protect will make the keyset.
    """
    from privpipe.policy import load_policy

    checked = load_policy(policy)
    with home_of(out) as home:
        with out.working("reading the source's columns"):
            planned = home.plan(checked, source)
            rows = plan_rows(planned)
        out.result(
            {
                "table": planned.table,
                "policy": planned.policy_name,
                "policy_hash": planned.policy_hash,
                "source": source,
                "columns": rows,
                "undecided": planned.undecided,
                "warnings": planned.warnings,
            },
            lambda console: show_plan(console, planned, rows),
        )
    _warn(out, planned)


def plan_rows(planned: Plan) -> list[dict[str, Any]]:
    return [row for column in planned.columns for row in _column(planned, column)]


def _column(planned: Plan, column: ColumnPlan) -> list[dict[str, Any]]:
    if column.action == "protect":
        leaves = [(_leaf(planned, leaf), leaf.key_column) for leaf in column.leaves]
        return [
            row
            for told, beside in leaves
            for row in (told, *([] if beside is None else [_key_ids(beside)]))
        ]
    becomes, reveals = {
        "keep": (column.type.text, "everything"),
        "drop": ("", "nothing: it is not written"),
    }.get(column.action, ("?", "not decided yet"))
    return [
        {
            "column": _name(column.name),
            "type": column.type.text,
            "protection": column.action,
            "becomes": becomes,
            "key_id": None,
            "reveals": reveals,
        }
    ]


def _key_ids(name: str) -> dict[str, Any]:
    from privpipe.policy import REVEALED_BY_KEY_IDS

    return {
        "column": _name(name),
        "type": "",
        "protection": "key ids",
        "becomes": "bigint",
        "key_id": None,
        "reveals": REVEALED_BY_KEY_IDS,
    }


def _name(name: str) -> str:
    from privpipe.policy import format_path

    return format_path((name,))


def _leaf(planned: Plan, leaf: LeafPlan) -> dict[str, Any]:
    from privpipe.policy import format_path

    key = planned.keys.find(*leaf.keyset) if planned.keys and leaf.keyset else None
    return {
        "column": format_path(leaf.path),
        "type": leaf.type,
        "protection": leaf.protection,
        "becomes": leaf.becomes or leaf.type,
        "key_id": _key_id(leaf, key),
        "keyset": leaf.scope,
        "context": leaf.context,
        "domain": leaf.domain,
        "reveals": leaf.reveals,
    }


def _key_id(leaf: LeafPlan, key: KeyRef | None) -> int | str | None:
    if leaf.protection == "seal" and leaf.file is not None:
        from privpipe.kernels import key_fingerprint

        return key_fingerprint(leaf.file.text.encode())
    if leaf.keyset is None:
        return None
    if key is None:
        return "not imported" if leaf.keyset[0].startswith("imported:") else "new"
    return key.key_id


def show_plan(console: Console, planned: Plan, rows: list[dict[str, Any]]) -> None:
    """Draws the plan as people read it."""
    console.print(f"{planned.table}, by {planned.policy_name}")
    table(
        console,
        ["column", "type", "protection", "becomes", "key id", "an onlooker still learns"],
        [
            (
                row["column"],
                row["type"],
                _told(row),
                row["becomes"],
                "" if row["key_id"] is None else row["key_id"],
                row["reveals"],
            )
            for row in rows
        ],
    )


def _told(row: dict[str, Any]) -> str:
    domain = row.get("domain")
    return f"{row['protection']} ({domain})" if domain else str(row["protection"])


def _warn(out: Output, planned: Plan) -> None:
    for text in planned.warnings:
        out.warn(text)
    if planned.undecided:
        out.warn(
            f"{len(planned.undecided)} column(s) are undecided, which protect refuses: "
            + ", ".join(planned.undecided)
        )
