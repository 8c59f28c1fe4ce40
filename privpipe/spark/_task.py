"""What travels to an executor for one leaf of a column, and what it finds there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa
from pyspark.sql.types import DataType

from privpipe import arrow
from privpipe.errors import InternalError
from privpipe.keys import KeyRef, OpenerRef
from privpipe.policy import LeafPlan, Settings, format_path
from privpipe.spark._leaves import actual_path, leaf_type
from privpipe.spark._types import arrow_type

__all__ = ["LeafTask", "Row", "planned_task"]

T = TypeVar("T", bound=Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafTask:
    """One leaf of a column on its way through a kernel.

    `path` lies below the top-level column, `column` is what an error names, `plain` the Arrow type
    of the value in clear. `key` is None where the protection needs none; `key_id` is the one of its
    keys that made the values, where they do not say so themselves (None: the primary). `text` is
    that of the file that the policy names. `beside` are the places, among the columns that the UDF
    gets behind its own, of those that are read with the value, and `names` their names; `ids` is
    the place of the column that has each value's key id. `opener` leads to the private key, at
    reveal.
    """

    column: str
    path: arrow.Path
    key: KeyRef | None
    key_id: int | None = None
    context: bytes
    plain: pa.DataType
    protection: str = "encrypt"
    settings: Settings | None = None
    text: str | None = field(default=None, repr=False)
    beside: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    ids: int | None = None
    deterministic: bool = False
    opener: OpenerRef | None = None

    @property
    def ref(self) -> KeyRef:
        """Its key, which this protection cannot be without."""
        if self.key is None:
            raise InternalError(f"{self.protection} without a key", where=f"column {self.column}")
        return self.key

    def told(self, kind: type[T]) -> T:
        """Its settings, which are of this kind."""
        if not isinstance(self.settings, kind):
            raise InternalError(f"{self.protection} without its settings", where=self.column)
        return self.settings


def planned_task(
    leaf: LeafPlan,
    kind: DataType,
    moved: DataType,
    *,
    key: KeyRef | None = None,
    beside: tuple[int, ...] = (),
) -> LeafTask:
    """The task of a planned leaf in a column of type `kind`, which a worker gets as `moved`."""
    below = actual_path(kind, leaf.path[1:])
    return LeafTask(
        column=format_path(leaf.path),
        path=below,
        key=key,
        context=leaf.context.encode(),
        plain=arrow_type(leaf_type(moved, below)),
        protection=leaf.protection,
        settings=leaf.settings,
        text=None if leaf.file is None else leaf.file.text,
        beside=beside,
        names=leaf.beside,
        deterministic=leaf.deterministic,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The rows around a leaf's values: their column, and the columns beside it."""

    column: pa.Array
    path: arrow.Path
    beside: tuple[pa.Array, ...]

    def at_leaf(self, place: int) -> pa.Array:
        """The typed bytes of a column beside, one for each value of the leaf."""
        values = arrow.encode(self.beside[place])
        if not self.path:
            return values
        return values.take(pa.array(np.asarray(arrow.leaf_rows(self.column, self.path))))
