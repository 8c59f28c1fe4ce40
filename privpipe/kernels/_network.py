"""Network addresses as the networks that they are in."""

from __future__ import annotations

import ipaddress

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.arrow import build
from privpipe.errors import InvalidValue, UsageError
from privpipe.kernels._base64 import flatten
from privpipe.kernels._column import take_in
from privpipe.kernels._pack import Bytes, Ints, Mask, Slices, windows
from privpipe.kernels._texts import check_text

__all__ = ["networks"]

_LONGEST_V4 = 15
_LONGEST_V6 = 45
"""Eight groups, the last two as a dotted quad"""


def networks(values: pa.Array, *, v4: int, v6: int) -> pa.Array:
    """The network of each IP address: its first `v4` or `v6` bits, in CIDR form.

    Input: a string, large, view or dictionary array of addresses: IPv4 as four decimal numbers with
        no zeros before them, IPv6 in any form of RFC 4291, section 2.2. An IPv6 address that
        carries an IPv4 address (`::ffff:203.0.113.7`) is taken for the one that it carries.
    Output: a string array of the same length: `203.0.113.0/24`, `2001:db8::/48` as RFC 5952 has it.
    Nulls: stay null.
    Associated data: none.
    Reveals: which values are null, the network of each, and which are of IPv4.
    Limits: columns of many distinct IPv6 addresses are slow: each is read by itself.
    Raises: InvalidValue where values are no addresses (with a zone, a port, a prefix or blanks
        they are none), with how many rows hold such; SchemaError for an array of another type;
        UsageError for a number of bits that no address has.
    Source: RFC 4632, section 3.1, and RFC 4291, section 2.3, for the form; RFC 6943, section 3.1.1,
        for why zeros before a number are refused: some take it for octal.

    >>> import pyarrow as pa
    >>> networks(pa.array(["203.0.113.7", None, "2001:DB8::1"]), v4=24, v6=48).to_pylist()
    ['203.0.113.0/24', None, '2001:db8::/48']
    """
    for bits, most in ((v4, 32), (v6, 128)):
        if not 0 <= bits <= most:
            raise UsageError(f"the first {bits} bits of {most} of an address")
    check_text(values)
    column = take_in(values, b"")
    octets, sound = _octets(column.rows)
    words, codes = _others(column.rows.only(~sound), v4, v6)
    count = len(octets)
    places = np.empty(len(sound), dtype=np.int64)
    places[sound] = np.arange(count)
    places[~sound] = codes + count
    every = np.zeros(column.count, dtype=np.int64)
    every[... if column.valid is None else column.valid] = places
    absent = None if column.valid is None else ~column.valid
    return pa.concat_arrays([_quads(octets, v4), words]).take(pa.array(every, mask=absent))


def _octets(rows: Slices) -> tuple[Bytes, Mask]:
    """The four numbers of each IPv4 address, shape (n, 4), and which rows are such."""
    lengths = rows.lengths
    letters = windows(rows.data, 16)[rows.starts].view(np.uint8).reshape(-1, 16)
    inside = np.arange(16) < lengths[:, np.newaxis]
    digits = letters - np.uint8(ord("0"))  # what is no digit wraps round to 10 or more
    dots = (letters == ord(".")) & inside
    sound = (lengths <= _LONGEST_V4) & (dots.sum(axis=1) == 3)
    sound &= (dots | (digits < 10) | ~inside).all(axis=1)
    chosen = np.flatnonzero(sound)
    digits, ends = digits[chosen], np.empty((len(chosen), 4), dtype=np.int64)
    ends[:, :3] = np.nonzero(dots[chosen])[1].reshape(-1, 3)
    ends[:, 3] = lengths[chosen]
    numbers, fine = _numbers(digits, ends)
    sound[chosen[~fine]] = False
    return numbers[fine].astype(np.uint8), sound


def _numbers(digits: Bytes, ends: Ints) -> tuple[npt.NDArray[np.int64], Mask]:
    """The numbers that end there, shape (n, 4), and which rows have four up to 255."""
    widths = np.diff(ends, axis=1, prepend=-1) - 1
    numbers = np.zeros(ends.shape, dtype=np.int64)
    leading = np.zeros(ends.shape, dtype=np.uint8)
    for back, worth in ((1, 1), (2, 10), (3, 100)):
        # Where a number is shorter, what stands before it is read and counts for nothing.
        digit = np.take_along_axis(digits, np.maximum(ends - back, 0), axis=1)
        numbers += np.where(widths >= back, digit, 0).astype(np.int64) * worth
        leading = np.where(widths == back, digit, leading)
    fine = (widths >= 1) & (widths <= 3) & (numbers <= 255) & ((leading > 0) | (widths == 1))
    return numbers, fine.all(axis=1)


def _quads(octets: Bytes, bits: int) -> pa.Array:
    """The networks of IPv4 addresses."""
    mask = (0xFFFF_FFFF << (32 - bits) & 0xFFFF_FFFF).to_bytes(4, "big")
    kept = octets & np.frombuffer(mask, dtype=np.uint8)
    texts = [str(number) for number in range(256)]
    inner, last = pa.array(texts), pa.array([f"{text}/{bits}" for text in texts])
    parts = [words.take(pa.array(kept[:, at])) for at, words in enumerate([inner] * 3 + [last])]
    return pc.binary_join_element_wise(*parts, ".")


def _others(rows: Slices, v4: int, v6: int) -> tuple[pa.Array, Ints]:
    """The networks of distinct addresses that are not plain IPv4, and which each row has."""
    offsets = np.concatenate([[0], np.cumsum(rows.lengths)])
    found = build(flatten(rows), offsets, None).dictionary_encode()
    codes = found.indices.to_numpy().astype(np.int64)
    texts = [_network(each, v4, v6) for each in found.dictionary.to_pylist()]
    faulty = np.array([text is None for text in texts], dtype=np.bool_)[codes]
    if faulty.any():
        raise InvalidValue(
            f"rows whose value is no IP address: {int(faulty.sum())}",
            hint="an address stands alone: no zone, port, prefix, blanks or leading zeros",
        )
    return pa.array(texts, pa.string()), codes


def _network(value: bytes, v4: int, v6: int) -> str | None:
    """The network of an IPv6 address; None where it is none."""
    if len(value) > _LONGEST_V6 or b"%" in value:
        return None
    try:
        address = ipaddress.IPv6Address(value.decode("ascii"))
    except ValueError:
        return None
    carried = address.ipv4_mapped
    if carried is not None:
        return str(ipaddress.IPv4Network((int(carried), v4), strict=False))
    return str(ipaddress.IPv6Network((int(address), v6), strict=False))
