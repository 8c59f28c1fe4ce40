"""Facts to fill a catalog with: plausible, and each unlike the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from privpipe.catalog import (
    LEASE,
    BudgetRecord,
    ColumnRecord,
    KeysetRecord,
    RunRecord,
    this_owner,
)

NOW = datetime(2026, 11, 23, 22, 7, 30, 123456, tzinfo=UTC)
# What could break out of SQL text, of JSON or of a log line; and a key id that is no signed int.
AWKWARD = 'O\'Neil "said" `no`\\n;\n-- \t{x} $y % ü \U0001f511'
HIGHEST_KEY_ID = 2**32 - 1


def fresh(what: str) -> str:
    """A name that no other test of this run uses."""
    return f"{what}-{uuid4().hex[:12]}"


def keyset(scope: str, **changes: Any) -> KeysetRecord:
    values: dict[str, Any] = {
        "scope": scope,
        "primitive": "AES256_GCM",
        "family": None,
        "wrapped": '{"encryptedKeyset": "AA=="}',
        "kek_uri": "file:/keys/kek.json",
        "key_id": 3131313131,
        "created_at": NOW,
    }
    return KeysetRecord(**{**values, **changes})


def run(run_id: str, **changes: Any) -> RunRecord:
    values: dict[str, Any] = {
        "run_id": run_id,
        "run_uid": str(uuid4()),
        "state": "PENDING",
        "table": "clinic.patients",
        "source": "./people.csv",
        "target": "./warehouse/people",
        "mode": "error",
        "policy_hash": "ab" * 32,
        "policy": '{"version": 1}',
        "owner": this_owner(),
        "lease_until": NOW + LEASE,
        "started_at": NOW,
        "privpipe_version": "0.1.0",
    }
    return RunRecord(**{**values, **changes})


def committed(run_id: str, version: int, after: timedelta, **changes: Any) -> RunRecord:
    """A run that began `after` NOW, took a minute and made `version`."""
    start = NOW + after
    return run(
        run_id,
        state="COMMITTED",
        table_version=version,
        rows=10,
        started_at=start,
        finished_at=start + timedelta(minutes=1),
        **changes,
    )


def column(of: RunRecord, path: str, **changes: Any) -> ColumnRecord:
    values: dict[str, Any] = {
        "run_uid": of.run_uid,
        "run_id": of.run_id,
        "table": of.table,
        "target": of.target,
        "path": path,
        "protection": "encrypt",
        "primitive": "AES256_GCM",
        "scope": f"table:{of.table}",
        "key_id": 3131313131,
        "type": "string",
        "type_json": '"string"',
        "domain": None,
        "family": None,
        "context": f"pp1:c:clinic.patients/{path}:string",
        "recorded_at": NOW,
    }
    return ColumnRecord(**{**values, **changes})


def event(seq: int, **changes: Any) -> BudgetRecord:
    values: dict[str, Any] = {
        "seq": seq,
        "uid": str(uuid4()),
        "event": "open",
        "budget": "clinic",
        "recorded_at": NOW,
        "owner": this_owner(),
        "measure": "epsilon",
        "amount": "1",
        "delta": "0",
        "privpipe_version": "0.1.0",
    }
    return BudgetRecord(**{**values, **changes})
