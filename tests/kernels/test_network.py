"""Networks: every form of an address, and nothing that is none."""

from __future__ import annotations

import doctest
import ipaddress
from ipaddress import IPv4Address, IPv6Address

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import InvalidValue, SchemaError, UsageError
from privpipe.kernels import networks
from privpipe.kernels._reference_lossy import network

V4 = st.ip_addresses(v=4).map(str)
GROUPS = st.integers(0, 0xFFFF) | st.just(0) | st.just(0x2002)


def forms(address: IPv6Address) -> st.SearchStrategy[str]:
    """Ways to write it down."""
    high, quad = int(address) >> 32, IPv4Address(int(address) & 0xFFFF_FFFF)
    lead = ":".join(f"{high >> at & 0xFFFF:x}" for at in range(80, -1, -16))
    return st.sampled_from([str(address), str(address).upper(), address.exploded, f"{lead}:{quad}"])


V6 = st.lists(GROUPS, min_size=8, max_size=8).map(
    lambda groups: IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))
)
HEADS = ["::ffff:", "::", "::ffff:0:", "64:ff9b::", "2001::1:"]
CARRIED = st.builds("{}{}".format, st.sampled_from(HEADS), V4)


@given(
    values=st.lists(st.none() | V4 | V6.flatmap(forms) | CARRIED, max_size=20),
    v4=st.integers(0, 32),
    v6=st.integers(0, 128),
)
def test_the_twin_agrees(values: list[str | None], v4: int, v6: int) -> None:
    made = networks(pa.array(values, pa.string()), v4=v4, v6=v6)
    made.validate(full=True)
    assert made.type == pa.string()
    assert made.to_pylist() == [None if one is None else network(one, v4, v6) for one in values]


def test_every_octet_in_every_place() -> None:
    values = [
        ".".join(str(octet) if at == place else "10" for at in range(4))
        for place in range(4)
        for octet in range(256)
    ]
    for bits in (0, 1, 8, 13, 24, 31, 32):
        made = networks(pa.array(values), v4=bits, v6=0).to_pylist()
        assert made == [str(ipaddress.ip_network((one, bits), strict=False)) for one in values]


def test_known_networks() -> None:
    wanted = {
        "2002:cb00:7107::1": "2002:cb00:7100::/40",
        "203.0.113.7": "203.0.113.0/24",
        "2001:DB8:0:0:1::1": "2001:db8::/48",
        "::ffff:203.0.113.7": "203.0.113.0/24",
        "::FFFF:cb00:7107": "203.0.113.0/24",
        "::": "::/48",
        "::1.2.3.4": "::/48",
        "64:ff9b::203.0.113.7": "64:ff9b::/48",
    }
    made = networks(pa.array([*wanted]), v4=24, v6=48)
    assert made.to_pylist() == [*wanted.values()]
    wanted = {
        "64:ff9b::203.0.113.7": "64:ff9b::cb00:7100/120",
        "64:ff9b::1:203.0.113.7": "64:ff9b::1:cb00:7107/128",
        "::203.0.113.7": "::cb00:7100/120",
        "::1": "::/120",
        "::1:0:0": "::1:0:0/128",
    }
    made = networks(pa.array([*wanted]), v4=24, v6=128)
    assert made.to_pylist() == [*wanted.values()]


@pytest.mark.parametrize("form", [*(head + "{}" for head in HEADS), "2002:{}::1"])
def test_an_address_made_of_another_tells_no_more_of_it(form: str) -> None:
    """Whatever `v6` is, two addresses of IPv4 in one network are in one network."""
    values = [form.format(low) for low in ("cb00:7107", "cb00:71c8")]
    for v6 in (97, 112, 121, 127, 128):
        first, second = networks(pa.array(values), v4=24, v6=v6).to_pylist()
        assert first == second
    wider = networks(pa.array(values), v4=32, v6=128).to_pylist()
    assert wider[0] != wider[1]


WRONG = [
    "", " ", ".", "...", "1.2.3", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4.", "1.2.3.4.5",
    "1.2.3.256", "1.2.3.999", "1.2.3.1000", "01.2.3.4", "1.2.3.04", "00.0.0.0", "1.2.3.00",
    "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\n", "1.2.3.4\0", "1.2.3.4:80", "1.2.3.4/24", "-1.2.3.4",
    "+1.2.3.4", "1.2.3.a", "0x1.2.3.4", "1,2,3,4", "16909060", "١.2.3.4", "1.2.3.4١",
    "1/2.3.4.5", "12345678901234567", "1" * 5000, "fe80::1%eth0", "fe80::1%", "[::1]",
    "[::1]:80", "::1/128", ":::", ":", "1::2::3", "12345::", "::g",
    "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::ffff:1.2.3.04", "::ffff:1.2.3", "::1 ", " ::1", "::١",
    "host", "1.2.3.4.example", "::" + "0" * 60,
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_address(wrong: str) -> None:
    good = ["203.0.113.7", None, "2001:db8::1"]
    with pytest.raises(InvalidValue, match=r"address: 2\n") as caught:
        networks(pa.array([wrong, *good, wrong]), v4=24, v6=48)
    assert str(caught.value).count("\n") == 1
    assert len(wrong) < 3 or wrong not in str(caught.value)
    with pytest.raises((OSError, ValueError)):
        network(wrong, 24, 48)


@given(st.text("0123456789.", min_size=5, max_size=17))
def test_quads_are_as_strict_as_the_twin(text: str) -> None:
    try:
        wanted = network(text, 24, 48)
    except OSError:
        with pytest.raises(InvalidValue):
            networks(pa.array([text]), v4=24, v6=48)
    else:
        assert networks(pa.array([text]), v4=24, v6=48).to_pylist() == [wanted]


def test_bytes_that_are_no_text() -> None:
    column = pa.array([b"1.2.3.4", b"\xff\xfe", b"1.2.3.\xb4"]).view(pa.string())
    with pytest.raises(InvalidValue, match="address: 2"):
        networks(column, v4=24, v6=48)


def test_what_stands_behind_a_value_is_not_read() -> None:
    """Rows side by side in one buffer, whose neighbours would make other numbers of them."""
    column = pa.array(["1.2.3.4", "5.6.7.8", "9.10.11.12", ".1.2.3.4"])
    assert networks(column.slice(1, 2), v4=32, v6=0).to_pylist() == ["5.6.7.8/32", "9.10.11.12/32"]
    with pytest.raises(InvalidValue, match="address: 1"):
        networks(column, v4=32, v6=0)


@pytest.mark.parametrize(("v4", "v6"), [(-1, 48), (33, 48), (24, -1), (24, 129)])
def test_bits_that_no_address_has(v4: int, v6: int) -> None:
    with pytest.raises(UsageError):
        networks(pa.array(["1.2.3.4"]), v4=v4, v6=v6)


def test_other_types_are_refused() -> None:
    for column in (pa.array([1]), pa.array([b"1.2.3.4"])):
        with pytest.raises(SchemaError):
            networks(column, v4=24, v6=48)


def test_thousands_of_both() -> None:
    draw = np.random.default_rng(4)
    values = [str(IPv4Address(number)) for number in draw.integers(0, 2**32, 3000).tolist()]
    wide = draw.integers(0, 2**58, 429).tolist()
    values[::7] = [str(IPv6Address(number << 70)) for number in wide]
    made = networks(pa.array(values), v4=17, v6=44).to_pylist()
    assert made[:200] == [network(one, 17, 44) for one in values[:200]]
    assert made[-200:] == [network(one, 17, 44) for one in values[-200:]]


def test_the_example_runs() -> None:
    names = {"networks": networks}
    found = doctest.DocTestFinder(recurse=False).find(networks, "networks", globs=names)
    assert found[0].examples
    assert doctest.DocTestRunner().run(found[0]).failed == 0
