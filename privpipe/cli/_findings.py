"""One line of the doctor's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from privpipe.errors import PrivpipeError

__all__ = ["Finding", "fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked at, how it is, and the command or change that mends it."""

    name: str
    status: Literal["ok", "warn", "fail"]
    text: str
    mend: str | None = None

    @classmethod
    def ok(cls, name: str, text: str) -> Self:
        """Nothing to do."""
        return cls(name=name, status="ok", text=text)

    @classmethod
    def warn(cls, name: str, text: str, mend: str) -> Self:
        """It works, and something is missing."""
        return cls(name=name, status="warn", text=text, mend=mend)

    @classmethod
    def fail(cls, name: str, text: str, mend: str) -> Self:
        """It does not work."""
        return cls(name=name, status="fail", text=text, mend=mend)


def fault(name: str, error: PrivpipeError) -> Finding:
    """An error as a finding."""
    where = f" ({error.where})" if error.where else ""
    return Finding(
        name=name, status="fail", text=f"[{error.code}] {error.message}{where}", mend=error.hint
    )
