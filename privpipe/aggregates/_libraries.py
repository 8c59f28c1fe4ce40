"""The library of the extra `sketches`, loaded where it is used and nowhere before."""

from __future__ import annotations

from types import ModuleType

from privpipe.errors import MissingExtra

__all__ = ["datasketches"]


def datasketches() -> ModuleType:
    """Apache DataSketches, whose sketches Spark and other engines read."""
    try:
        import datasketches as loaded
    except ImportError as error:
        raise MissingExtra(
            "datasketches is not installed, and sketches need it",
            hint="pip install 'privpipe[sketches]'",
        ) from error
    return loaded  # type: ignore[no-any-return]  # it has no types
