"""What a vault's tokens look like, and the token of a number.

Tokens are drawn without repetition: the vault counts, and a keyed permutation of the format's
domain makes a token of each number. So no token is tried twice, and none tells its number. Where
the domain is vast, each commit has a permutation of its own, drawn at random and kept nowhere:
there no token comes again, even in a vault that was put back to what it was before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.arrow import build
from privpipe.errors import InternalError, InvalidValue, UsageError
from privpipe.policy import ALPHABETS, LEAST_DOMAIN, characters

__all__ = ["Permutation", "VaultFormat", "draw", "parse_vault_format"]

_LONGEST = 4096
_UUID = "uuid"
_UUID_DIGITS = 30  # of 32: one is the version, and one the variant
_NUMBERS = (1 << 63) - 1  # what the vault's counter holds
# Among 2^40 tokens drawn at random of so many, two are alike with a probability of 2^-33.
_VAST = 1 << 112


class Permutation(Protocol):
    """A keyed permutation of the strings of one length over one alphabet, as FF1 is."""

    def encrypt(self, values: pa.Array) -> pa.Array:
        """The string that stands for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultFormat:
    """Tokens of `length` characters of `alphabet`; or UUIDs, which carry so many digits."""

    alphabet: str
    length: int
    uuid: bool = False

    @property
    def text(self) -> str:
        """As `parse_vault_format` reads it."""
        if self.uuid:
            return _UUID
        named = (name for name, letters in ALPHABETS.items() if letters == self.alphabet)
        return f"{next(named, self.alphabet)}:{self.length}"

    @property
    def domain(self) -> int:
        """How many tokens there are."""
        return int(len(self.alphabet) ** self.length)

    @property
    def vast(self) -> bool:
        """Whether tokens drawn at random never meet, so that permutations of it may change."""
        return self.domain >= _VAST

    @property
    def most(self) -> int:
        """How many are given out: above half of the domain a guess hits more often than not."""
        return min(self.domain // 2, _NUMBERS)

    def check_room(self, given: int, wanted: int, *, vault: str) -> None:
        """InvalidValue where `wanted` tokens more are too many."""
        if given + wanted > self.most:
            raise InvalidValue(
                f"the vault is full: {given:,} tokens are given out and {wanted:,} more wanted, "
                f"of {self.most:,} (half of the {self.domain:,} that there are)",
                where=f"vault {vault}",
                hint="make another vault of longer tokens",
            )


def parse_vault_format(text: str) -> VaultFormat:
    """`uuid`, or `<alphabet>:<length>`, the alphabet by its name or its characters.

    Raises UsageError.

    >>> parse_vault_format("digits:9").most
    500000000
    """
    if text == _UUID:
        return VaultFormat(alphabet=ALPHABETS["hex"], length=_UUID_DIGITS, uuid=True)
    name, _, size = text.rpartition(":")
    alphabet = characters(name)
    distinct = len(set(alphabet)) == len(alphabet) >= 2
    if not (distinct and alphabet.isprintable() and size.isascii() and size.isdecimal()):
        raise UsageError(
            "this is no format of a vault's tokens",
            where=f"format {text!r}",
            hint=f"write uuid, or ALPHABET:LENGTH with {', '.join(ALPHABETS)} or the characters, "
            "each of them once",
        )
    found = VaultFormat(alphabet=alphabet, length=min(int(size), _LONGEST + 1))
    if found.length > _LONGEST:
        raise UsageError(f"a token has at most {_LONGEST:,} characters", where=f"format {text!r}")
    if found.domain < LEAST_DOMAIN:
        raise UsageError(
            f"{len(alphabet)}^{found.length} = {found.domain:,} tokens are fewer than "
            f"{LEAST_DOMAIN:,}",
            where=f"format {text!r}",
            hint="make them longer",
        )
    return found


def draw(permutation: Permutation, form: VaultFormat, numbers: pa.Array) -> pa.Array:
    """The token of each number: the permutation of its digits, padded with zeros.

    Numbers that differ have tokens that differ, for a UUID keeps every digit. Nulls stay null.
    """
    tokens = permutation.encrypt(_spelled(numbers, form))
    return _as_uuid(tokens) if form.uuid else tokens.cast(pa.string())


def _spelled(numbers: pa.Array, form: VaultFormat) -> pa.Array:
    valid = None if numbers.null_count == 0 else pc.is_valid(numbers).to_numpy(zero_copy_only=False)
    rest: npt.NDArray[np.int64] = pc.fill_null(numbers, 0).to_numpy().astype(np.int64)
    if len(rest) and (int(rest.min()) < 0 or int(rest.max()) >= form.domain):
        raise InternalError("a number outside the domain of its vault's tokens")
    digits = np.zeros((len(rest), form.length), dtype=np.uint16)
    radix = len(form.alphabet)
    for place in range(form.length - 1, -1, -1):
        rest, digits[:, place] = np.divmod(rest, radix)
        if not rest.any():
            break
    if not form.alphabet.isascii():
        letters = np.array(list(form.alphabet)).take(digits).view(f"U{form.length}").reshape(-1)
        return pa.array(letters, type=pa.string(), mask=None if valid is None else ~valid)
    table = np.frombuffer(form.alphabet.encode(), dtype=np.uint8)
    if valid is not None:
        digits = digits[valid]
    offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.cumsum(np.ones(len(numbers), dtype=bool) if valid is None else valid, out=offsets[1:])
    column = build(table.take(digits).reshape(-1), offsets * form.length, valid)
    # ASCII by construction, so Arrow need not check it.
    return column.view(pa.string() if column.type == pa.binary() else pa.large_string())


def _as_uuid(digits: pa.Array) -> pa.Array:
    """UUIDs of version 8 (RFC 9562, section 5.8): the digits around those of version and variant.

    The variant leaves two bits of its digit free; they stay zero.
    """
    ends = ((0, 8), (8, 12), (12, 15), (15, 18), (18, 30))
    parts = [pc.utf8_slice_codeunits(digits, start, stop) for start, stop in ends]
    first, second, third, fourth, fifth = parts
    pieces = (first, "-", second, "-8", third, "-8", fourth, "-", fifth, "")
    return pc.binary_join_element_wise(*pieces).cast(pa.string())
