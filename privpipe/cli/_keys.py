"""`privpipe keys`: make, list, back up and restore the wrapped keysets of the catalog."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privpipe.cli._backups import key_ref, newest, note_backup, without_backup
from privpipe.cli._output import Output, plain, table
from privpipe.cli._project import catalog_of, home_of, load
from privpipe.errors import CatalogError, PrivpipeError, UsageError

if TYPE_CHECKING:
    from privpipe.catalog import KeysetRecord
    from privpipe.keys import KeyRef
    from privpipe.policy import Project

__all__ = ["backup", "create", "list_keysets", "restore", "show_keysets"]

BackupFile = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]


def create(
    out: Output,
    scope: Annotated[
        str,
        typer.Argument(
            metavar="SCOPE", show_default=False, help="table:NAME, domain:NAME, or a keyset's name."
        ),
    ],
    primitive: Annotated[
        str, typer.Option("--primitive", help="AES256_GCM, or AES256_SIV for equal values.")
    ] = "AES256_GCM",
    family: Annotated[
        str | None,
        typer.Option(
            "--family", metavar="F", help="A domain's family of values: text, integer, date, ..."
        ),
    ] = None,
) -> None:
    """Make a keyset before protect would.

    One that is there stays as it is.
    """
    from privpipe.keys import PRIMITIVES
    from privpipe.policy import is_family

    if primitive not in PRIMITIVES:
        raise UsageError(
            f"no primitive {primitive!r}",
            where="--primitive",
            hint=f"one of {', '.join(PRIMITIVES)}",
        )
    if scope.startswith("imported:"):
        raise UsageError(
            "an imported key is no keyset", where=scope, hint="privpipe keys import NAME ..."
        )
    if scope.startswith("domain:") and family is None:
        raise UsageError(
            "a domain holds one family of values",
            where="--family",
            hint="add --family text (or integer, date, ...)",
        )
    if family is not None and not is_family(family):
        raise UsageError(
            f"no family {family!r}",
            where="--family",
            hint="text, bytes, integer, decimal.2 (by its scale), date, timestamp, timestamp_ntz, "
            "time, boolean, float, double, interval_dt or interval_ym",
        )
    with home_of(out) as home, out.working("making the keyset"):
        there = home.keys.find(scope, primitive)
        ref = home.keys.ref(scope, primitive, family=family)
    document = {
        "scope": scope,
        "primitive": primitive,
        "key_id": ref.key_id,
        "created": there is None,
    }
    done = "made" if there is None else "was there"
    out.summary(document, [f"keyset {scope} {primitive} {done}, key id {ref.key_id}"])
    if there is None:
        out.warn("no backup holds it yet: privpipe keys backup FILE")


def list_keysets(out: Output) -> None:
    """The wrapped keysets: key ids, status, backup."""
    show_keysets(out)


def show_keysets(out: Output) -> None:
    """Reads and prints the catalog's keysets; opens none of them."""
    project = load(out)
    with catalog_of(out, project) as catalog:
        records = sorted(catalog.keysets(), key=lambda r: (r.scope, r.primitive, r.version))
    # A keyset's last version holds the keys of those before, so a backup of it is one of all.
    unsafe = {(record.scope, record.primitive) for record in without_backup(project, records)}
    rows = [
        _row(record, backed_up=(record.scope, record.primitive) not in unsafe) for record in records
    ]
    heads = ["scope", "primitive", "version", "key ids", "family", "created", "backup", "KEK"]
    out.result(
        {"keysets": rows},
        lambda console: table(
            console,
            heads,
            [
                (
                    row["scope"],
                    row["primitive"],
                    row["version"],
                    ", ".join(_key(key) for key in row["keys"]),
                    row["family"] or "",
                    row["created_at"],
                    "yes" if row["backup"] else "no",
                    row["kek"],
                )
                for row in rows
            ],
        ),
    )


def _row(record: KeysetRecord, *, backed_up: bool) -> dict[str, Any]:
    from privpipe.keys import keyset_info

    return {
        "scope": record.scope,
        "primitive": record.primitive,
        "version": record.version,
        "keys": [plain(key) for key in keyset_info(record.wrapped)],
        "family": record.family,
        "created_at": record.created_at.isoformat(timespec="seconds"),
        "backup": backed_up,
        "kek": record.kek_uri,
    }


def _key(key: dict[str, Any]) -> str:
    status = str(key.get("status", ""))
    return str(key["key_id"]) + ("" if status == "ENABLED" else f" ({status.lower()})")


def backup(out: Output, file: BackupFile) -> None:
    """Write all wrapped keysets to a new file.

    Its mode is 0600, and it opens only with the KEK. The KEK itself is not in it: keep a copy of
    that too, and apart from this one.
    """
    from privpipe.keys import backup_text

    project = load(out)
    with catalog_of(out, project) as catalog:
        refs = [key_ref(record) for record in newest(catalog.keysets())]
    if not refs:
        raise CatalogError(
            "the catalog holds no keyset yet",
            where=project.catalog,
            hint="protect a table first, or `privpipe keys create`",
        )
    _write_new(file, backup_text(refs))
    note_backup(project, file, refs)
    out.summary(
        {"file": str(file), "keysets": len(refs), "key_ids": [ref.key_id for ref in refs]},
        [
            f"{len(refs)} wrapped keyset(s) written to {file}",
            "keep it on another machine; it opens only with the KEK "
            f"({project.kek}), which is not in it: keep a copy of that elsewhere",
        ],
    )


def _write_new(file: Path, text: str) -> None:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(
            "the file exists, and a backup never overwrites one",
            where=str(file),
            hint="name a new file",
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def restore(out: Output, file: BackupFile) -> None:
    """Put back the keysets of a backup that are missing."""
    from privpipe.keys import parse_backup

    try:
        refs = parse_backup(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("no such file", where=str(file), hint="name a backup's file") from None
    except UnicodeDecodeError:
        raise UsageError(
            "not a backup of keysets", where=str(file), hint="`privpipe keys backup` writes one"
        ) from None
    project = load(out)
    with home_of(out, project) as home, out.working("restoring keysets"):
        there = {(r.scope, r.primitive): r for r in newest(home.catalog.keysets())}
        found = {ref: there.get((ref.scope, ref.primitive)) for ref in refs}
        missing = [ref for ref, record in found.items() if _lacks(record, ref)]
        conflicts = [
            ref
            for ref, record in found.items()
            if record is not None
            and record.wrapped != ref.wrapped
            and not (_lacks(record, ref) or _lacks(ref, record))
        ]
        _prove(missing, project)
        if missing:
            home.catalog.add_keysets([_record(ref, found[ref]) for ref in missing])
            note_backup(project, file, missing)
    _told(out, restored=missing, conflicts=conflicts, total=len(refs))


def _lacks(there: KeysetRecord | KeyRef | None, other: KeysetRecord | KeyRef) -> bool:
    """Whether `other` is the same keyset at a later time, or one that is not there at all."""
    from privpipe.keys import keyset_info

    if there is None:
        return True
    ids, more = ({key.key_id for key in keyset_info(each.wrapped)} for each in (there, other))
    return ids < more


def _prove(refs: Iterable[KeyRef], project: Project) -> None:
    """A keyset that does not open under this KEK is not put into the catalog."""
    from dataclasses import replace

    from privpipe.keys import prove_ref

    for ref in refs:
        try:
            prove_ref(replace(ref, kek_uri=project.kek))
        except PrivpipeError as error:
            raise type(error)(
                error.message,
                where=f"keyset {ref.scope}",
                hint=f"the backup was made under another KEK than {project.kek}",
            ) from None


def _record(ref: KeyRef, there: KeysetRecord | None) -> KeysetRecord:
    from privpipe.catalog import KeysetRecord

    return KeysetRecord(
        scope=ref.scope,
        primitive=ref.primitive,
        version=1 if there is None else there.version + 1,
        family=ref.family,
        wrapped=ref.wrapped,
        kek_uri=ref.kek_uri,
        key_id=ref.key_id,
        created_at=datetime.datetime.now(datetime.UTC),
    )


def _told(out: Output, *, restored: list[KeyRef], conflicts: list[KeyRef], total: int) -> None:
    if conflicts:
        names = ", ".join(f"{ref.scope} {ref.primitive}" for ref in conflicts)
        raise CatalogError(
            f"{len(conflicts)} keyset(s) differ from the catalog's, which were left as they are "
            f"({len(restored)} restored): {names}",
            hint="two projects made keysets of one name: give the backup a catalog of its own",
        )
    document = {"restored": [ref.key_id for ref in restored], "there": total - len(restored)}
    out.summary(
        document, [f"{len(restored)} keyset(s) restored, {total - len(restored)} were there"]
    )
