"""Arrow layouts: columns to bytes, offsets and nulls, and back, with no loop over rows."""

from __future__ import annotations

from privpipe.arrow._build import build
from privpipe.arrow._cells import Cells, cells
from privpipe.arrow._path import Path, Step

__all__ = ["Cells", "Path", "Step", "build", "cells"]
