"""The privacy unit: a column of pseudonyms or tokens, one a person, and never the raw name."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from privpipe.catalog import ColumnRecord
from privpipe.errors import SpecError
from privpipe.features import ROW, ExactSpec, Spec
from privpipe.policy import Pseudonymize, Tokenize
from privpipe.spark._recorded import settings_of

__all__ = ["check_unit"]

_STANDS_FOR_ONE = ("pseudonymize", "tokenize", "vault", "encrypt_deterministic")
_BITS = 64  # of an int64 pseudonym
_HINT = "protect it first: `{column}: {{protect: pseudonymize, output: uuid}}`"


def check_unit(spec: Spec | ExactSpec, facts: Sequence[ColumnRecord], rows: int) -> Fraction:
    """The chance that two of at most `rows` units have one token: 0 but for `int64` pseudonyms.

    By the union bound over pairs, since a PRF's outputs meet as if drawn (FORMATS: n^2 / 2^65).

    Raises: SpecError for a unit in clear, by a protection that does not stand for one person, or
    by one that makes several tokens of one.
    """
    if spec.unit == ROW:
        return Fraction(0)
    fact = next((each for each in facts if each.path.lower() == spec.unit.lower()), None)
    if fact is None or fact.protection not in _STANDS_FOR_ONE:
        found = "in clear" if fact is None else f"under `{fact.protection}`"
        raise SpecError(
            f"the unit {spec.unit} stands {found} in the source",
            where=f"{spec.file} unit",
            hint=_HINT.format(column=spec.unit),
        )
    settings = settings_of(fact)
    if isinstance(settings, Tokenize) and settings.tweak is not None:
        raise SpecError(
            f"the unit {spec.unit} has one token for each value of {settings.tweak}",
            where=f"{spec.file} unit",
            hint="take a column of which one person has one token",
        )
    if isinstance(settings, Pseudonymize) and settings.output == "int64":
        return Fraction(rows * rows, 1 << (_BITS + 1))
    return Fraction(0)
