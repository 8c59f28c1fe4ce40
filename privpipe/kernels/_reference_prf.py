"""Scalar twins of the keyed one-way functions and of what is shown of them.

Each takes one value. They share no code with the vectorized kernels.
"""

from __future__ import annotations

import base64
import hmac
import uuid

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

__all__ = ["base64_text", "cmac", "hmac_sha256", "hmac_sha512", "int64_number", "uuid_text"]


def cmac(key: bytes, value: bytes, head: bytes = b"") -> bytes:
    """AES-CMAC of head and value, 16 bytes."""
    context = CMAC(AES(key))
    context.update(head + value)
    return context.finalize()


def hmac_sha256(key: bytes, value: bytes, head: bytes = b"") -> bytes:
    """HMAC-SHA256 of head and value, 32 bytes."""
    return hmac.digest(key, head + value, "sha256")


def hmac_sha512(key: bytes, value: bytes, head: bytes = b"") -> bytes:
    """HMAC-SHA512 of head and value, 64 bytes."""
    return hmac.digest(key, head + value, "sha512")


def base64_text(tag: bytes) -> str:
    """The URL-safe alphabet of RFC 4648, section 5, with no padding."""
    return base64.urlsafe_b64encode(tag).decode("ascii").rstrip("=")


def uuid_text(tag: bytes) -> str:
    """RFC 9562, version 8: a tag of 16 bytes but for the six bits of version and variant."""
    number = int.from_bytes(tag, "big")
    number = number & ~(0xF << 76) | 8 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    return str(uuid.UUID(int=number))


def int64_number(tag: bytes) -> int:
    """The first 8 bytes, two's complement."""
    return int.from_bytes(tag[:8], "big", signed=True)
