"""FF1: published vectors, its scalar twin, and the laws of a format-preserving kernel."""

from __future__ import annotations

import copy
import json
import pickle
import secrets
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import InvalidValue, KeysetError, SchemaError, SecretTravels, UsageError
from privpipe.kernels import Ff1, _ff1_digits
from privpipe.kernels._ff1_digits import Permutation
from privpipe.kernels._ff1_rounds import _reduce_wide
from privpipe.kernels._radix import Digits, digit_type
from privpipe.kernels._reference_ff1 import ff1_decrypt, ff1_encrypt

KEY = bytes(range(32))
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
Record = dict[str, Any]


@pytest.fixture(params=["batched", "alone"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which code does the work, however few the rows."""
    few = 0 if request.param == "batched" else 1 << 60
    monkeypatch.setattr(_ff1_digits, "FEW", few)
    monkeypatch.setattr(_ff1_digits, "few_wide", lambda _shape: few)
    return str(request.param)


def records(vectors: Path) -> list[Record]:
    data = json.loads((vectors / "ff1.json").read_text("utf-8"))
    return [
        {**{name: value for name, value in group.items() if name != "tests"}, **test}
        for group in data["groups"]
        for test in group["tests"]
    ]


def row(record: Record, name: str) -> list[int]:
    """The digits of a plaintext or ciphertext."""
    if "alphabet" in record:
        return [record["alphabet"].index(letter) for letter in record[name]]
    return list(record[name])


def matrix(radix: int, rows: list[list[int]]) -> Digits:
    return np.array(rows, dtype=digit_type(radix))


@cache
def alphabet_of(radix: int) -> str:
    """So many characters, of one to four bytes: the surrogates are left out."""
    points = [*range(0x21, 0xD800), *range(0xE000, 0x11000)]
    step = max(1, len(points) // radix)
    return "".join(map(chr, points[::step][:radix]))


# The samples of SP 800-38G, "FF1samples": key, radix, tweak, plaintext, ciphertext.
NIST = [
    ("2b7e151628aed2a6abf7158809cf4f3c", 10, "", "0123456789", "2433477484"),
    (
        "2b7e151628aed2a6abf7158809cf4f3c",
        10,
        "39383736353433323130",
        "0123456789",
        "6124200773",
    ),
    (
        "2b7e151628aed2a6abf7158809cf4f3c",
        36,
        "3737373770717273373737",
        "0123456789abcdefghi",
        "a9tv40mll9kdu509eum",
    ),
    (
        "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f",
        10,
        "",
        "0123456789",
        "2830668132",
    ),
    (
        "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94",
        36,
        "3737373770717273373737",
        "0123456789abcdefghi",
        "xs8a0azh2avyalyzuwd",
    ),
]


@pytest.mark.parametrize("copies", [1, 7])
@pytest.mark.parametrize("sample", NIST)
def test_samples_of_the_standard(sample: tuple[str, int, str, str, str], copies: int) -> None:
    """They stand here, so that this much is checked on a machine without the vectors."""
    key, radix, tweak, value, token = sample
    kernel = Ff1(bytes.fromhex(key), BASE36[:radix], bytes.fromhex(tweak))
    values, tokens = pa.array([value] * copies), pa.array([token] * copies)
    assert kernel.encrypt(values).equals(tokens)
    assert kernel.decrypt(tokens).equals(values)


def test_vectors_on_digits(vectors: Path, way: str) -> None:
    """Every valid record, those of small domains too, the tweak in one piece and in two."""
    cases = [record for record in records(vectors) if record["result"] == "valid"]
    assert len(cases) > 8000
    alike: dict[tuple[str, str, int, int], list[Record]] = {}
    for case in cases:
        kind = (case["key"], case["tweak"], case["radix"], len(case["pt"]))
        alike.setdefault(kind, []).append(case)
    for (key, text, radix, _), own in alike.items():
        kernel, tweak = Permutation(bytes.fromhex(key), radix), bytes.fromhex(text)
        value, token = (matrix(radix, [row(case, name) for case in own]) for name in ("pt", "ct"))
        assert np.array_equal(kernel.encrypt(value, tweak), token)
        assert np.array_equal(kernel.decrypt(token, tweak), value)
        end = np.tile(np.frombuffer(tweak[3:], dtype=np.uint8), (len(own), 1))
        assert np.array_equal(kernel.encrypt(value, tweak[:3], end), token)


def public(record: Record) -> str:
    """The alphabet; where the record has digits alone, one of that many characters."""
    return record["alphabet"] if "alphabet" in record else alphabet_of(record["radix"])


def text(record: Record, name: str) -> str:
    if "alphabet" in record:
        return str(record[name])
    letters = public(record)
    # A tab stands for a digit that the radix does not have.
    return "".join(letters[digit] if 0 <= digit < len(letters) else "\t" for digit in record[name])


def test_vectors_in_columns(vectors: Path) -> None:
    """All records of one key and alphabet in one column, each row with its own tweak."""
    found: dict[tuple[str, int], list[Record]] = {}
    for record in records(vectors):
        if record["result"] == "valid" and "SmallMessageSize" not in record.get("flags", []):
            found.setdefault((record["key"], record["radix"]), []).append(record)
    assert sum(map(len, found.values())) > 7000
    for (key, _), cases in found.items():
        by_alphabet = {public(case) for case in cases}
        for alphabet in by_alphabet:
            own = [case for case in cases if public(case) == alphabet] * 3
            kernel = Ff1(bytes.fromhex(key), alphabet)
            tweaks = pa.array([bytes.fromhex(case["tweak"]) for case in own], pa.binary())
            values = pa.array([text(case, "pt") for case in own])
            tokens = pa.array([text(case, "ct") for case in own])
            assert kernel.encrypt(values, tweaks=tweaks).equals(tokens)
            assert kernel.decrypt(tokens, tweaks=tweaks).equals(values)


def test_invalid_vectors_and_small_domains_are_refused(vectors: Path) -> None:
    refused = 0
    for case in records(vectors):
        flags = case.get("flags", [])
        if case["result"] == "valid" and "SmallMessageSize" not in flags:
            continue
        key, tweak, refused = bytes.fromhex(case["key"]), bytes.fromhex(case["tweak"]), refused + 1
        if "InvalidKeySize" in flags:
            with pytest.raises(KeysetError):
                Ff1(key, public(case), tweak)
            continue
        with pytest.raises(InvalidValue):
            Ff1(key, public(case), tweak).encrypt(pa.array([text(case, "pt")]))
    assert refused > 700


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("radix", [2, 10, 16, 26, 36, 62, 255, 256, 257, 65_535, 65_536])
def test_the_twin_agrees_at_every_length(radix: int) -> None:
    draw = np.random.default_rng(radix)
    kernel = Permutation(KEY, radix)
    for length in (*range(2, 42), 63, 64, 65, 100):
        digits = draw.integers(0, radix, (3, length)).astype(digit_type(radix))
        digits[0], digits[1] = 0, radix - 1
        token = kernel.encrypt(digits, b"tweak")
        assert token.tolist() == [ff1_encrypt(KEY, radix, b"tweak", one) for one in digits.tolist()]
        assert np.array_equal(kernel.decrypt(token, b"tweak"), digits)


@given(modulus=st.integers(2, 1 << 62) | st.integers(0, 64).map(lambda e: 1 << e), data=st.data())
def test_a_product_of_two_limbs_is_reduced(modulus: int, data: st.DataObject) -> None:
    """At the multiples of the modulus, where a quotient is missed by one, too."""
    most = (1 << 96) - 1
    near = st.integers(0, most // modulus).map(lambda q: q * modulus)
    off = st.integers(-2, 2)
    pairs = st.tuples(near, off).map(lambda pair: min(max(sum(pair), 0), most))
    wanted = data.draw(st.lists(pairs | st.integers(0, most), min_size=1, max_size=20))
    y = np.array([number >> 32 for number in wanted], dtype=np.uint64)
    low = np.array([number & 0xFFFFFFFF for number in wanted], dtype=np.uint64)
    _reduce_wide(y, low, modulus, np.empty_like(y))
    assert y.tolist() == [number % modulus for number in wanted]


@given(data=st.data(), radix=st.integers(2, 65_536), length=st.integers(2, 100))
def test_the_twin_agrees(data: st.DataObject, radix: int, length: int) -> None:
    key = data.draw(
        st.sampled_from([16, 24, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n))
    )
    head, end = data.draw(st.binary(max_size=256)), data.draw(st.binary(max_size=256))
    one = st.lists(st.integers(0, radix - 1), min_size=length, max_size=length)
    rows = data.draw(st.lists(one, min_size=1, max_size=6))
    digits = matrix(radix, rows)
    ends = np.tile(np.frombuffer(end, dtype=np.uint8), (len(rows), 1))
    kernel = Permutation(key, radix)
    fixed = kernel.encrypt(digits, head + end)
    assert np.array_equal(kernel.encrypt(digits, head, ends), fixed)
    assert fixed.tolist() == [ff1_encrypt(key, radix, head + end, row) for row in rows]
    assert np.array_equal(kernel.decrypt(fixed, head, ends), digits)
    assert [ff1_decrypt(key, radix, head + end, row) for row in fixed.tolist()] == rows


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("radix", "length"), [(10, 16), (10, 9), (62, 20), (10, 45), (65_536, 40)])
@pytest.mark.parametrize("head", [0, 3, 15, 16, 17, 40])
def test_tweaks_of_any_lengths_side_by_side(radix: int, length: int, head: int) -> None:
    draw = np.random.default_rng(head)
    lengths = np.array([0, 70, 1, 15, 16, 17, 31, 33, 0, 64, 5, 23])
    ends = draw.integers(0, 256, (len(lengths), 80), dtype=np.uint8)
    ends[np.arange(80) >= lengths[:, None]] = 0
    digits = draw.integers(0, radix, (len(lengths), length)).astype(digit_type(radix))
    kernel, tweak = Permutation(KEY, radix), bytes(range(head))
    token = kernel.encrypt(digits, tweak, ends, lengths)
    for row, size, end, made in zip(digits, lengths, ends, token, strict=True):
        whole = tweak + end[:size].tobytes()
        assert made.tolist() == ff1_encrypt(KEY, radix, whole, row.tolist())
    assert np.array_equal(kernel.decrypt(token, tweak, ends, lengths), digits)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("radix", "length"), [(10, 3), (2, 9), (31, 2)])
def test_a_whole_domain_is_permuted(radix: int, length: int) -> None:
    everything = np.indices((radix,) * length).reshape(length, -1).T.astype(np.uint8)
    kernel = Permutation(KEY, radix)
    token = kernel.encrypt(everything, b"")
    assert {tuple(one) for one in token.tolist()} == {tuple(one) for one in everything.tolist()}
    assert not np.array_equal(token, everything)
    assert np.array_equal(kernel.decrypt(token, b""), everything)


def test_a_million_values_do_not_collide() -> None:
    numbers = np.arange(10**15, 10**15 + 10**6)
    tokens = Ff1(KEY).encrypt(pa.array(numbers).cast(pa.string()))
    assert len(np.unique(tokens.cast(pa.int64()).to_numpy())) == 10**6
    assert len(tokens.unique()) == 10**6


def cards(count: int) -> list[str]:
    draw = np.random.default_rng(5)
    return [f"{number:016d}" for number in draw.integers(0, 10**16, count).tolist()]


def test_key_and_tweak_change_everything() -> None:
    values = pa.array(cards(50))
    base = Ff1(KEY, tweak=b"a").encrypt(values)
    tweaks = pa.array([b"a"] * 50)
    assert Ff1(KEY).encrypt(values, tweaks=tweaks).equals(base)
    for other in (Ff1(KEY[::-1], tweak=b"a"), Ff1(KEY, tweak=b"b"), Ff1(KEY), Ff1(KEY[:16])):
        token = other.encrypt(values)
        assert not set(token.to_pylist()) & set(base.to_pylist())
        assert other.decrypt(base).equals(values) is False
    shifted = Ff1(KEY, tweak=b"a").encrypt(values, tweaks=pa.array([b"\0"] * 50))
    assert not set(shifted.to_pylist()) & set(base.to_pylist())


def test_layouts_and_nulls() -> None:
    kernel, plain = Ff1(KEY), [*cards(9), None, "1234567", None, *cards(3)]
    values = pa.array(plain)
    before = [None if part is None else part.to_pybytes() for part in values.buffers()]
    token = kernel.encrypt(values)
    assert token.type == pa.string()
    token.validate(full=True)
    assert [one and len(one) for one in token.to_pylist()] == [one and len(one) for one in plain]
    assert [None if part is None else part.to_pybytes() for part in values.buffers()] == before
    forms = [
        pa.array(["x", *plain, "y"]).slice(1, len(plain)),
        pa.chunked_array([values.slice(0, 4), values.slice(4, 0), values.slice(4)]),
        values.cast(pa.large_string()),
        values.cast(pa.string_view()),
        values.dictionary_encode(),
    ]
    for form in forms:
        assert kernel.encrypt(form).equals(token), form.type
    assert kernel.decrypt(token).equals(values)
    backwards = values.take(pa.array(range(len(plain) - 1, -1, -1)))
    assert kernel.encrypt(backwards).to_pylist() == token.to_pylist()[::-1]
    for empty in (pa.array([], pa.string()), pa.array([None, None], pa.string())):
        assert kernel.encrypt(empty).equals(empty)
        assert kernel.encrypt(empty, tweaks=pa.array([b""] * len(empty), pa.binary())).equals(empty)


def test_a_null_may_lie_over_anything() -> None:
    data = b"not a digit" + b"1234567"
    values = pa.Array.from_buffers(
        pa.string(),
        2,
        [pa.py_buffer(b"\x02"), pa.py_buffer(np.array([0, 11, 18], np.int32)), pa.py_buffer(data)],
    )
    assert Ff1(KEY).encrypt(values).equals(Ff1(KEY).encrypt(pa.array([None, "1234567"])))


@pytest.mark.parametrize("alphabet", ["0123456789", BASE36[::-1], "αβγδεζηθικ", "a𝄞é字0\U0010ffff"])
def test_mixed_lengths_with_a_tweak_a_row(alphabet: str) -> None:
    draw = np.random.default_rng(3)
    lengths = draw.integers(8, 60, 200).tolist()
    values = ["".join(draw.choice([*alphabet], size)) for size in lengths]
    tweaks = [secrets.token_bytes(size % 40) for size in lengths]
    kernel = Ff1(KEY, alphabet, b"head")
    token = kernel.encrypt(pa.array(values), tweaks=pa.array(tweaks, pa.binary()))
    token.validate(full=True)
    for value, tweak, made in zip(values, tweaks, token.to_pylist(), strict=True):
        digits = [alphabet.index(letter) for letter in value]
        wanted = ff1_encrypt(KEY, len(alphabet), b"head" + tweak, digits)
        assert made == "".join(alphabet[digit] for digit in wanted)
    assert kernel.decrypt(token, tweaks=pa.array(tweaks, pa.binary())).to_pylist() == values


@pytest.mark.parametrize("tweaks", [[b"a", b"bb", b"", b"a", b"a", b"a"], [b"a"] * 6])
def test_a_row_that_is_null_needs_no_tweak(tweaks: list[bytes | None]) -> None:
    values = pa.array([*cards(5), None])
    kernel = Ff1(KEY)
    full = kernel.encrypt(values, tweaks=pa.array(tweaks))
    assert kernel.encrypt(values, tweaks=pa.array([*tweaks[:5], None])).equals(full)
    with pytest.raises(UsageError):
        kernel.encrypt(values, tweaks=pa.array([None, *tweaks[1:]]))
    with pytest.raises(UsageError):
        kernel.encrypt(values, tweaks=pa.array(tweaks[1:]))


@pytest.mark.parametrize(
    ("alphabet", "value"),
    [
        ("0123456789", "12345"),
        ("0123456789", "123456x"),
        ("0123456789", "123456٣"),
        ("0123456789", ""),
        ("0123456789", "1" * 4097),
        ("0123456789", "/" * 8),
        ("0123456789", ":" * 8),
        (BASE36, "ABCDEFG"),
        ("αβγδεζηθικ", "αβγδεζ1"),
        ("αβγδεζηθικ", "αβγδε"),
        ("αβγδεζηθικ", "αβγδεζ\U0010ffff"),
    ],
)
def test_what_it_cannot_take(alphabet: str, value: str) -> None:
    good = alphabet[:8]
    kernel = Ff1(KEY, alphabet)
    for run in (kernel.encrypt, kernel.decrypt):
        with pytest.raises(InvalidValue, match=r"\b2 ") as caught:
            run(pa.array([good, value, None, good, value]))
        assert not value or value not in str(caught.value)


def test_the_shortest_and_the_longest() -> None:
    for alphabet, least in [("0123456789", 6), ("01", 20), (BASE36, 4), (alphabet_of(65_536), 2)]:
        kernel = Ff1(KEY, alphabet)
        fits = pa.array([alphabet[1] * least])
        assert kernel.decrypt(kernel.encrypt(fits)).equals(fits)
        with pytest.raises(InvalidValue):
            kernel.encrypt(pa.array([alphabet[1] * (least - 1)]))
    long = pa.array(["7" * 4096])
    assert Ff1(KEY).decrypt(Ff1(KEY).encrypt(long)).equals(long)


def test_text_that_is_none() -> None:
    """Spark holds strings that are not UTF-8; two halves of a character are not one."""
    alphabet = "αβγδεζηθικ"
    word = "αβγδεζη".encode()
    for cells in ([word, b"\xff" + word], [word + b"\xce", b"\xb1" + word], [word, word[:-1]]):
        column = pa.array(cells, pa.binary()).view(pa.string())
        for letters in (alphabet, "0123456789"):
            with pytest.raises(InvalidValue):
                Ff1(KEY, letters).encrypt(column)


def test_faults_of_the_call() -> None:
    for alphabet in ("", "0", "00", "0120", "01\ud800"):
        with pytest.raises(UsageError):
            Ff1(KEY, alphabet)
    for size in (0, 8, 31, 33, 64):
        with pytest.raises(KeysetError):
            Ff1(bytes(size))
    with pytest.raises(UsageError):
        Ff1(KEY, tweak=bytes(65_537))
    with pytest.raises(UsageError):
        Ff1(KEY, tweak=bytes(65_536)).encrypt(pa.array(cards(1)), tweaks=pa.array([b"x"]))
    for column in (pa.array([1, 2]), pa.array([b"12345678"]), pa.nulls(3)):
        with pytest.raises(SchemaError):
            Ff1(KEY).encrypt(column)


def test_long_tweaks() -> None:
    value, tweak = pa.array(cards(6)), secrets.token_bytes(60_000)
    token = Ff1(KEY, tweak=tweak).encrypt(value)
    rest = pa.array([tweak[1000:]] * 6)
    assert Ff1(KEY, tweak=tweak[:1000]).encrypt(value, tweaks=rest).equals(token)


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_does_not_travel_and_shows_no_key(travel: Any) -> None:
    kernel = Ff1(b"sixteen byte key", tweak=b"public")
    for part in (kernel, kernel._permutation):
        with pytest.raises(SecretTravels):
            travel(part)
        assert "sixteen" not in repr(part)
