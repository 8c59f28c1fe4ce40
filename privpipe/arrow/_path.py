"""How a leaf inside a nested column is named."""

from __future__ import annotations

import enum
from typing import TypeAlias

__all__ = ["Path", "Step"]


class Step(enum.Enum):
    """A step of a path that has no field name: into a list's elements or a map's values."""

    ELEMENT = "[]"
    VALUES = "{}"


Path: TypeAlias = tuple[str | Step, ...]
"""Where a leaf lies, from the outside in: `("visits", Step.ELEMENT, "note")`."""
