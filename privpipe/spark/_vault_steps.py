"""The keyed steps of a project's vaults: what `VaultWork` asks for, under keys of one keyset."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from privpipe import arrow
from privpipe.arrow import Bound
from privpipe.kernels import AesCmac, AesGcm, Ff1, context_head
from privpipe.keys import KeyRef, open_ref
from privpipe.spark._vault_format import draw, parse_vault_format
from privpipe.spark._vault_work import Mask

__all__ = ["VaultSteps"]

_BUCKET = 32
"""Bytes: values are padded to whole multiples of it, so that a ciphertext tells no name's length"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSteps:
    """The keyed steps of one vault, as `VaultWork` asks for them, for values of one type.

    Four keys are derived from the vault's keyset. The family of the values is part of what a
    fingerprint, a ciphertext and a link are bound to: a number never has the token of a text.
    """

    key: KeyRef
    vault: str
    form: str
    family: str
    plain: pa.DataType

    def fingerprint(self, values: pa.Array) -> pa.Array:
        """A PRF of each value."""
        head = context_head(self._context)
        return self._prf(b"pp1:v:fingerprint", head).compute(arrow.encode(values)).cast(pa.binary())

    def seal(self, values: pa.Array, fingerprints: pa.Array) -> pa.Array:
        """Each value, padded and encrypted, bound to its fingerprint."""
        padded = arrow.padded(arrow.encode(values), _BUCKET)
        return self._gcm().encrypt(padded, self._bound(padded, fingerprint=fingerprints))

    def open_each(self, values: pa.Array, fingerprints: pa.Array) -> tuple[pa.Array, Mask]:
        """The inverse of `seal`; null, and False in the mask, where one does not authenticate."""
        # None but a changed table lacks a fingerprint: an empty one authenticates nothing.
        known = fingerprints.fill_null(b"")
        padded, sound = self._gcm().open_each(values, self._bound(values, fingerprint=known))
        return arrow.decode(arrow.unpadded(padded, _BUCKET), self.plain), sound

    def draw(self, numbers: pa.Array, epoch: bytes) -> pa.Array:
        """The token of each number, in an epoch where the format is vast."""
        form = parse_vault_format(self.form)
        # In a small domain two permutations meet: there the numbers alone keep tokens apart.
        own = epoch if form.vast else b""
        alphabet, tweak = form.alphabet, b"pp1:v:" + self.vault.encode() + own
        permutation = open_ref(self.key).derived(
            b"pp1:v:draw", 32, (alphabet, tweak), lambda key: Ff1(key, alphabet, tweak)
        )
        return draw(permutation, form, numbers)

    def link(self, fingerprints: pa.Array, tokens: pa.Array) -> pa.Array:
        """A PRF of each fingerprint with its token: that the one has the other, and none else."""
        pairs = self._bound(tokens, fingerprint=fingerprints.fill_null(b""), token=tokens)
        rest = Bound(head=b"", rest=pairs.rest).plain()
        return self._prf(b"pp1:v:link", pairs.head).compute(rest)

    def _prf(self, label: bytes, head: bytes) -> AesCmac:
        return open_ref(self.key).derived(label, 32, head, lambda key: AesCmac(key, head=head))

    def _gcm(self) -> AesGcm:
        return open_ref(self.key).derived(b"pp1:v:value", 32, "vault", AesGcm)

    def _bound(self, values: pa.Array, **parts: pa.Array) -> Bound:
        return arrow.bound(values, (), self._context, list(parts.items()))

    @property
    def _context(self) -> bytes:
        name = self.vault.encode()
        return b"pp1:v:" + len(name).to_bytes(4, "big") + name + self.family.encode()
