"""What is known of a column's values: counts and forms, and no value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["LOOKS", "Charset", "Looks", "Profile"]

Looks: TypeAlias = Literal["card", "email", "date", "ip", "zip", "phone", "ssn"]
Charset: TypeAlias = Literal["digits", "hex", "base36", "letters", "alphanumeric", "text"]

LOOKS = {
    "card": "card numbers, their check digits right",
    "email": "e-mail addresses",
    "date": "dates",
    "ip": "IP addresses",
    "zip": "ZIP codes",
    "phone": "phone numbers",
    "ssn": "social security numbers",
}
"""What a column may look like, in words."""

_UNIQUE = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A column, or a field of a struct, as a sample of its rows shows it.

    `path` is spelt as a policy does, `kind` a word of the policy's types, `type` Spark's own text.
    `distinct` and `top` (how many rows hold the commonest value) are None where values of the type
    cannot be counted. For text alone: lengths in characters, `letters` the fewest of a value that
    are digits or letters, `charset` what those are, `separators` what stands between them.
    """

    path: str
    kind: str
    type: str
    rows: int
    nulls: int
    distinct: int | None = None
    top: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    letters: int | None = None
    charset: Charset | None = None
    separators: str = ""
    looks: Looks | None = None

    @property
    def values(self) -> int:
        """The rows that hold a value."""
        return self.rows - self.nulls

    @property
    def unique(self) -> bool:
        """Whether nearly every value is another one."""
        return self.distinct is not None and 0 < self.values * _UNIQUE <= self.distinct

    @property
    def top_share(self) -> float | None:
        """The share of the values that are the commonest one."""
        return None if self.top is None or not self.values else self.top / self.values
