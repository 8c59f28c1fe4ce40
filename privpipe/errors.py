"""The one error tree.

    PrivpipeError          PP-ERR-00  exit 1   the root: catch this
    ├── UsageError         PP-USE-01  exit 2   the call itself is off
    │   ├── ConfigError    PP-USE-02  exit 2   the project file is missing or wrong
    │   ├── MissingExtra   PP-USE-03           an optional part of privpipe is not installed
    │   └── AggregateError PP-USE-04           an aggregate's own function failed, or lies
    ├── PolicyError        PP-POL-01  exit 3   the policy file: every fault in it at once
    │   └── SpecError      PP-POL-02           a feature spec: every fault in it at once
    ├── DataError          PP-DAT-00  exit 3   the tables
    │   ├── SourceError    PP-DAT-01           the source is missing, empty of columns or unreadable
    │   ├── MalformedRow   PP-DAT-02           a CSV or JSON row that is not one
    │   ├── SchemaError    PP-DAT-03           a column is missing or of a type that will not do
    │   ├── TargetError    PP-DAT-04           the target exists, is the source or no Delta table
    │   ├── ClearHistory   PP-DAT-05           the target's history holds these columns in clear
    │   ├── AppendMismatch PP-DAT-06           the table that is there was made in another way
    │   ├── NotProtected   PP-DAT-07           no table or column that privpipe protected
    │   ├── EncodingError  PP-DAT-08           a value that its type cannot hold
    │   ├── InvalidValue   PP-DAT-09           a value that its protection cannot take
    │   ├── FixedOverflow  PP-DAT-10           a fixed-point sum might leave its 64 bits
    │   └── AnonymityError PP-ANO-01           rows that do not hide among as many as asked for
    ├── KeyAccessError     PP-KEY-00  exit 3   keys
    │   ├── KekError       PP-KEY-01           the KEK is missing, malformed or of the wrong mode
    │   ├── UnwrapError    PP-KEY-02           a keyset does not open under this KEK and scope
    │   ├── KeysetNotFound PP-KEY-03           no keyset for this scope
    │   ├── KeysetError    PP-KEY-04           a keyset that cannot be used
    │   └── SecretTravels  PP-KEY-05           an open key was about to be pickled
    ├── DecryptionError    PP-DEC-01  exit 3   a ciphertext did not authenticate
    ├── BudgetError        PP-BUD-00  exit 3   a privacy budget, bound or charge that cannot be
    │   ├── BudgetSpent    PP-BUD-01           the budget does not hold this charge
    │   ├── UnknownBudget  PP-BUD-02           no budget of this name was opened
    │   ├── BudgetConflict PP-BUD-03           another amount under the name, another's data
    │   └── DrawConflict   PP-BUD-04           the reservation is past this: drawn, say
    ├── CatalogError       PP-CAT-00  exit 3   the catalog
    │   ├── RunConflict    PP-CAT-01           this run id was used with something else
    │   ├── UnsettledRun   PP-CAT-02           a run is unsettled: `privpipe catalog repair`
    │   ├── CatalogAccess  PP-CAT-03           the catalog cannot be read or written
    │   └── DomainConflict PP-CAT-04           the domain has another family or active key
    ├── TryAgain           PP-TRY-01  exit 75  another job was faster, retries are exhausted
    ├── EngineError        PP-ENG-01  exit 1   Spark, Java or the storage failed
    └── InternalError      PP-INT-00  exit 1   our bug

An executor's error reaches the driver as text alone, so the code in the text leads back to the
class (`from_text`). A message is lower case and says what and where; it never holds a cell value
or a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

__all__ = [
    "AggregateError",
    "AnonymityError",
    "AppendMismatch",
    "BudgetConflict",
    "BudgetError",
    "BudgetSpent",
    "CatalogAccess",
    "CatalogError",
    "ClearHistory",
    "ConfigError",
    "DataError",
    "DecryptionError",
    "DomainConflict",
    "DrawConflict",
    "EncodingError",
    "EngineError",
    "FixedOverflow",
    "InternalError",
    "InvalidValue",
    "KekError",
    "KeyAccessError",
    "KeysetError",
    "KeysetNotFound",
    "MalformedRow",
    "MissingExtra",
    "NotProtected",
    "PolicyError",
    "PrivpipeError",
    "RunConflict",
    "SchemaError",
    "SecretTravels",
    "SourceError",
    "SpecError",
    "TargetError",
    "TryAgain",
    "UnknownBudget",
    "UnsettledRun",
    "UnwrapError",
    "UsageError",
    "from_text",
]


class PrivpipeError(Exception):
    """Root of every error that privpipe raises.

    `code` is stable and safe to match on; `exit_code` is what the command line returns;
    `where` names a policy line, column, key id or path; `hint` says what to do.
    """

    code: ClassVar[str] = "PP-ERR-00"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" {self.where}:" if self.where else ""
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"[{self.code}]{place} {self.message}{hint}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.where, self.hint)


def _rebuild(
    kind: type[PrivpipeError], message: str, where: str | None, hint: str | None
) -> PrivpipeError:
    return kind(message, where=where, hint=hint)


class UsageError(PrivpipeError):
    """The call itself is off: a flag, an argument, a combination."""

    code = "PP-USE-01"
    exit_code = 2


class ConfigError(UsageError):
    """The project file is missing or wrong."""

    code = "PP-USE-02"


class MissingExtra(UsageError):
    """An optional part of privpipe is not installed; the hint names the command."""

    code = "PP-USE-03"


class AggregateError(UsageError):
    """A function of an aggregate failed, or gave what it should not. No value is quoted."""

    code = "PP-USE-04"


class PolicyError(PrivpipeError):
    """A policy is wrong; the message lists every fault, one a line, each with its file and line."""

    code = "PP-POL-01"
    exit_code = 3


class SpecError(PolicyError):
    """A feature spec is wrong; told as the faults of a policy are."""

    code = "PP-POL-02"


class DataError(PrivpipeError):
    """Something about the tables."""

    code = "PP-DAT-00"
    exit_code = 3


class SourceError(DataError):
    """The source is missing, has no columns, or cannot be read."""

    code = "PP-DAT-01"


class MalformedRow(DataError):
    """A CSV or JSON row that is not one. The row's text is never in the message."""

    code = "PP-DAT-02"


class SchemaError(DataError):
    """A column is missing, of another type, or of a type that cannot be protected."""

    code = "PP-DAT-03"


class TargetError(DataError):
    """The target exists, is the source, or is no Delta table."""

    code = "PP-DAT-04"


class ClearHistory(DataError):
    """The target's history still holds in clear what this run would protect."""

    code = "PP-DAT-05"


class AppendMismatch(DataError):
    """The table that is there was made under another policy, type or key."""

    code = "PP-DAT-06"


class NotProtected(DataError):
    """The table or column is not one that privpipe protected."""

    code = "PP-DAT-07"


class EncodingError(DataError):
    """A value that its declared type cannot hold."""

    code = "PP-DAT-08"


class InvalidValue(DataError):
    """A value that its protection cannot take: outside an alphabet, too short, out of range."""

    code = "PP-DAT-09"


class FixedOverflow(DataError):
    """A fixed-point value or sum might leave its 64 bits, whatever the data are."""

    code = "PP-DAT-10"


class AnonymityError(DataError):
    """The rows cannot be made to hide, or do not, among as many others as were asked for."""

    code = "PP-ANO-01"


class KeyAccessError(PrivpipeError):
    """Something about keys."""

    code = "PP-KEY-00"
    exit_code = 3


class KekError(KeyAccessError):
    """The key-encryption key is missing, malformed, or readable by others."""

    code = "PP-KEY-01"


class UnwrapError(KeyAccessError):
    """A wrapped keyset does not open under this KEK, scope and primitive."""

    code = "PP-KEY-02"


class KeysetNotFound(KeyAccessError):
    """The catalog has no keyset for this scope and primitive."""

    code = "PP-KEY-03"


class KeysetError(KeyAccessError):
    """A keyset that is malformed or cannot be used for this."""

    code = "PP-KEY-04"


class SecretTravels(KeyAccessError):
    """An open key was about to be pickled. Send its `KeyRef` instead."""

    code = "PP-KEY-05"


class DecryptionError(PrivpipeError):
    """A ciphertext did not authenticate. Nothing of its batch was released."""

    code = "PP-DEC-01"
    exit_code = 3


class BudgetError(PrivpipeError):
    """A privacy budget, a bound or a charge that means nothing, or two that do not compare."""

    code = "PP-BUD-00"
    exit_code = 3


class BudgetSpent(BudgetError):
    """What is left of the budget does not hold this charge. Nothing was spent or released."""

    code = "PP-BUD-01"


class UnknownBudget(BudgetError):
    """No budget of this name was opened; the hint lists those that were."""

    code = "PP-BUD-02"


class BudgetConflict(BudgetError):
    """The budget was opened with another amount, or the data are charged to another budget."""

    code = "PP-BUD-03"


class DrawConflict(BudgetError):
    """The reservation is past this step: drawn, published or cancelled. Nothing was changed."""

    code = "PP-BUD-04"


class CatalogError(PrivpipeError):
    """Something about the catalog."""

    code = "PP-CAT-00"
    exit_code = 3


class RunConflict(CatalogError):
    """The run id was used before with another policy, source or target."""

    code = "PP-CAT-01"


class UnsettledRun(CatalogError):
    """A run on this table has not been settled."""

    code = "PP-CAT-02"


class CatalogAccess(CatalogError):
    """The catalog cannot be read or written."""

    code = "PP-CAT-03"


class DomainConflict(CatalogError):
    """A domain already holds another family of values, or another active key."""

    code = "PP-CAT-04"


class TryAgain(PrivpipeError):
    """Another job was faster, or holds the run; nothing was changed. Try again later."""

    code = "PP-TRY-01"
    exit_code = 75


class EngineError(PrivpipeError):
    """Spark, Java or the storage beneath failed."""

    code = "PP-ENG-01"


class InternalError(PrivpipeError):
    """Our bug. Please report it with the code and the version."""

    code = "PP-INT-00"


def _family(root: type[PrivpipeError]) -> Iterator[type[PrivpipeError]]:
    yield root
    for child in root.__subclasses__():
        yield from _family(child)


_TEXT = re.compile(r"\[(PP-[A-Z]{3}-\d\d)\](?: ([^\n]*))?(?:\nhint: ([^\n]*))?")


def from_text(text: str) -> PrivpipeError | None:
    """The error whose printed form stands in `text`, or None where there is none.

    The first printed error counts: a worker's traceback ends with the one it raised, and what
    Spark adds behind it repeats that.
    """
    found = _TEXT.search(text)
    if found is None:
        return None
    code, message, hint = found.groups()
    kinds = {kind.code: kind for kind in _family(PrivpipeError)}
    return kinds.get(code, PrivpipeError)((message or "").strip(), hint=hint)
