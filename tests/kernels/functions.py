"""The functions on arrays that the law suite runs over: one joins by one line in `FUNCTIONS`.

A law calls `apply(kernel(key), column)`, and `undo` likewise. So a kernel's own methods stand there
as they are (`apply=AesCmac.compute`), and what takes more than a column, or is composed of several,
as a lambda. A function that takes no key has `key=b""`, and its kernel may ignore what it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from privpipe.kernels import (
    AesCmac,
    AesGcm,
    AesSiv,
    Dictionary,
    Hierarchy,
    HmacSha256,
    HmacSha512,
    Shift,
    masks,
    networks,
)
from privpipe.kernels._cmac import Cmac
from privpipe.kernels._gcm import Gcm
from privpipe.kernels._pseudonym import as_base64, as_hex, as_int64, as_uuid, context_head
from privpipe.kernels._reference import gcm_decrypt, siv_encrypt
from privpipe.kernels._reference_lossy import days_of, entry, masked, network
from privpipe.kernels._reference_prf import (
    base64_text,
    cmac,
    hmac_sha256,
    hmac_sha512,
    int64_number,
    uuid_text,
)
from privpipe.kernels._siv import Siv
from tests.kernels.kernels import always_alone, always_in_batches

Apply = Callable[[Any, pa.Array], pa.Array]
"""(kernel, column) to a column of the same length"""
Patch = Callable[..., AbstractContextManager[None]]
"""Of the costs of modes"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What the suite knows of a function.

    `values` draws values that it takes, none of them null, in a column of type `kind`. `twin` gives
    what becomes of one value under the key, `opens` the way back; either may be left out. What
    `authenticates` refuses altered values; what does not, opens them to something else. `other` is
    another key, where turning bits of `key` makes none. `modes` have a `cost`, by which the suite
    makes them work in batches and value by value.
    """

    name: str
    kernel: Callable[[bytes], Any]
    apply: Apply
    values: st.SearchStrategy[Any]
    kind: pa.DataType
    key: bytes = b""
    other: bytes = b""
    undo: Apply | None = None
    twin: Callable[[bytes, Any], Any] | None = None
    opens: Callable[[bytes, Any], Any] | None = None
    deterministic: bool = True
    authenticates: bool = False
    modes: tuple[type[Any], ...] = ()

    def run(self, column: pa.Array, key: bytes | None = None) -> pa.Array:
        """What becomes of a column."""
        return self.apply(self.kernel(self.key if key is None else key), column)

    def back(self, column: pa.Array, key: bytes | None = None) -> pa.Array:
        """What a column was."""
        assert self.undo is not None
        return self.undo(self.kernel(self.key if key is None else key), column)

    def other_keys(self) -> list[bytes]:
        """Keys that differ in the first byte, in the last, or as a whole."""
        if self.other:
            return [self.other]
        first, last = bytearray(self.key), bytearray(self.key)
        first[0] ^= 0x10
        last[-1] ^= 0x10
        return [bytes(first), bytes(last), bytes(byte ^ 0xFF for byte in self.key)]

    def sample(self, count: int, *, nulls: bool = True) -> pa.Array:
        """A column of so many values, the same on every run; every seventh is null."""
        drawn = _drawn(self)
        values = [drawn[at % len(drawn)] for at in range(count)]
        return self.column(
            [None if nulls and at % 7 == 3 else value for at, value in enumerate(values)]
        )

    def column(self, values: list[Any]) -> pa.Array:
        """A column of these values."""
        return pa.array(values, self.kind)


@cache
def _drawn(law: Function) -> list[Any]:
    """Several hundred values."""
    found: list[Any] = []

    @settings(
        max_examples=20,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(values=st.lists(law.values, min_size=20, max_size=20))
    def collect(values: list[Any]) -> None:
        found.extend(values)

    collect()
    return found


def ways(law: Function) -> list[Function]:
    """As shipped; and where it has modes, always in batches, and value by value."""
    if not law.modes:
        return [law]
    patches = {"in batches": always_in_batches, "alone": always_alone}
    return [law, *(_within(law, name, patch) for name, patch in patches.items())]


def _within(law: Function, name: str, patch: Patch) -> Function:
    """The law under a name of its own, its work done inside the patch."""

    def inside(work: Apply | None) -> Any:
        def worked(kernel: Any, column: pa.Array) -> pa.Array:
            assert work is not None
            with patch(*law.modes):
                return work(kernel, column)

        return work and worked

    apply, undo = inside(law.apply), inside(law.undo)
    return replace(law, name=f"{law.name} {name}", apply=apply, undo=undo)


def tag(key: bytes, value: str) -> bytes:
    """What a pseudonym shows."""
    return cmac(key, value.encode(), context_head(CONTEXT))


def pseudonym(
    name: str, show: Callable[[pa.Array], pa.Array], twin: Callable[[bytes], Any]
) -> Function:
    """The whole of it: the context, the tag, and what is shown of the tag."""
    return Function(
        name=f"pseudonym {name}",
        kernel=lambda key: AesCmac(key, head=context_head(CONTEXT)),
        apply=lambda kernel, column: show(kernel.compute(column)),
        twin=lambda key, value: twin(tag(key, value)),
        key=KEY,
        modes=(Cmac,),
        **TEXT,
    )


CONTEXT = b"pp1:d:email:text"
KEY = bytes(range(32))
BYTES: dict[str, Any] = {"values": st.binary(max_size=100), "kind": pa.binary()}
TEXT: dict[str, Any] = {"values": st.text(max_size=40), "kind": pa.string()}
TAGS: dict[str, Any] = {"values": st.binary(min_size=16, max_size=16), "kind": pa.binary(16)}
ENTRIES = ["Alpha", "Beta", "Gamma", "Δ", "Epsilon"]
REGIONS = {"Bonn": "West", "Trier": "West", "Jena": "East", "Köln": "West", "": "none"}
ADDRESSES: dict[str, Any] = {"values": st.ip_addresses().map(str), "kind": pa.string()}

FUNCTIONS: list[Function] = [
    Function(
        name="AesCmac", kernel=AesCmac, key=KEY, apply=AesCmac.compute,
        twin=cmac, modes=(Cmac,), **BYTES,
    ),
    Function(
        name="AesCmac, 8 bytes", kernel=AesCmac, key=KEY[:24],
        apply=lambda kernel, column: kernel.compute(column, size=8),
        twin=lambda key, value: cmac(key, value)[:8], modes=(Cmac,), **BYTES,
    ),
    Function(
        name="AesCmac, headed", kernel=lambda key: AesCmac(key, head=bytes(37)), key=KEY[:16],
        apply=AesCmac.compute,
        twin=lambda key, value: cmac(key, value, bytes(37)), modes=(Cmac,), **BYTES,
    ),
    Function(
        name="AesCmac of a fixed width", kernel=AesCmac, key=KEY, apply=AesCmac.compute,
        twin=cmac, modes=(Cmac,), **TAGS,
    ),
    Function(
        name="HmacSha256 of a fixed width", kernel=HmacSha256, key=KEY, apply=HmacSha256.compute,
        twin=hmac_sha256, **TAGS,
    ),
    Function(
        name="HmacSha256", kernel=HmacSha256, key=KEY, apply=HmacSha256.compute,
        twin=hmac_sha256, **BYTES,
    ),
    Function(
        name="HmacSha512", kernel=HmacSha512, key=KEY, apply=HmacSha512.compute,
        twin=hmac_sha512, **BYTES,
    ),
    pseudonym("hex", as_hex, bytes.hex),
    pseudonym("base64", as_base64, base64_text),
    pseudonym("uuid", as_uuid, uuid_text),
    pseudonym("int64", as_int64, int64_number),
    Function(
        name="as_uuid", kernel=lambda _: None, apply=lambda _, column: as_uuid(column),
        twin=lambda _, value: uuid_text(value), **TAGS,
    ),
    Function(
        name="AesGcm", kernel=AesGcm, key=KEY,
        apply=lambda kernel, column: kernel.encrypt(column, CONTEXT),
        undo=lambda kernel, column: kernel.decrypt(column, CONTEXT),
        opens=lambda key, cell: gcm_decrypt(key, cell, CONTEXT),
        deterministic=False, authenticates=True, modes=(Gcm,), **BYTES,
    ),
    Function(
        name="AesSiv", kernel=AesSiv, key=KEY * 2,
        apply=lambda kernel, column: kernel.encrypt(column, CONTEXT),
        undo=lambda kernel, column: kernel.decrypt(column, CONTEXT),
        twin=lambda key, value: siv_encrypt(key, value, CONTEXT),
        authenticates=True, modes=(Siv,), **BYTES,
    ),
    Function(
        name="Dictionary", kernel=lambda key: Dictionary(key, ENTRIES), key=KEY,
        apply=Dictionary.replace,
        twin=lambda key, value: entry(key, ENTRIES, value.encode()), **TEXT,
    ),
    Function(
        name="Hierarchy", kernel=lambda _: Hierarchy(REGIONS), apply=Hierarchy.generalize,
        twin=lambda _, value: REGIONS[value], values=st.sampled_from([*REGIONS]), kind=pa.string(),
    ),
    Function(
        name="masks", kernel=lambda _: None,
        apply=lambda _, column: masks(column, first=1, last=2, keep="-é", char="*"),
        twin=lambda _, value: masked(value, 1, 2, "-é", "*"), **TEXT,
    ),
    Function(
        name="networks", kernel=lambda _: None,
        apply=lambda _, column: networks(column, v4=20, v6=52),
        twin=lambda _, value: network(value, 20, 52), **ADDRESSES,
    ),
    Function(
        name="Shift", kernel=lambda key: Shift(key, 90), key=KEY, apply=Shift.offsets,
        twin=lambda key, value: days_of(key, 90, value), **BYTES,
    ),
]  # fmt: skip
