"""The primitives: what Tink generates, what a keyset may hold, which kernel does the work.

One entry a primitive. A further protection adds its entry here and its kernel file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeAlias

from privpipe.errors import KeysetError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from privpipe.arrow import Bound

    Aad: TypeAlias = bytes | pa.Array | Bound

TYPE_PREFIX = "type.googleapis.com/google.crypto.tink."


class Kernel(Protocol):
    """What a keyset asks of a kernel that holds one raw key."""

    def encrypt(self, values: pa.Array, aad: Aad, *, prefix: bytes = b"") -> pa.Array:
        """Binary values to ciphertexts, `prefix` before each."""

    def decrypt(self, values: pa.Array, aad: Aad, *, prefix: bytes = b"") -> pa.Array:
        """The inverse; DecryptionError where one value fails."""

    def open_each(
        self, values: pa.Array, aad: Aad, *, prefix: bytes = b""
    ) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
        """The inverse, failing rows null, and the mask of the rows that opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """One primitive: `template` and `message` are names under `tink` and `tink.proto`.

    A PRF has no `kernel` of its own: what works under it is built by who knows its parameters.
    """

    name: str
    type_url: str
    template: str
    message: str
    key_sizes: tuple[int, ...]
    deterministic: bool
    kernel: Callable[[bytes], Kernel] | None


# The kernels bring numpy, pyarrow and cryptography with them: what only lists keys starts
# without these.
def _aes_gcm(key: bytes) -> Kernel:
    from privpipe.kernels import AesGcm

    return AesGcm(key)


def _aes_siv(key: bytes) -> Kernel:
    from privpipe.kernels import AesSiv

    return AesSiv(key)


PRIMITIVES: Mapping[str, Primitive] = MappingProxyType(
    {
        "AES256_GCM": Primitive(
            name="AES256_GCM",
            type_url=TYPE_PREFIX + "AesGcmKey",
            template="aead.aead_key_templates.AES256_GCM",
            message="aes_gcm_pb2.AesGcmKey",
            key_sizes=(16, 32),
            deterministic=False,
            kernel=_aes_gcm,
        ),
        "AES256_SIV": Primitive(
            name="AES256_SIV",
            type_url=TYPE_PREFIX + "AesSivKey",
            template="daead.deterministic_aead_key_templates.AES256_SIV",
            message="aes_siv_pb2.AesSivKey",
            key_sizes=(64,),
            deterministic=True,
            kernel=_aes_siv,
        ),
        "AES256_GCM_RAW": Primitive(
            name="AES256_GCM_RAW",
            type_url=TYPE_PREFIX + "AesGcmKey",
            template="aead.aead_key_templates.AES256_GCM_RAW",
            message="aes_gcm_pb2.AesGcmKey",
            key_sizes=(16, 32),
            deterministic=False,
            kernel=_aes_gcm,
        ),
        "AES_CMAC_PRF": Primitive(
            name="AES_CMAC_PRF",
            type_url=TYPE_PREFIX + "AesCmacPrfKey",
            template="prf.prf_key_templates.AES_CMAC",
            message="aes_cmac_prf_pb2.AesCmacPrfKey",
            key_sizes=(32,),
            deterministic=True,
            kernel=None,
        ),
        "HMAC_SHA256_PRF": Primitive(
            name="HMAC_SHA256_PRF",
            type_url=TYPE_PREFIX + "HmacPrfKey",
            template="prf.prf_key_templates.HMAC_SHA256",
            message="hmac_prf_pb2.HmacPrfKey",
            key_sizes=tuple(range(16, 65)),
            deterministic=True,
            kernel=None,
        ),
        "HKDF_SHA256_PRF": Primitive(
            name="HKDF_SHA256_PRF",
            type_url=TYPE_PREFIX + "HkdfPrfKey",
            template="prf.prf_key_templates.HKDF_SHA256",
            message="hkdf_prf_pb2.HkdfPrfKey",
            key_sizes=tuple(range(32, 65)),
            deterministic=True,
            kernel=None,
        ),
    }
)

BY_TYPE: Mapping[str, Primitive] = MappingProxyType(
    # The first of a type stands for all: they differ in the prefix of new keys alone.
    {primitive.type_url: primitive for primitive in reversed(tuple(PRIMITIVES.values()))}
)


def type_named(url: str) -> str:
    """A key's type as a message may tell it: a text that is no type of Tink's may be anything."""
    name = url.removeprefix(TYPE_PREFIX)
    plain = url != name and name.isascii() and name.isalnum() and len(name) < 40
    return f"type {name}" if plain else "an unknown type"


def primitive_named(name: str) -> Primitive:
    """The entry of `PRIMITIVES`; KeysetError where there is none of that name."""
    found = PRIMITIVES.get(name)
    if found is None:
        known = ", ".join(sorted(PRIMITIVES))
        raise KeysetError(f'unknown primitive "{name}"', hint=f"one of {known}")
    return found


IMPORTED = ("FERNET", "PEM")
"""The kinds of keys that others made and the catalog keeps: they stand where a primitive would."""


def associated_data(scope: str, primitive: str) -> bytes:
    """What a wrapped keyset, or a wrapped key of others, is bound to: `pp1:k:<scope>:<primitive>`.

    A primitive's name has no colon, so the two parts cannot be read in another way.
    """
    if not scope:
        raise KeysetError("a keyset needs a scope", hint="table:<name> or domain:<name>")
    if primitive not in IMPORTED:
        primitive_named(primitive)
    return f"pp1:k:{scope}:{primitive}".encode()
