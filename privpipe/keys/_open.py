"""`OpenKeyset`: a keyset ready for work on whole arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from privpipe.errors import DecryptionError, KeysetError, SecretTravels
from privpipe.keys._mixed import open_mixed
from privpipe.keys._primitives import Kernel, type_named
from privpipe.keys._secret import TRAVEL_HINT, RawKey, Secret

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from privpipe.arrow import Bound

T = TypeVar("T")

_MOST_BUILT = 256


class OpenKeyset:
    """Keys in use. Prints ids only, and refuses to be pickled or copied: send its `KeyRef`.

    Encrypts under the primary key; decrypts what any enabled key made, by Tink's rule: the keys
    whose prefix a value bears, in their order, then the RAW keys in theirs. `hash` is the hash
    function of a PRF's primary key, SHA256 or SHA512.
    """

    __slots__ = (
        "_built", "_kernels", "_primary", "_secrets", "_sole", "deterministic", "hash", "key_id",
        "key_ids", "type_url",
    )  # fmt: skip

    def __init__(self, keys: Sequence[RawKey]) -> None:
        kinds = {key.primitive.type_url for key in keys}
        if len(kinds) != 1:
            raise KeysetError(
                f"the keyset mixes {len(kinds)} types of keys",
                where=", ".join(f"key {key.key_id}" for key in keys),
                hint="a keyset serves one primitive: split it",
            )
        # Tink has made sure that exactly one of them is primary.
        first = next(at for at, key in enumerate(keys) if key.primary)
        self.key_id = keys[first].key_id
        self.key_ids = tuple(key.key_id for key in keys)
        primitive = keys[first].primitive
        self.type_url = primitive.type_url
        self.deterministic = primitive.deterministic
        self._secrets = {key.key_id: key.secret for key in keys}
        self.hash = keys[first].secret.hash
        self._built: dict[Hashable, Any] = {}
        self._kernels: tuple[tuple[bytes, Kernel], ...] = ()
        self._primary: tuple[bytes, Kernel] | None = None
        self._sole = len(keys) == 1
        kernel = primitive.kernel
        if kernel is not None:
            self._kernels = tuple((key.prefix, key.secret.into(kernel)) for key in keys)
            self._primary = self._kernels[first]

    def __repr__(self) -> str:
        return f"<OpenKeyset primary={self.key_id} ids={self.key_ids}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretTravels(
            "an open keyset does not travel", where=f"key {self.key_id}", hint=TRAVEL_HINT
        )

    def built(self, name: Hashable, build: Callable[[bytes], T], *, key_id: int | None = None) -> T:
        """What `build` makes of one key, once for each `name`: a kernel with its parameters, which
        `name` tells apart. The primary key, unless a `key_id` is given.

        KeysetError where the keyset has no such key, or it is not enabled.
        """
        secret = self._one(key_id)
        return self._once((secret.key_id, name), lambda: secret.into(build))

    def derived(
        self,
        info: bytes,
        size: int,
        name: Hashable,
        build: Callable[[bytes], T],
        *,
        key_id: int | None = None,
    ) -> T:
        """As `built`, from `size` bytes that the key, an HKDF PRF, gives for `info`."""
        secret = self._one(key_id)
        return self._once(
            (secret.key_id, info, size, name), lambda: secret.derived_into(info, size, build)
        )

    def _one(self, key_id: int | None) -> Secret:
        found = self._secrets.get(self.key_id if key_id is None else key_id)
        if found is None:
            raise KeysetError(
                "the keyset has no such key, or it is not enabled",
                where=f"key {key_id}",
                hint="`privpipe keys list` shows the keys; `keys restore` brings back a backup",
            )
        return found

    def _once(self, name: Hashable, make: Callable[[], T]) -> T:
        found: T | None = self._built.get(name)
        if found is None:
            if len(self._built) >= _MOST_BUILT:
                self._built.clear()
            found = self._built[name] = make()
        return found

    def encrypt(self, values: pa.Array, aad: bytes | pa.Array | Bound) -> pa.Array:
        """Binary or string values to ciphertexts under the primary key, its prefix before each.

        `aad`: one for all rows, or a binary array with one a row. Nulls stay null.
        """
        prefix, kernel = self._cipher()
        return kernel.encrypt(values, aad, prefix=prefix)

    def decrypt(self, values: pa.Array, aad: bytes | pa.Array | Bound) -> pa.Array:
        """Ciphertexts under any of the enabled keys, mixed, to the values.

        DecryptionError where one of them does not authenticate: nothing is released.
        """
        if self._sole:
            prefix, kernel = self._cipher()
            return kernel.decrypt(values, aad, prefix=prefix)
        opened, mask = self.open_each(values, aad)
        if not mask.all():
            raise DecryptionError(
                "a ciphertext did not authenticate",
                hint="the value, its column's context or its key is not the one it was made with",
            )
        return opened

    def open_each(
        self, values: pa.Array, aad: bytes | pa.Array | Bound
    ) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
        """As `decrypt`, but failing rows are null; with the mask (n,) of the rows that opened.

        A null counts as opened.
        """
        if self._sole:
            prefix, kernel = self._cipher()
            return kernel.open_each(values, aad, prefix=prefix)
        self._cipher()
        return open_mixed(self._kernels, values, aad)

    def _cipher(self) -> tuple[bytes, Kernel]:
        """The primary key's prefix and kernel; KeysetError where the keyset is of PRFs."""
        if self._primary is None:
            raise KeysetError(
                f"a keyset of {type_named(self.type_url)} encrypts nothing and opens nothing",
                where=f"key {self.key_id}",
                hint="it computes tags and derives keys: `built` and `derived`",
            )
        return self._primary
