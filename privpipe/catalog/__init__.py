"""The catalog: what was done to which column, by which key, in which run.

Here are its facts and the Protocol of its stores, with one store in memory and one that reads a
folder without Spark; and how rows are put into such a folder, for the store that writes, which lies
in `privpipe.spark`.
"""

from __future__ import annotations

from privpipe.catalog._current import columns_of, current_columns, current_run
from privpipe.catalog._day import checked_day
from privpipe.catalog._deltars import open_folder, read_rows
from privpipe.catalog._deltars_files import Manifest, manifest_of
from privpipe.catalog._deltars_write import Outrun, is_written_here, merge_rows, update_run
from privpipe.catalog._lease import LEASE, lease_is_over, owner_is_dead, this_owner
from privpipe.catalog._memory import memory_catalog, no_such_run
from privpipe.catalog._records import (
    CHANGING,
    DATAFRAME,
    BudgetEvent,
    BudgetRecord,
    ColumnRecord,
    KeysetRecord,
    Record,
    RunRecord,
    RunState,
)
from privpipe.catalog._rows import from_row, to_row
from privpipe.catalog._store import Catalog
from privpipe.catalog._tables import TABLES, Column, Table

__all__ = [
    "CHANGING",
    "DATAFRAME",
    "LEASE",
    "TABLES",
    "BudgetEvent",
    "BudgetRecord",
    "Catalog",
    "Column",
    "ColumnRecord",
    "KeysetRecord",
    "Manifest",
    "Outrun",
    "Record",
    "RunRecord",
    "RunState",
    "Table",
    "checked_day",
    "columns_of",
    "current_columns",
    "current_run",
    "from_row",
    "is_written_here",
    "lease_is_over",
    "manifest_of",
    "memory_catalog",
    "merge_rows",
    "no_such_run",
    "open_folder",
    "owner_is_dead",
    "read_rows",
    "this_owner",
    "to_row",
    "update_run",
]
