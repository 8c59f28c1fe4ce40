"""The policy's `schema:` of a source that has no types of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pyspark.sql.types import DataType, StringType, StructType

from privpipe.errors import SchemaError
from privpipe.spark._typed import check_readable, is_nested


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Types by column name; a column that is not named stays text."""

    kinds: Mapping[str, DataType]

    def columns(self, names: Sequence[str], place: str, *, nested: bool) -> dict[str, DataType]:
        """Every column of a text file with its type, in the file's order.

        Raises: SchemaError for a column that the file lacks (JSON objects may lack a field, so
        there it is a column of nulls), or a type that such a file cannot hold.
        """
        kinds: dict[str, DataType] = {name: StringType() for name in names}
        for name, kind in self.kinds.items():
            where = f"{place} column {name}"
            check_readable(kind, where)
            if is_nested(kind) and not nested:
                raise SchemaError(
                    f"a CSV cell holds no {kind.typeName()}", where=where, hint="write `string`"
                )
            found = _alike(name, names)
            if found is None and not nested:
                raise SchemaError(
                    "the policy's `schema:` names a column that the file does not have",
                    where=where,
                    hint=_nearest(name, names),
                )
            kinds[found or name] = kind
        return kinds

    def check(self, schema: StructType, place: str) -> None:
        """For a source that has types: they must be those that are wanted.

        Raises: SchemaError.
        """
        for name, kind in self.kinds.items():
            where = f"{place} column {name}"
            found = _alike(name, schema.names)
            if found is None:
                hint = _nearest(name, schema.names)
                raise SchemaError("the source has no such column", where=where, hint=hint)
            there = schema[found].dataType.simpleString()
            if there != kind.simpleString():
                raise SchemaError(
                    f"the policy's `schema:` says {kind.simpleString()}, the source has {there}",
                    where=where,
                    hint="correct the policy: this source has types of its own",
                )


def parse_wanted(schema: Mapping[str, str] | str | None) -> Wanted:
    """The types that a policy gives: a mapping from column to Spark type, or one DDL text.

    Raises: SchemaError where a text is no type.
    """
    if schema is None:
        return Wanted(kinds={})
    if isinstance(schema, str):
        parsed = _parsed(schema, "schema")
        if not isinstance(parsed, StructType):
            raise SchemaError(
                "the policy's `schema:` names no columns", hint="write it as `name type, name type`"
            )
        return Wanted(kinds={field.name: field.dataType for field in parsed.fields})
    return Wanted(kinds={name: _parsed(text, f"column {name}") for name, text in schema.items()})


def _parsed(text: str, where: str) -> DataType:
    try:
        return DataType.fromDDL(text)
    except Exception:  # noqa: BLE001 (Spark's parser has many, and prints the text at length)
        raise SchemaError(
            f"{text!r} is no Spark type", where=where, hint="for example `decimal(12,2)` or `date`"
        ) from None


def _alike(name: str, names: Sequence[str]) -> str | None:
    if name in names:
        return name
    return next((other for other in names if other.casefold() == name.casefold()), None)


def _nearest(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"nearest: {near[0]}" if near else f"it has: {', '.join(names)}"
