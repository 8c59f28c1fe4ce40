"""The privacy unit: a column of pseudonyms or tokens, one a person, and never the raw name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain

from privpipe.catalog import ColumnRecord
from privpipe.errors import DecryptionError, SpecError
from privpipe.features import ROW, ExactSpec, Spec
from privpipe.policy import Pseudonymize
from privpipe.spark._recorded import key_column, settings_of
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._made_from import earlier_facts
from privpipe.spark.features._one_value import fact_of_one, refuse_several
from privpipe.spark.features._source import Stored

__all__ = ["check_unit"]

_BITS = 64  # of an int64 pseudonym
_HINT = "protect it first: `{column}: {{protect: pseudonymize, output: uuid}}`"
_ANEW = "protect the column from where it is in clear, into a table of its own"


def check_unit(work: Workspace, table: Stored, spec: Spec | ExactSpec, rows: int) -> Fraction:
    """The chance that two of at most `rows` units have one token: 0 but for `int64` pseudonyms.

    By the union bound over pairs, since a PRF's outputs meet as if drawn (FORMATS: n^2 / 2^65),
    and over all such pseudonyms that the unit went through, one of the other.

    Raises: SpecError for a unit in clear, by a protection that does not stand for one person or
    makes several tokens of one, or that was made of such; and where the table says another thing
    than the catalog.
    """
    if spec.unit == ROW:
        return Fraction(0)
    where = f"{spec.file}:{spec.unit_line} unit"
    try:
        fact = fact_of_one(work, table, spec.unit, where, "unit")
    except DecryptionError as error:
        told = f"{error.message}, of {spec.unit}"
        raise SpecError(told, where=where, hint=error.hint) from None
    if fact is None:
        raise SpecError(
            f"the unit {spec.unit} stands in clear in the source",
            where=where,
            hint=_HINT.format(column=spec.unit),
        )
    earlier = earlier_facts(work, table.place, spec.unit)
    for facts in earlier:
        _refuse_made_of(facts, spec.unit, where)
    found = (fact, *chain.from_iterable(earlier))
    meeting = {(each.target, each.scope, each.key_id) for each in found if _meets(each)}
    return len(meeting) * Fraction(rows * rows, 1 << (_BITS + 1))


def _refuse_made_of(facts: Sequence[ColumnRecord], unit: str, where: str) -> None:
    """Tokens of several values of one person are several, however good they are."""
    keys = defaultdict(set)
    for fact in facts:
        name = f"the source was made from {fact.target}, where {unit}"
        try:
            refuse_several(fact, name, where, "unit")
        except SpecError as error:
            raise SpecError(error.message, where=where, hint=_ANEW) from None
        if key_column(fact) is not None:
            keys[name].add(fact.key_id)
    for name, held in keys.items():
        if len(held) > 1:
            raise SpecError(f"{name} had tokens under {len(held)} keys", where=where, hint=_ANEW)


def _meets(fact: ColumnRecord) -> bool:
    settings = settings_of(fact)
    return isinstance(settings, Pseudonymize) and settings.output == "int64"
