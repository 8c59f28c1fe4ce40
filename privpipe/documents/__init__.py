"""YAML documents that know their lines, and the faults in them, told all at once."""

from __future__ import annotations

from privpipe.documents._faults import Fault, Faults, choice, nearest, quote
from privpipe.documents._yaml import Node, read_file, read_mapping

__all__ = [
    "Fault",
    "Faults",
    "Node",
    "choice",
    "nearest",
    "quote",
    "read_file",
    "read_mapping",
]
