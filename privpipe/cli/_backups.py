"""Which keysets a backup was made of: digests beside the project, never the keysets themselves."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privpipe.catalog import KeysetRecord
    from privpipe.keys import KeyRef
    from privpipe.policy import Project

__all__ = ["key_ref", "newest", "note_backup", "notes_path", "without_backup"]


def key_ref(record: KeysetRecord) -> KeyRef:
    """A catalog's row as the reference that opens it."""
    from privpipe.keys import KeyRef

    return KeyRef(
        scope=record.scope,
        primitive=record.primitive,
        wrapped=record.wrapped,
        kek_uri=record.kek_uri,
        key_id=record.key_id,
        family=record.family,
    )


def newest(records: Iterable[KeysetRecord]) -> tuple[KeysetRecord, ...]:
    """The last version of each keyset: it has all the keys of those before."""
    found = sorted(records, key=lambda record: record.version)
    return tuple({(record.scope, record.primitive): record for record in found}.values())


def notes_path(project: Project) -> Path:
    """Where the notes lie: beside the project file."""
    return project.path.parent / ".privpipe" / "backups.json"


def note_backup(project: Project, file: Path, refs: Iterable[KeyRef]) -> None:
    """Remembers that `file` holds `refs`."""
    path = notes_path(project)
    notes = _notes(path)
    notes.append(
        {
            "file": str(file.resolve()),
            "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "digests": [ref.digest for ref in refs],
        }
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"backups": notes}, indent=2) + "\n", encoding="utf-8")


def without_backup(project: Project, keysets: Iterable[KeysetRecord]) -> tuple[KeysetRecord, ...]:
    """The keysets that no backup noted here holds."""
    noted = {digest for note in _notes(notes_path(project)) for digest in note["digests"]}
    return tuple(record for record in newest(keysets) if key_ref(record).digest not in noted)


def _notes(path: Path) -> list[dict[str, Any]]:
    # Notes that are lost or damaged cost a warning too many, never one too few.
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))["backups"]
        return [note for note in notes if isinstance(note.get("digests"), list)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
