"""The formats of a vault's tokens, and the tokens of numbers."""

from __future__ import annotations

import uuid

import pyarrow as pa
import pytest

from privpipe.errors import InternalError, InvalidValue, UsageError
from privpipe.policy import ALPHABETS
from privpipe.spark._vault_format import draw, parse_vault_format
from tests.spark._vault import Affine


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("digits:6", 10**6),
        ("hex:8", 16**8),
        ("base36:10", 36**10),
        ("alphanumeric:12", 62**12),
        ("base62:4", 62**4),
        ("AB:20", 2**20),
        ("a:b:20", 3**20),
        ("абвгд:9", 5**9),
        ("uuid", 16**30),
    ],
)
def test_a_format_that_will_do(text: str, domain: int) -> None:
    form = parse_vault_format(text)
    assert form.domain == domain
    assert form.most == min(domain // 2, 2**63 - 1)
    assert parse_vault_format(form.text) == form


def test_equal_alphabets_are_one_format() -> None:
    assert parse_vault_format("base62:9") == parse_vault_format("alphanumeric:9")
    assert len(ALPHABETS["base62"]) == 62


@pytest.mark.parametrize(
    "text",
    ["", "uuid:36", "digits", "digits:", "digits:-7", "digits:²", "digits:5", "hex:4", "A:99",
     "AA:99", "A\nB:99", "digits:4097", "digits:" + "9" * 30, "base62:3"],
)  # fmt: skip
def test_a_format_that_will_not(text: str) -> None:
    with pytest.raises(UsageError):
        parse_vault_format(text)


def test_room_is_half_of_the_domain() -> None:
    form = parse_vault_format("digits:6")
    form.check_room(499_000, 1_000, vault="v")
    with pytest.raises(InvalidValue, match="499,000 tokens are given out and 1,001 more wanted"):
        form.check_room(499_000, 1_001, vault="v")


@pytest.mark.parametrize("text", ["digits:6", "hex:8", "base62:12", "AB:70", "абвгд:30", "uuid"])
def test_numbers_that_differ_have_tokens_that_differ(text: str) -> None:
    form = parse_vault_format(text)
    numbers = [0, 1, 9, 10, 61, 62, 999, None, 123_456, form.most, form.most - 1]
    array = pa.array([None, *numbers], pa.int64())[1:]
    tokens = draw(Affine(form=form, offset=3), form, array).to_pylist()
    assert [token is None for token in tokens] == [number is None for number in numbers]
    kept = [token for token in tokens if token is not None]
    assert len(set(kept)) == len(kept)
    plain = draw(Unmoved(), form, array).to_pylist()
    for token, number, spelled in zip(tokens, numbers, plain, strict=True):
        if number is None:
            continue
        if form.uuid:
            assert str(uuid.UUID(token)) == token
            assert (uuid.UUID(token).version, uuid.UUID(token).variant) == (8, uuid.RFC_4122)
            digits = spelled.replace("-", "")
            assert int(digits[:12] + digits[13:16] + digits[17:], 16) == number
        else:
            assert len(token) == form.length
            assert set(token) <= set(form.alphabet)
            assert value_of(spelled, form.alphabet) == number


def test_no_number_beyond_the_domain() -> None:
    form = parse_vault_format("digits:6")
    assert draw(Unmoved(), form, pa.array([], pa.int64())).to_pylist() == []
    for number in (10**6, -1):
        with pytest.raises(InternalError):
            draw(Unmoved(), form, pa.array([number], pa.int64()))


class Unmoved:
    """The permutation that leaves everything where it is."""

    def encrypt(self, values: pa.Array) -> pa.Array:
        return values


def value_of(text: str, letters: str) -> int:
    number = 0
    for letter in text:
        number = number * len(letters) + letters.index(letter)
    return number
