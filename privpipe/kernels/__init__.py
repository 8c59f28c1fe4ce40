"""Kernels: one array and one key to one array of the same length. They see no keyset."""

from __future__ import annotations

from privpipe.kernels._aesgcm import AesGcm
from privpipe.kernels._aessiv import AesSiv
from privpipe.kernels._ff1 import Ff1
from privpipe.kernels._tokens import Tokens

__all__ = ["AesGcm", "AesSiv", "Ff1", "Tokens"]
