"""Arrow layouts: columns to bytes, offsets and nulls, and back, with no loop over rows.

The names of places (`Path`, `Step`) come without numpy and pyarrow, for who only reads a policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from privpipe.arrow._path import Path, Step

if TYPE_CHECKING:
    from privpipe.arrow._bind import Bound, bound
    from privpipe.arrow._build import build
    from privpipe.arrow._cells import Cells, cells
    from privpipe.arrow._decode import decode
    from privpipe.arrow._encode import encode
    from privpipe.arrow._nested import leaf, leaf_rows, map_leaf
    from privpipe.arrow._padded import padded, unpadded

__all__ = [
    "Bound",
    "Cells",
    "Path",
    "Step",
    "bound",
    "build",
    "cells",
    "decode",
    "encode",
    "leaf",
    "leaf_rows",
    "map_leaf",
    "padded",
    "unpadded",
]

_HOMES = {
    "Bound": "_bind",
    "Cells": "_cells",
    "bound": "_bind",
    "build": "_build",
    "cells": "_cells",
    "decode": "_decode",
    "encode": "_encode",
    "leaf": "_nested",
    "leaf_rows": "_nested",
    "map_leaf": "_nested",
    "padded": "_padded",
    "unpadded": "_padded",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
