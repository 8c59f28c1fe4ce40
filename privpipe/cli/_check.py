"""`privpipe check`: is a policy right, as far as its text can tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privpipe.cli._output import Output
from privpipe.errors import PolicyError

if TYPE_CHECKING:
    from privpipe.policy import Policy

__all__ = ["check"]


def check(
    out: Output,
    policies: Annotated[list[Path], typer.Argument(metavar="POLICY...", show_default=False)],
) -> None:
    """Check policies: no Spark, no keys, no network.

    Every fault of every file is listed at once, with its line and the nearest allowed name.
    """
    from privpipe.policy import load_policy

    checked: list[tuple[Path, Policy]] = []
    faults: list[PolicyError] = []
    for path in policies:
        try:
            checked.append((path, load_policy(path)))
        except PolicyError as fault:
            faults.append(fault)
    if faults:
        raise _together(faults)
    twice = _same_table(checked)
    for text in twice:
        out.warn(text)
    documents = [_document(path, policy) for path, policy in checked]
    out.summary(
        {"policies": documents, "warnings": twice}, [line for d in documents for line in _lines(d)]
    )


def _together(faults: list[PolicyError]) -> PolicyError:
    if len(faults) == 1:
        return faults[0]
    return PolicyError(
        f"{len(faults)} policies are at fault\n" + "\n".join(map(_told, faults)),
        hint="mend them, then run `privpipe check` on them again",
    )


def _told(fault: PolicyError) -> str:
    text = f"{fault.where}: {fault.message}" if fault.where else fault.message
    # Several faults of one file have their hints in their own lines.
    return text if "\n" in fault.message or not fault.hint else f"{text}; {fault.hint}"


def _same_table(checked: list[tuple[Path, Policy]]) -> list[str]:
    """Two policies for one table would share its keysets, and contradict each other."""
    first: dict[str, Path] = {}
    told = []
    for path, policy in checked:
        other = first.setdefault(policy.table, path)
        if other != path:
            told.append(f"{path} and {other} are both for the table {policy.table}")
    return told


def _document(path: Path, policy: Policy) -> dict[str, Any]:
    protections = {name: rule.protect for name, rule in policy.columns.items()}
    return {
        "file": str(path),
        "table": policy.table,
        "hash": policy.hash,
        "columns": protections,
        "undecided": [name for name, protect in protections.items() if protect == "undecided"],
    }


def _lines(document: dict[str, Any]) -> list[str]:
    count, undecided = len(document["columns"]), document["undecided"]
    lines = [f"{document['file']}: ok, {count} column(s) of {document['table']}"]
    if undecided:
        lines.append(f"  undecided, which protect refuses: {', '.join(undecided)}")
    return lines
