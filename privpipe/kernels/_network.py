"""IP addresses to the networks they lie in."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa

from privpipe.arrow import encode
from privpipe.errors import InvalidValue, UsageError
from privpipe.kernels._column import Column, take_in
from privpipe.kernels._pack import Ints
from privpipe.kernels._quads import quads, write_networks
from privpipe.kernels._texts import check_text, text_column

__all__ = ["networks"]

_MAPPED = 0xFFFF
"""The first 96 bits of an address of `::ffff:0:0/96`"""

_MADE = (
    (0, 96, 96),  # IPv4-compatible
    (0xFFFF << 16, 96, 96),  # IPv4-translated
    (0x0064_FF9B << 64, 96, 96),  # NAT64
    (0x2001_0000, 32, 96),  # Teredo, which has each bit of the client's turned over
    (0x2002, 16, 16),  # 6to4
)
"""Networks of addresses that are made of an IPv4 address: their first bits, how many these are, and
where the IPv4 address begins."""


def networks(values: pa.Array, *, v4: int, v6: int) -> pa.Array:
    """The network of each IP address: its first `v4` or `v6` bits, in CIDR form.

    Input: a string, large, view or dictionary array of addresses: IPv4 as four decimal numbers with
        no zeros before them, IPv6 in any form of RFC 4291, section 2.2. An IPv6 address that
        carries an IPv4 address (`::ffff:203.0.113.7`) is taken for the one that it carries; of one
        that is made of an IPv4 address, `v4` bits of that are kept at most: 6to4 (`2002::/16`),
        NAT64 (`64:ff9b::/96`), Teredo (`2001::/32`), IPv4-compatible (`::/96`), IPv4-translated
        (`::ffff:0:0:0/96`).
    Output: a string array of the same length: `203.0.113.0/24`, `2001:db8::/48` as RFC 5952 has it.
    Nulls: stay null.
    Associated data: none.
    Reveals: which values are null, the network of each, and which are of IPv4.
    Limits: columns of many distinct IPv6 addresses are slow: each is read by itself. Addresses that
        a NAT64 under a prefix of its operator's own makes of IPv4 are not known for such.
    Raises: InvalidValue where values are no addresses (with a zone, a port, a prefix or blanks
        they are none), with how many rows hold such; SchemaError for an array of another type;
        UsageError for a number of bits that no address has.
    Source: RFC 4632, section 3.1, and RFC 4291, section 2.3, for the form; RFC 6943, section 3.1.1,
        for why zeros before a number are refused: some take it for octal; RFC 3056, RFC 6052,
        section 2.1, RFC 4380, section 4, RFC 4291, section 2.5.5, and RFC 2765, section 2.1, for
        addresses that are made of others.

    >>> import pyarrow as pa
    >>> networks(pa.array(["203.0.113.7", None, "2001:DB8::1"]), v4=24, v6=48).to_pylist()
    ['203.0.113.0/24', None, '2001:db8::/48']
    """
    if not (0 <= v4 <= 32 and 0 <= v6 <= 128):
        raise UsageError("a network has 0 to 32 bits in IPv4, and 0 to 128 in IPv6")
    check_text(values)
    column = take_in(values, b"")
    found, sound = quads(column.rows)
    if sound.all():
        return text_column(column, *write_networks(found, v4))
    words = encode(values).drop_null().filter(pa.array(~sound)).dictionary_encode()
    texts = _others(words.dictionary, v4, v6)
    kinds = words.indices.to_numpy()
    wrong = np.count_nonzero(np.array([text is None for text in texts])[kinds])
    if wrong:
        raise InvalidValue(
            f"rows whose value is no IP address: {wrong}",
            hint="an address stands alone: no zone, port, prefix, blanks or leading zeros",
        )
    quad_rows = column.rows.only(sound)
    own = Column(rows=quad_rows, aad=b"", valid=None, count=len(quad_rows))
    made = text_column(own, *write_networks(found, v4))
    places: Ints = np.empty(len(sound), dtype=np.int64)
    places[sound] = np.arange(own.count)
    places[~sound] = own.count + kinds
    return pa.concat_arrays([made, pa.array(texts, made.type)]).take(_spread(places, column))


def _spread(places: Ints, column: Column) -> pa.Array:
    """The places of the column's rows, null where it is."""
    if column.valid is None:
        return pa.array(places)
    every = np.zeros(column.count, dtype=np.int64)
    every[column.valid] = places
    return pa.array(every, mask=~column.valid)


def _others(words: pa.Array, v4: int, v6: int) -> list[str | None]:
    """The network of each text that is no dotted quad."""
    # Networks are fewer than addresses, and one takes as long to write as an address to read.
    write = cache(lambda number: str(ipaddress.IPv6Address(number)))
    return [_network(word, v4, v6, write) for word in words.to_pylist()]


def _network(word: bytes, v4: int, v6: int, write: Callable[[int], str]) -> str | None:
    """The network of an address other than plain IPv4; None where it is none."""
    try:
        address = ipaddress.IPv6Address(word.decode("ascii"))
    except ValueError:
        return None
    if address.scope_id is not None:
        return None
    number = int(address)
    if number >> 32 == _MAPPED:
        kept = (number & 0xFFFF_FFFF) >> (32 - v4) << (32 - v4)
        return f"{ipaddress.IPv4Address(kept)}/{v4}"
    for start, bits, at in _MADE:
        if number >> (128 - bits) == start:
            # What lies behind a 6to4 address's IPv4 address goes with the bits that are cut.
            v6 = min(v6, at + v4)
    return f"{write(number >> (128 - v6) << (128 - v6))}/{v6}"
