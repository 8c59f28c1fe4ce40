"""Kernels: one array and one key to one array of the same length. They see no keyset."""

from __future__ import annotations

from privpipe.kernels._aescmac import AesCmac
from privpipe.kernels._aesgcm import AesGcm
from privpipe.kernels._aessiv import AesSiv
from privpipe.kernels._avro import read_avro
from privpipe.kernels._dictionary import Dictionary
from privpipe.kernels._envelopes import parse_dlp, parse_vault
from privpipe.kernels._fernet import Fernet
from privpipe.kernels._ff1 import Ff1
from privpipe.kernels._hierarchy import Hierarchy
from privpipe.kernels._hmac import HmacSha256, HmacSha512
from privpipe.kernels._k2 import parse_k2
from privpipe.kernels._listings import parse_entries, parse_hierarchy
from privpipe.kernels._masks import masks
from privpipe.kernels._network import networks
from privpipe.kernels._pem import generate_pair, is_locked, key_fingerprint, unlocked
from privpipe.kernels._pseudonym import (
    as_base64,
    as_hex,
    as_int64,
    as_uuid,
    collision_bound,
    context_head,
)
from privpipe.kernels._recognize import classify, recognize
from privpipe.kernels._seal import Opener, SealedKey, Sealer
from privpipe.kernels._shift import Shift
from privpipe.kernels._tokens import Tokens

__all__ = [
    "AesCmac",
    "AesGcm",
    "AesSiv",
    "Dictionary",
    "Fernet",
    "Ff1",
    "Hierarchy",
    "HmacSha256",
    "HmacSha512",
    "Opener",
    "SealedKey",
    "Sealer",
    "Shift",
    "Tokens",
    "as_base64",
    "as_hex",
    "as_int64",
    "as_uuid",
    "classify",
    "collision_bound",
    "context_head",
    "generate_pair",
    "is_locked",
    "key_fingerprint",
    "masks",
    "networks",
    "parse_dlp",
    "parse_entries",
    "parse_hierarchy",
    "parse_k2",
    "parse_vault",
    "read_avro",
    "recognize",
    "unlocked",
]
