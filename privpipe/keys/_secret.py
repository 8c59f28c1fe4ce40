"""The one address of key bytes.

Raw keys leave Tink here and nowhere else, into a `Secret` that prints its id only, cannot be
pickled or copied, and hands its bytes to a kernel's constructor alone. A test holds that no
module outside this room imports this file, and that no other file asks Tink for its token.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn, TypeVar, cast

import tink
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from tink import secret_key_access
from tink.proto import common_pb2, tink_pb2

from privpipe.errors import KeysetError, SecretTravels
from privpipe.keys._primitives import BY_TYPE, TYPE_PREFIX, Primitive, type_named
from privpipe.keys._tink import Handle

T = TypeVar("T")

_HASHES = {"SHA256": hashes.SHA256, "SHA512": hashes.SHA512}

TRAVEL_HINT = "send the KeyRef instead and call open_ref where the key is needed"


class Secret:
    """Some key bytes, the id of their key, and the hash function and salt of a PRF's."""

    __slots__ = ("_bytes", "hash", "key_id", "salt")

    def __init__(self, key_id: int, key: bytes, *, sha: str = "SHA256", salt: bytes = b"") -> None:
        self.key_id = key_id
        self.hash = sha
        self.salt = salt
        self._bytes = key

    def __repr__(self) -> str:
        return f"<Secret of key {self.key_id}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretTravels("key bytes do not travel", where=f"key {self.key_id}", hint=TRAVEL_HINT)

    def __getstate__(self) -> NoReturn:
        self.__reduce_ex__(None)

    def into(self, build: Callable[[bytes], T]) -> T:
        """What `build` makes of the bytes."""
        return build(self._bytes)

    def derived_into(self, info: bytes, size: int, build: Callable[[bytes], T]) -> T:
        """What `build` makes of `size` bytes derived from these: HKDF (RFC 5869), over SHA-256 and
        with an empty salt unless the key says otherwise, as Tink's HKDF PRF computes them of
        `info`."""
        hkdf = HKDF(algorithm=_HASHES[self.hash](), length=size, salt=self.salt or None, info=info)
        return build(hkdf.derive(self._bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class RawKey:
    """One enabled key of a keyset. `prefix` is b"" for RAW."""

    key_id: int
    primitive: Primitive
    prefix: bytes
    primary: bool
    secret: Secret


def parse_clear(text: str) -> Handle:
    """A cleartext Tink JSON keyset inside Tink; KeysetError where Tink refuses it."""
    handle = None
    with suppress(tink.TinkError, RecursionError):
        handle = tink.json_proto_keyset_format.parse(text, secret_key_access.TOKEN)
    if handle is None:
        # Raised here, behind Tink's error: its text quotes what it could not parse, and would hang
        # on ours as its context.
        raise KeysetError("not a Tink JSON keyset with one enabled primary key")
    return cast("Handle", handle)


def clear_json(handle: Handle) -> str:
    """The cleartext JSON of a keyset: for a KEK file alone."""
    return cast("str", tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN))


def with_primary(handle: Handle, fresh: Handle) -> Handle:
    """The keys of both keysets in one: the primary is that of `fresh`, what `handle` had still
    opens what it made."""
    keyset, new = (
        tink_pb2.Keyset.FromString(
            tink.proto_keyset_format.serialize(each, secret_key_access.TOKEN)
        )
        for each in (handle, fresh)
    )
    if {key.key_id for key in keyset.key} & {key.key_id for key in new.key}:
        raise KeysetError("two keys drew one id, as one in four thousand million pairs does",
                          hint="rotate once more")  # fmt: skip
    keyset.key.extend(new.key)
    keyset.primary_key_id = new.primary_key_id
    return cast(
        "Handle",
        tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN),
    )


def read_keys(handle: Handle) -> tuple[RawKey, ...]:
    """The enabled keys in their order; KeysetError names the key that cannot be used.

    Keys that are disabled or destroyed are left where they are, unread, as Tink does.
    """
    clear = tink.proto_keyset_format.serialize(handle, secret_key_access.TOKEN)
    keyset = tink_pb2.Keyset.FromString(clear)
    return tuple(
        _read_key(key, primary=key.key_id == keyset.primary_key_id)
        for key in keyset.key
        if key.status == tink_pb2.ENABLED
    )


def _read_key(key: Any, *, primary: bool) -> RawKey:
    where = f"key {key.key_id}"
    primitive = BY_TYPE.get(key.key_data.type_url)
    if primitive is None:
        usable = ", ".join(url.removeprefix(TYPE_PREFIX) for url in BY_TYPE)
        raise KeysetError(
            f"{type_named(key.key_data.type_url)} is not one that privpipe can use",
            where=where,
            hint=f"usable key types: {usable}",
        )
    prefix = _prefix(key.output_prefix_type, key.key_id, where)
    if primitive.kernel is None and prefix:
        raise KeysetError(
            "a PRF's key has the output prefix RAW, as Tink has it",
            where=where,
            hint="export the keyset anew with it",
        )
    return RawKey(
        key_id=key.key_id,
        primitive=primitive,
        prefix=prefix,
        primary=primary,
        secret=_secret(key.key_id, key.key_data.value, primitive, where),
    )


def _prefix(kind: int, key_id: int, where: str) -> bytes:
    number: bytes = key_id.to_bytes(4, "big")
    if kind == tink_pb2.TINK:
        return b"\x01" + number
    if kind in (tink_pb2.CRUNCHY, tink_pb2.LEGACY):
        return b"\x00" + number
    if kind == tink_pb2.RAW:
        return b""
    raise KeysetError(
        "its output prefix is not TINK, RAW, CRUNCHY or LEGACY",
        where=where,
        hint="export the keyset anew with one of these prefixes",
    )


def _secret(key_id: int, value: bytes, primitive: Primitive, where: str) -> Secret:
    module, _, name = primitive.message.partition(".")
    message = getattr(import_module(f"tink.proto.{module}"), name)
    try:
        key = message.FromString(value)
    except Exception:  # noqa: BLE001 (protobuf's; it may quote the bytes, which are a key)
        raise KeysetError("its key data is malformed", where=where, hint=_REIMPORT) from None
    if key.version != 0:
        raise KeysetError(
            f"its key version is {key.version}, and only version 0 is known",
            where=where,
            hint=_REIMPORT,
        )
    params = getattr(key, "params", None)
    sha = common_pb2.HashType.Name(getattr(params, "hash", common_pb2.SHA256))
    if sha not in _HASHES:
        raise KeysetError("only SHA-256 and SHA-512 are known", where=where, hint=_REIMPORT)
    size = len(key.key_value)
    if size not in primitive.key_sizes:
        few = len(primitive.key_sizes) < 4
        sizes = (
            " or ".join(str(allowed) for allowed in primitive.key_sizes)
            if few
            else f"{primitive.key_sizes[0]} to {primitive.key_sizes[-1]}"
        )
        raise KeysetError(
            f"its key has {size} bytes, and {primitive.name.partition('_')[2]} takes {sizes}",
            where=where,
            hint=_REIMPORT,
        )
    return Secret(key_id, key.key_value, sha=sha, salt=getattr(params, "salt", b""))


_REIMPORT = "restore the keyset from where it was made; Tink itself refuses this one too"
