"""Settings that make no sense."""

from __future__ import annotations

from collections.abc import Iterator

from privpipe.policy._settings import Settings

__all__ = ["sense"]


def sense(protection: str, settings: Settings) -> Iterator[tuple[str, str, str | None]]:
    """(key, fault, hint) for each."""
    del protection, settings
    yield from ()
