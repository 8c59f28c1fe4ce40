"""Kernels: one array and one key to one array of the same length. They see no keyset."""

from __future__ import annotations

from privpipe.kernels._aesgcm import AesGcm
from privpipe.kernels._aessiv import AesSiv
from privpipe.kernels._avro import read_avro
from privpipe.kernels._envelopes import parse_dlp, parse_vault
from privpipe.kernels._fernet import Fernet
from privpipe.kernels._k2 import parse_k2
from privpipe.kernels._recognize import classify, recognize

__all__ = [
    "AesGcm",
    "AesSiv",
    "Fernet",
    "classify",
    "parse_dlp",
    "parse_k2",
    "parse_vault",
    "read_avro",
    "recognize",
]
