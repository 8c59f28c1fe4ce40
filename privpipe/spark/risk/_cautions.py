"""Why the figures of a table may mislead: columns that are ciphertext, and columns of a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyspark.sql import DataFrame
from pyspark.sql.types import BinaryType, StringType

from privpipe.errors import DecryptionError
from privpipe.spark._inspect import inspect
from privpipe.spark._labels import labels_of
from privpipe.spark.risk._columns import Asked

__all__ = ["cautions"]

_LOOKED = 1_000
_RANDOM = frozenset({"AES256_GCM", "AES256_GCM_RAW", "fernet", "seal"})


def cautions(df: DataFrame, known: Sequence[Asked], hidden: Sequence[Asked]) -> tuple[str, ...]:
    """What a reader of the report must know, a sentence each. Names of columns, no value."""
    sealed = dict(_sealed(df, [*known, *hidden]))
    told = [
        f"{one.name} {sealed[one.name]}: a ciphertext is unique by itself and known to nobody, so "
        "the risk is not the one of its values; measure the table in clear, or leave it out"
        for one in known
        if one.name in sealed
    ]
    told += [
        f"{one.name} {sealed[one.name]}: their diversity is not that of the values"
        for one in hidden
        if one.name in sealed
    ]
    return tuple(told)


def _sealed(df: DataFrame, columns: Sequence[Asked]) -> Iterator[tuple[str, str]]:
    """The columns that are another text each time they are encrypted, and why that is thought."""
    unlabelled = []
    for one in columns:
        scheme = _labelled(df, one)
        if scheme is None:
            unlabelled.append(one)
        elif scheme in _RANDOM:
            yield one.name, f"is encrypted ({scheme}), equal values to different ciphertexts"
    looked = [one for one in unlabelled if isinstance(one.kind, (BinaryType, StringType))]
    if not looked:
        return
    picked = df.select(*(one.value.alias(f"c{at}") for at, one in enumerate(looked)))
    for seen in inspect(picked, sample=_LOOKED):
        if seen.kinds and seen.kinds[0].kind != "plain" and not seen.kinds[0].doubtful:
            one = looked[int(seen.column.removeprefix("c"))]
            yield one.name, f"seems to hold ciphertexts ({seen.kinds[0].kind})"


def _labelled(df: DataFrame, one: Asked) -> str | None:
    """The scheme that the table's own metadata tells of, if it does."""
    try:
        scheme = labels_of(df.schema[one.path[0]].metadata, one.name).get("privpipe.scheme")
    except DecryptionError:
        return None
    return None if scheme is None else str(scheme)
