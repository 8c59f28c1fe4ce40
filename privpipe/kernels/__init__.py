"""Kernels: one array and one key to one array of the same length. They see no keyset."""

from __future__ import annotations

from privpipe.kernels._aescmac import AesCmac
from privpipe.kernels._aesgcm import AesGcm
from privpipe.kernels._aessiv import AesSiv
from privpipe.kernels._hmac import HmacSha256

__all__ = ["AesCmac", "AesGcm", "AesSiv", "HmacSha256"]
