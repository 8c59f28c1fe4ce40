"""What an executor may say: our own errors, with the column's name, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from privpipe.errors import InternalError, PrivpipeError

__all__ = ["sealed_lips"]


@contextmanager
def sealed_lips(column: str) -> Iterator[None]:
    """Lets our own errors out, with the column's name, and nothing else."""
    try:
        yield
    except PrivpipeError as error:
        where = f"column {column}" + (f", {error.where}" if error.where else "")
        raise type(error)(error.message, where=where, hint=error.hint) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, its text stays here
        # Its text may hold a value: the class alone may leave.
        name = type(error).__name__
        raise InternalError(
            f"an executor failed with {name}",
            where=f"column {column}",
            hint="report this with the column's type",
        ) from None
