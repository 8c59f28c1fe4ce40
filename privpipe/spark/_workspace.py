"""Where a run works: session, catalog and keys, and how the catalog names places.

A place inside the project's folder is kept relative to it, so that a project that is moved or
cloned whole still finds its tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from privpipe.catalog import Catalog
from privpipe.errors import UsageError
from privpipe.spark._keyring import CatalogKeyring
from privpipe.spark._names import absolute_target, is_path

__all__ = ["Workspace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One project at work: `base` is the folder of its project file."""

    spark: SparkSession
    catalog: Catalog
    keys: CatalogKeyring
    base: Path

    def keep(self, place: str) -> str:
        """How the catalog keeps a place that the user named (relative to the current folder)."""
        absolute = absolute_target(place, Path.cwd())
        if not is_path(absolute) or not absolute.startswith("/"):
            return absolute
        # Symbolic links are followed: one table has one name in the catalog.
        try:
            local, base = Path(absolute).resolve(), self.base.resolve()
        except (OSError, RuntimeError):
            raise UsageError(
                "this place cannot be followed", where=place, hint="its symbolic links make a loop"
            ) from None
        return (
            f"./{local.relative_to(base).as_posix()}" if local.is_relative_to(base) else str(local)
        )

    def find(self, kept: str) -> str:
        """The place that the catalog's `kept` means now."""
        return str(self.base / kept) if kept.startswith("./") else kept
