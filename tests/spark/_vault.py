"""The keyed steps of a vault under fixed keys, and a permutation that anyone can check."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import pyarrow as pa
import pyarrow.compute as pc

from privpipe.kernels import AesCmac, AesGcm, context_head
from privpipe.spark._vault_format import VaultFormat, draw, parse_vault_format
from privpipe.spark._vault_work import Mask

NAME = "people"
CONTEXT = b"pp1:v:" + NAME.encode()
FINGERPRINT_KEY, VALUE_KEY, LINK_KEY = (bytes(range(at, at + 32)) for at in (0, 32, 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """n -> 7n + offset over all strings of one length: a permutation, for none has a factor 7."""

    form: VaultFormat
    offset: int

    def encrypt(self, values: pa.Array) -> pa.Array:
        return pa.array([text and self._moved(text) for text in values.to_pylist()], pa.string())

    def _moved(self, text: str) -> str:
        letters, domain = self.form.alphabet, self.form.domain
        assert len(text) == self.form.length
        assert math.gcd(7, domain) == 1
        number = 0
        for letter in text:
            number = number * len(letters) + letters.index(letter)
        number = (7 * number + self.offset) % domain
        found = ""
        for _ in text:
            number, digit = divmod(number, len(letters))
            found = letters[digit] + found
        return found


@lru_cache(maxsize=1)
def _kernels() -> tuple[AesCmac, AesGcm]:
    return AesCmac(FINGERPRINT_KEY, head=context_head(CONTEXT)), AesGcm(VALUE_KEY)


def fingerprint(values: pa.Array) -> pa.Array:
    return _kernels()[0].compute(values)


def seal(values: pa.Array, fingerprints: pa.Array) -> pa.Array:
    return _kernels()[1].encrypt(values, fingerprints.fill_null(b""))


def open_each(values: pa.Array, fingerprints: pa.Array) -> tuple[pa.Array, Mask]:
    return _kernels()[1].open_each(values, fingerprints.fill_null(b""))


def link(fingerprints: pa.Array, tokens: pa.Array) -> pa.Array:
    both = pc.binary_join_element_wise(fingerprints, tokens.cast(pa.binary()), b"|")
    return AesCmac(LINK_KEY).compute(both)


def tokens(text: str, numbers: pa.Array, epoch: bytes) -> pa.Array:
    form = parse_vault_format(text)
    offset = int.from_bytes(epoch) if form.vast else 3
    return draw(Affine(form=form, offset=offset), form, numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What `VaultWork` asks for."""

    fingerprint: Callable[[pa.Array], pa.Array]
    seal: Callable[[pa.Array, pa.Array], pa.Array]
    open_each: Callable[[pa.Array, pa.Array], tuple[pa.Array, Mask]]
    draw: Callable[[pa.Array, bytes], pa.Array]
    link: Callable[[pa.Array, pa.Array], pa.Array]


def work(text: str) -> Work:
    """The steps for tokens of the format `text`."""
    return Work(
        fingerprint=fingerprint,
        seal=seal,
        open_each=open_each,
        draw=partial(tokens, text),
        link=link,
    )
