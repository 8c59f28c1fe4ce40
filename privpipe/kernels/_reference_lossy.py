"""Scalar twins of the lossy kernels: one value each, and no code of theirs."""

from __future__ import annotations

import socket
import unicodedata
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import TypeVar

from privpipe.kernels._reference_prf import cmac

__all__ = ["days_of", "entry", "masked", "network", "shifted"]

Moment = TypeVar("Moment", date, datetime)


def entry(key: bytes, entries: list[str], value: bytes, head: bytes = b"") -> str:
    """The entry that stands for a value."""
    return entries[int(cmac(key, value, head).hex()[:16], 16) % len(entries)]


def days_of(key: bytes, days: int, subject: bytes, head: bytes = b"") -> int:
    """The number of days of a subject."""
    return int(cmac(key, subject, head).hex()[:16], 16) % (2 * days + 1) - days


def shifted(key: bytes, days: int, moment: Moment, subject: bytes, head: bytes = b"") -> Moment:
    """The moment, moved; OverflowError outside the years 1 to 9999."""
    return moment + timedelta(days=days_of(key, days, subject, head))


def network(text: str, v4: int, v6: int) -> str:
    """The network of an address, as the C library reads it; OSError where that does not."""
    if ":" not in text:
        packed = socket.inet_pton(socket.AF_INET, text)
        return f"{socket.inet_ntop(socket.AF_INET, _first(packed, v4))}/{v4}"
    packed = socket.inet_pton(socket.AF_INET6, text)
    if packed[:12] == bytes(10) + b"\xff\xff":
        return f"{socket.inet_ntop(socket.AF_INET, _first(packed[12:], v4))}/{v4}"
    if packed[:2] == b"\x20\x02":
        v6 = min(v6, 16 + v4)
    compatible, translated = bytes(12), bytes(8) + b"\xff\xff" + bytes(2)
    nat64, teredo = b"\x00\x64\xff\x9b" + bytes(8), b"\x20\x01\x00\x00"
    if packed.startswith((compatible, translated, nat64, teredo)):
        v6 = min(v6, 96 + v4)
    return f"{_groups(_first(packed, v6))}/{v6}"


def masked(text: str, first: int, last: int, keep: str, char: str) -> str:
    """The text with its characters hidden."""
    if keep == "punctuation":
        keep = "".join(one for one in text if not _is_word(unicodedata.category(one)))
    few = len(text) <= first + last
    shown = [] if few else [*range(first), *range(len(text) - last, len(text))]
    return "".join(one if at in shown or one in keep else char for at, one in enumerate(text))


def _is_word(kind: str) -> bool:
    return kind[0] in "LMN" or kind in {"Cn", "Co", "Cs", "Cf", "So"}


def _first(packed: bytes, bits: int) -> bytes:
    """The first bits, and zeros behind them."""
    digits = "".join(f"{byte:08b}" for byte in packed)
    kept = digits[:bits].ljust(len(digits), "0")
    return bytes(int(kept[at : at + 8], 2) for at in range(0, len(kept), 8))


def _groups(packed: bytes) -> str:
    """RFC 5952: the first of the longest runs of two zeros or more is left out."""
    groups = [f"{packed[at] << 8 | packed[at + 1]:x}" for at in range(0, 16, 2)]
    longest, start, at = 1, 0, 0
    for zero, run in groupby(groups, lambda group: group == "0"):
        size = len(list(run))
        if zero and size > longest:
            longest, start = size, at
        at += size
    if longest == 1:
        return ":".join(groups)
    return f"{':'.join(groups[:start])}::{':'.join(groups[start + longest :])}"
