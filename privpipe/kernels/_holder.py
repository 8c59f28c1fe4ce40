"""What holds a key, or what a key can be told from, stays in its process."""

from __future__ import annotations

from typing import NoReturn, TypeVar

from privpipe.errors import SecretTravels

__all__ = ["holds_key"]

T = TypeVar("T")


def holds_key(kind: type[T]) -> type[T]:
    """Makes objects of a class refuse to be pickled or copied."""
    kind.__reduce_ex__ = _refuse  # type: ignore[method-assign]
    return kind


def _refuse(self: object, _protocol: object) -> NoReturn:
    raise SecretTravels(
        f"a {type(self).__name__} holds a key", hint="send the keyset's `KeyRef` instead"
    )
