"""`reveal`: a protected DataFrame with some columns opened, under the catalog's facts.

Type and context come from the facts alone. The table's own field metadata could be changed by
anyone who can write its log, so it is only compared, and a difference is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, LongType, StructField, StructType

from privpipe.arrow import Path
from privpipe.catalog import ColumnRecord
from privpipe.errors import (
    DecryptionError,
    KeysetError,
    KeysetNotFound,
    NotProtected,
    SchemaError,
)
from privpipe.keys import Keyring, OpenerRef
from privpipe.policy import PROTECTIONS, family, is_context_of, parse_path
from privpipe.spark._intervals import carried_type, from_months
from privpipe.spark._labels import refuse_other_labels
from privpipe.spark._leaves import actual_path, leaf_type, quoted, replace_leaf, spelt
from privpipe.spark._recorded import (
    becomes_of,
    key_column,
    reads_beside,
    ref_of,
    settings_of,
    stands_beside,
)
from privpipe.spark._task import LeafTask
from privpipe.spark._types import arrow_type, policy_type, spark_type
from privpipe.spark._udf import reveal_each_udf, reveal_udf
from privpipe.spark._written import written_leaf

__all__ = ["DAMAGED", "OpenColumn", "columns_to_open", "reveal", "reveal_each"]

OnError = Literal["fail", "null", "quarantine"]
# The name of the column that tells a damaged row, and the head of those that lead to it. They are
# dropped again before anyone sees them.
DAMAGED = "__privpipe_damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenColumn:
    """One top-level column with the leaves to open: what a UDF returns and what users see.

    `beside` are the columns that the UDF gets behind it.
    """

    name: str
    tasks: tuple[LeafTask, ...]
    beside: tuple[str, ...]
    moved: DataType
    plain: DataType

    @property
    def sources(self) -> tuple[Column, ...]:
        """The columns that its UDF is called with."""
        return tuple(F.col(quoted(name)) for name in (self.name, *self.beside))


def reveal(
    df: DataFrame, columns: Sequence[str], facts: Sequence[ColumnRecord], keys: Keyring
) -> DataFrame:
    """`df` with `columns` (paths, as the policy spells them) opened; all others as they are, less
    the key ids of tokens that are opened.

    Lazy, like every DataFrame: a value that does not authenticate raises DecryptionError when it
    is read, and nothing of its batch is released.
    """
    opened = columns_to_open(df.schema, columns, facts, keys)
    return _select(df, opened, lambda column: _plain(reveal_udf, column))


def reveal_each(
    df: DataFrame, columns: Sequence[str], facts: Sequence[ColumnRecord], keys: Keyring
) -> DataFrame:
    """As `reveal`, but a damaged value becomes null, and the boolean DAMAGED says so of its row."""
    taken = [name for name in df.columns if name.lower().startswith(DAMAGED)]
    if taken:
        raise SchemaError(
            f"a name that starts with {DAMAGED} is privpipe's own here",
            where=f"column {taken[0]}",
            hint="rename it in the table, or reveal with --on-error fail",
        )
    # A damaged value becomes null, even where the source had none.
    opened = columns_to_open(df.schema, columns, facts, keys, nullable=True)
    pairs = {column.name: f"{DAMAGED}_{at}" for at, column in enumerate(opened)}
    beside = [_apply(reveal_each_udf, column).alias(pairs[column.name]) for column in opened]
    tried = df.select("*", *beside)
    named = {column.name: column for column in opened}
    values = [
        from_months(F.col(f"{pairs[name]}.value"), named[name].plain).alias(name)
        if name in named
        else F.col(quoted(name))
        for name in _left(df, opened)
    ]
    damaged = F.lit(False)
    for pair in pairs.values():
        damaged = damaged | F.col(f"{pair}.damaged")
    return tried.select(*values, damaged.alias(DAMAGED))


def columns_to_open(
    schema: StructType,
    columns: Iterable[str],
    facts: Sequence[ColumnRecord],
    keys: Keyring,
    *,
    nullable: bool = False,
) -> tuple[OpenColumn, ...]:
    """The named leaves, grouped by top-level column and checked against the table."""
    known = {fact.path: fact for fact in facts}
    grouped: dict[str, list[tuple[Path, ColumnRecord]]] = {}
    for text in columns:
        for fact in _named(text, known):
            path = parse_path(fact.path)
            field = _field(schema, path, fact)
            refuse_other_labels(schema, [fact])
            _refuse_lent(path, fact)
            _refuse_alone(schema, fact)
            entry = (path, fact)
            if entry not in grouped.setdefault(field.name, []):
                grouped[field.name].append(entry)
    return tuple(
        _open_column(schema, name, leaves, keys, nullable) for name, leaves in grouped.items()
    )


def _named(text: str, known: Mapping[str, ColumnRecord]) -> list[ColumnRecord]:
    """The facts that a user's path means: a leaf, or every leaf below a column."""
    wanted = parse_path(text)
    lowered = tuple(_lower(step) for step in wanted)
    hits = [
        fact
        for path, fact in known.items()
        if tuple(_lower(step) for step in parse_path(path))[: len(lowered)] == lowered
    ]
    back = [fact for fact in hits if PROTECTIONS[fact.protection].reversible]
    if hits and not back:
        raise NotProtected(
            f"{hits[0].protection} has no way back",
            where=f"column {text}",
            hint="read the column as it is; the value itself is only in the source",
        )
    if not hits:
        openable = (f.path for f in known.values() if PROTECTIONS[f.protection].reversible)
        raise NotProtected(
            "not a protected column of this table",
            where=f"column {text}",
            hint=f"protected are: {', '.join(sorted(openable))}",
        )
    return back


def _lower(step: Any) -> Any:
    return step.lower() if isinstance(step, str) else step


def _field(schema: StructType, path: Path, fact: ColumnRecord) -> StructField:
    alike = [f for f in schema.fields if f.name.lower() == str(path[0]).lower()]
    found = [f for f in alike if f.name == path[0]] or alike
    if not found:
        raise SchemaError(
            "the catalog has this column, the table has not",
            where=f"column {fact.path}",
            hint="was the table changed behind privpipe's back? see its history",
        )
    field = found[0]
    written = written_leaf(becomes_of(fact), spark_type(fact.type_json))
    if leaf_type(field.dataType, path[1:]).simpleString() != written.simpleString():
        raise NotProtected(
            "the column is not ciphertext",
            where=f"column {fact.path}",
            hint="the table was changed behind privpipe's back; see its history",
        )
    return field


def _refuse_lent(path: Path, fact: ColumnRecord) -> None:
    """Refuses a record that lends a column the context or the type of another one.

    The catalog is believed about what exists; a context of privpipe's own says itself whose it is.
    """
    own = is_context_of(
        fact.context,
        table=fact.table,
        path=path,
        type=fact.type,
        domain=fact.domain,
        family=fact.family,
    )
    kind = policy_type(spark_type(fact.type_json))
    if fact.domain is not None:
        own = own and family(kind) == fact.family
    if not own or kind.text != fact.type:
        raise DecryptionError(
            "the catalog's record of this column contradicts itself",
            where=f"column {fact.path}",
            hint="someone changed the catalog; restore its `columns` table from its history",
        )


def _refuse_alone(schema: StructType, fact: ColumnRecord) -> None:
    """Refuses a column whose table has lost what its values hang on."""
    there = {name.lower() for name in schema.names}
    hint = "was the table changed behind privpipe's back? see its history"
    for name in reads_beside(fact):
        if name.lower() not in there:
            raise SchemaError(
                f'its values hang on the column "{name}", which the table has not',
                where=f"column {fact.path}",
                hint=hint,
            )
    ids = key_column(fact)
    if ids is None:
        return
    kind = schema[spelt(schema.names, ids)].dataType
    if not isinstance(kind, LongType):
        raise SchemaError(
            f'its key ids, in the column "{ids}", are {kind.simpleString()} and not bigint',
            where=f"column {fact.path}",
            hint=hint,
        )


def _open_column(
    schema: StructType,
    head: str,
    leaves: Sequence[tuple[Path, ColumnRecord]],
    keys: Keyring,
    nullable: bool,
) -> OpenColumn:
    field = schema[head]
    plain: DataType = field.dataType
    beside = list(dict.fromkeys(name for _, fact in leaves for name in reads_beside(fact)))
    tasks = []
    for path, fact in leaves:
        ids = key_column(fact)
        below = actual_path(field.dataType, path[1:])
        clear = spark_type(fact.type_json)
        plain = replace_leaf(plain, below, clear, nullable=nullable)
        ref = ref_of(keys, fact) if fact.scope else None
        if fact.protection == "seal":
            _refuse_other_opener(fact, keys.opener)
        tasks.append(
            LeafTask(
                column=fact.path,
                path=below,
                key=ref,
                key_id=fact.key_id if fact.protection == "tokenize" else None,
                context=fact.context.encode(),
                plain=arrow_type(carried_type(clear)),
                protection=fact.protection,
                settings=settings_of(fact),
                beside=tuple(beside.index(name) for name in stands_beside(fact)),
                names=stands_beside(fact),
                ids=None if ids is None else beside.index(ids),
                opener=keys.opener,
            )
        )
    return OpenColumn(
        name=field.name,
        tasks=tuple(tasks),
        beside=tuple(spelt(schema.names, name) for name in beside),
        moved=carried_type(plain),
        plain=plain,
    )


def _refuse_other_opener(fact: ColumnRecord, opener: OpenerRef | None) -> None:
    """Refuses a private key that is not of the pair that the column was sealed under."""
    if opener is None:
        raise KeysetNotFound(
            "a sealed column opens with its private key alone",
            where=f"column {fact.path}",
            hint="name its file: --opener private.pem",
        )
    if opener.fingerprint != fact.key_id:
        raise KeysetError(
            f"sealed for the private key {fact.key_id}, and this one is {opener.fingerprint}",
            where=f"column {fact.path}",
            hint="`privpipe catalog columns` has the key id of each column; columns of two pairs "
            "are opened one after another",
        )


def _select(
    df: DataFrame,
    opened: Sequence[OpenColumn],
    value: Callable[[OpenColumn], Column],
) -> DataFrame:
    named = {column.name: column for column in opened}
    return df.select(
        *(
            value(named[name]) if name in named else F.col(quoted(name))
            for name in _left(df, opened)
        )
    )


def _left(df: DataFrame, opened: Sequence[OpenColumn]) -> list[str]:
    """The columns of the result: beside a value in clear, its token's key id means nothing."""
    past = set()
    for column in opened:
        past |= {column.beside[task.ids] for task in column.tasks if task.ids is not None}
    return [name for name in df.columns if name not in past]


def _apply(udf: Callable[..., Any], column: OpenColumn) -> Column:
    applied: Column = udf(column.tasks, column.moved)(*column.sources)
    return applied


def _plain(udf: Callable[..., Any], column: OpenColumn) -> Column:
    # The empty metadata takes off the labels of the ciphertext.
    return from_months(_apply(udf, column), column.plain).alias(column.name, metadata={})
