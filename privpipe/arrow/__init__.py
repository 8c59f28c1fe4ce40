"""Arrow layouts: columns to bytes, offsets and nulls, and back, with no loop over rows."""

from __future__ import annotations

from privpipe.arrow._build import build
from privpipe.arrow._cells import Cells, cells
from privpipe.arrow._decode import decode
from privpipe.arrow._encode import encode
from privpipe.arrow._nested import leaf, map_leaf
from privpipe.arrow._path import Path, Step

__all__ = ["Cells", "Path", "Step", "build", "cells", "decode", "encode", "leaf", "map_leaf"]
