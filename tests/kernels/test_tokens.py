"""Tokens: what is kept, what is preserved, and what is valid."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import InvalidValue, KeysetError, SchemaError, SecretTravels, UsageError
from privpipe.kernels import Ff1, Tokens
from privpipe.kernels._alphabets import ALPHABETS
from privpipe.kernels._luhn import luhn_digits
from privpipe.kernels._reference_tokens import Form, luhn_digit, token

KEY = bytes(range(32))
DIGITS = ALPHABETS["digits"]
WIDE = "".join(map(chr, range(0x100, 0x300)))  # 512 characters of two bytes


def numbers(count: int, length: int, seed: int = 1) -> list[str]:
    draw = np.random.default_rng(seed).integers(0, 10, (count, length))
    return ["".join(map(str, row)) for row in draw.tolist()]


def cards(count: int) -> list[str]:
    """Numbers of 16 digits, the last one a right check digit."""
    return [value + luhn_digit(value) for value in numbers(count, 15)]


def agree(values: list[str], tweaks: list[bytes] | None = None, **form: Any) -> list[str]:
    """The tokens of a column, each as its twin has it, and back."""
    kernel, column = Tokens(KEY, **form), pa.array(values, pa.string())
    own = None if tweaks is None else pa.array(tweaks, pa.binary())
    made = kernel.encrypt(column, tweaks=own)
    made.validate(full=True)
    tokens: list[str] = made.to_pylist()
    for at, (value, found) in enumerate(zip(values, tokens, strict=True)):
        end = b"" if tweaks is None else tweaks[at]
        assert found == token(KEY, Form(**form), value, end)
        assert token(KEY, Form(**form), found, end, inverse=True) == value
    assert kernel.decrypt(made, tweaks=own).equals(column)
    assert kernel.valid(column).all()
    assert kernel.valid(made).all()
    return tokens


def test_first_and_last_stay() -> None:
    values = numbers(60, 16)
    tokens = agree(values, alphabet=DIGITS, first=6, last=4, tweak=b"cards")
    for value, found in zip(values, tokens, strict=True):
        assert (value[:6], value[-4:]) == (found[:6], found[-4:])
        assert value[6:12] != found[6:12]


def test_what_is_preserved_enters_the_tweak() -> None:
    values = ["1111110000004444", "1111120000004444", "1111110000004445", "1111110000004444"]
    middles = [one[6:12] for one in agree(values, alphabet=DIGITS, first=6, last=4)]
    assert middles[0] == middles[3]
    assert len(set(middles)) == 3


def test_what_is_kept_stays_and_enters_the_tweak() -> None:
    values = ["123-45-6789", "1234-5-6789", "123.45.6789", "123456789", "123-45-6789", "123456-789"]
    tokens = agree(values, alphabet=DIGITS, keep="-.")
    for value, found in zip(values, tokens, strict=True):
        assert [c if c in "-." else "0" for c in value] == [c if c in "-." else "0" for c in found]
    bare = [one.replace("-", "").replace(".", "") for one in tokens]
    assert bare[0] == bare[4]
    assert len(set(bare)) == 5


def test_a_column_of_one_pattern() -> None:
    values = [f"{one[:3]}-{one[3:5]}-{one[5:]}" for one in numbers(100, 9)]
    tokens = agree(values, alphabet=DIGITS, keep="-")
    assert all(one[3] == one[6] == "-" for one in tokens)
    alone = Tokens(KEY, alphabet=DIGITS, keep="-").encrypt(pa.array(values[:1]))
    assert alone.to_pylist() == tokens[:1]


def test_the_check_digit_stays_right() -> None:
    for found in agree(cards(80), alphabet=DIGITS, luhn=True):
        assert found[-1] == luhn_digit(found[:-1])
    values = cards(40)
    tokens = agree(values, alphabet=DIGITS, luhn=True, first=6)
    assert all(one[:6] == value[:6] for one, value in zip(tokens, values, strict=True))
    assert all(one[-1] == luhn_digit(one[:-1]) for one in tokens)
    spaced = ["-".join(one[at : at + 4] for at in (0, 4, 8, 12)) for one in values]
    for found in agree(spaced, alphabet=DIGITS, luhn=True, keep="-"):
        bare = found.replace("-", "")
        assert bare[-1] == luhn_digit(bare[:-1])


@given(st.lists(st.text(DIGITS, min_size=9, max_size=9), min_size=1, max_size=20))
def test_check_digits(values: list[str]) -> None:
    payload = np.array([[int(letter) for letter in value] for value in values], dtype=np.uint8)
    for part in (payload, payload[:, 1:]):
        found = ["".join(map(str, row)) for row in part.tolist()]
        assert luhn_digits(part).tolist() == [int(luhn_digit(one)) for one in found]


def test_a_known_check_digit() -> None:
    assert luhn_digit("7992739871") == "3"
    assert Tokens(KEY, alphabet=DIGITS, luhn=True).valid(
        pa.array(["79927398713", "79927398714", "4111111111111111", "4111111111111112"])
    ).tolist() == [True, False, True, False]


FORMS: list[dict[str, Any]] = [
    {"alphabet": DIGITS},
    {"alphabet": DIGITS, "keep": "-/ ", "first": 2, "last": 1, "tweak": b"t"},
    {"alphabet": DIGITS, "keep": "-", "luhn": True, "first": 1},
    {"alphabet": ALPHABETS["base62"], "keep": "é", "last": 3},
    {"alphabet": "αβγδεζηθικ", "keep": "-𝄞", "first": 3, "last": 3},
    {"alphabet": WIDE, "keep": "€", "first": 1, "last": 2},
]


@given(data=st.data(), form=st.sampled_from(FORMS), own=st.booleans())
def test_the_twin_agrees(data: st.DataObject, form: dict[str, Any], own: bool) -> None:
    alphabet, luhn = form["alphabet"], form.get("luhn", False)
    ends = form.get("first", 0) + form.get("last", 0)
    keep = form.get("keep", "")
    values = []
    for _ in range(data.draw(st.integers(1, 8))):
        size = data.draw(st.integers(6 + ends, 24 + ends))
        value = data.draw(st.text(alphabet, min_size=size, max_size=size))
        if luhn:
            value += luhn_digit(value)
        for _ in range(data.draw(st.integers(0, 3)) if keep else 0):
            at = data.draw(st.integers(0, len(value)))
            value = value[:at] + data.draw(st.sampled_from(keep)) + value[at:]
        values.append(value)
    count = len(values)
    tweaks = data.draw(st.lists(st.binary(max_size=40), min_size=count, max_size=count))
    agree(values, tweaks if own else None, **form)


def test_with_nothing_to_keep_it_is_ff1() -> None:
    values, tweaks = pa.array(numbers(20, 12)), pa.array([b"x"] * 20)
    kernel = Tokens(KEY, alphabet=DIGITS, tweak=b"head")
    wanted = Ff1(KEY, tweak=b"head").encrypt(values, tweaks=tweaks)
    assert kernel.encrypt(values, tweaks=tweaks).equals(wanted)


@pytest.mark.parametrize("keep", ["-", "- /", "-é", "é\U0001f600-"])
@pytest.mark.parametrize("ends", [(0, 0), (2, 0), (1, 3)])
@pytest.mark.parametrize("alphabet", [DIGITS, WIDE])
def test_rows_that_keep_each_something_else(
    keep: str, ends: tuple[int, int], alphabet: str
) -> None:
    """One length, and in it as many characters kept as may be, of one to four bytes."""
    draw = np.random.default_rng(3)
    values = []
    for kept in range(60):
        letters = draw.choice([*alphabet], 18).tolist()
        for at in draw.permutation(18)[: kept % 5].tolist():
            letters[at] = str(draw.choice([*keep]))
        values.append("".join(letters))
    first, last = ends
    form: dict[str, Any] = {"alphabet": alphabet, "keep": keep, "first": first, "last": last}
    agree(values, tweak=b"head", **form)
    agree(values, [bytes(at % 37) for at in range(len(values))], **form)


@pytest.mark.parametrize("keep", ["", "-"])
def test_no_two_patterns_share_a_tweak(keep: str) -> None:
    """The same data under other places, characters and tweaks: no token comes twice."""
    values = ["12-345678", "1-2345678", "1-23456-78", "12345678", "-12345678", "12345678-"]
    values = values if keep else ["12345678"] * 6
    tweaks = pa.array([b"", b"\0", b"\0\0", bytes(4), bytes(5), bytes(16)])
    kernel = Tokens(KEY, alphabet=DIGITS, keep=keep)
    made = [
        kernel.encrypt(pa.array(values), tweaks=pa.array([tweak.as_py()] * 6)).to_pylist()
        for tweak in tweaks
    ]
    data = {token.replace("-", "") for row in made for token in row}
    assert len(data) == (36 if keep else 6)


def test_thousands_of_patterns() -> None:
    draw = np.random.default_rng(2)
    values = []
    for value in numbers(3000, 12):
        at = int(draw.integers(0, 12))
        values.append(value[:at] + "-" * int(draw.integers(0, 3)) + value[at:])
    kernel, column = Tokens(KEY, alphabet=DIGITS, keep="-", last=2), pa.array(values)
    made = kernel.encrypt(column)
    assert kernel.decrypt(made).equals(column)
    for value, found in zip(values[::50], made.to_pylist()[::50], strict=True):
        assert found == token(KEY, Form(alphabet=DIGITS, keep="-", last=2), value)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ({}, "12345"),
        ({}, "1234567x"),
        ({}, "123-456-789"),
        ({"keep": "-"}, "12-345"),
        ({"keep": "-"}, "-" * 12),
        ({"keep": "-"}, "123 456 789"),
        ({"first": 6, "last": 4}, "1" * 15),
        ({"last": 10}, "1" * 15),
        ({"luhn": True}, "4111111111111112"),
        ({"luhn": True}, "000000"),
        ({}, ""),
        ({"keep": "-"}, "1234567" + "-" * 4090),
    ],
)
def test_what_has_not_the_format(form: dict[str, Any], value: str) -> None:
    kernel = Tokens(KEY, alphabet=DIGITS, **form)
    good = "4111111111111111"
    column = pa.array([value, good, None, value, good])
    assert kernel.valid(column).tolist() == [False, True, True, False, True]
    for run in (kernel.encrypt, kernel.decrypt):
        with pytest.raises(InvalidValue, match=r"\b2 ") as caught:
            run(column)
        assert not value or value not in str(caught.value)
    fine = pa.array([good, None])
    assert kernel.decrypt(kernel.encrypt(fine)).equals(fine)


def test_valid_says_what_encrypt_takes() -> None:
    values = ["1234567", "12a4567", "", "١٢٣٤٥٦٧", "12-34-567", "1" * 5000, "12-34"]
    for keep in ("", "-"):
        kernel = Tokens(KEY, alphabet=DIGITS, keep=keep)
        for value, fine in zip(values, kernel.valid(pa.array(values)), strict=True):
            if fine:
                kernel.encrypt(pa.array([value]))
            else:
                with pytest.raises(InvalidValue):
                    kernel.encrypt(pa.array([value]))


def test_valid_reads_text_that_is_none() -> None:
    word = "αβγδεζη".encode()
    cells = [word, word[:-1], word, b"\xb1" + word, None, b"", word + b"\xf0"]
    column = pa.array(cells, pa.binary()).view(pa.string())
    mask = Tokens(KEY, alphabet="αβγδεζηθικ").valid(column)
    assert mask.tolist() == [True, False, True, False, True, False, False]


def test_layouts_and_nulls() -> None:
    kernel = Tokens(KEY, alphabet=DIGITS, keep="-", first=1, last=1)
    plain = [*numbers(4, 9), None, "123-45-6789", "12-34567890-1", None, "123-45-6780"]
    values = pa.array(plain)
    before = [None if part is None else part.to_pybytes() for part in values.buffers()]
    made = kernel.encrypt(values)
    assert made.type == pa.string()
    assert [None if part is None else part.to_pybytes() for part in values.buffers()] == before
    forms = [
        pa.array(["x", *plain, "y"]).slice(1, len(plain)),
        pa.chunked_array([values.slice(0, 5), values.slice(5)]),
        values.cast(pa.large_string()),
        values.cast(pa.string_view()),
        values.dictionary_encode(),
    ]
    for form in forms:
        assert kernel.encrypt(form).equals(made), form.type
        assert kernel.valid(form).all()
    for empty in (pa.array([], pa.string()), pa.array([None], pa.string())):
        assert kernel.encrypt(empty).equals(empty)
        assert kernel.valid(empty).all()


@pytest.mark.parametrize("form", FORMS)
def test_columns_of_nothing(form: dict[str, Any]) -> None:
    kernel, text = Tokens(KEY, **form), pa.string()
    nothing = pa.array([None, None], text)
    for column in (pa.array([], text), pa.chunked_array([], text), nothing.dictionary_encode()):
        made = kernel.encrypt(column)
        assert made.type == text
        assert made.null_count == len(made) == len(column)
        assert kernel.decrypt(made).equals(made)


def test_a_word_of_a_dictionary_may_be_null() -> None:
    words = pa.array([None, "1234567", "7654321"])
    column = pa.DictionaryArray.from_arrays(pa.array([1, None, 0, 2], pa.int8()), words)
    kernel = Tokens(KEY, alphabet=DIGITS)
    wanted = kernel.encrypt(pa.array(["1234567", None, None, "7654321"]))
    assert kernel.encrypt(column).equals(wanted)
    assert kernel.valid(column).all()


def test_the_largest_alphabet_beside_what_is_kept() -> None:
    points = [*range(0x100, 0xD800), *range(0xE000, 0x12900)]
    alphabet = "".join(map(chr, points))[:65_536]
    assert len(alphabet) == 65_536
    values = [f"{alphabet[at]}-{alphabet[-1]}{alphabet[at * 7]}{alphabet[0]}" for at in range(30)]
    agree(values, alphabet=alphabet, keep="-", last=1)


def test_key_and_tweak_change_everything() -> None:
    values, form = pa.array(cards(30)), FORMS[0] | {"luhn": True}
    base = set(Tokens(KEY, **form).encrypt(values).to_pylist())
    for other in (Tokens(KEY[::-1], **form), Tokens(KEY, tweak=b"x", **form)):
        assert not base & set(other.encrypt(values).to_pylist())
    own = Tokens(KEY, **form).encrypt(values, tweaks=pa.array([b"x"] * 30))
    assert not base & set(own.to_pylist())


def test_faults_of_the_call() -> None:
    faults: list[dict[str, Any]] = [
        {"alphabet": DIGITS, "luhn": True, "last": 1},
        {"alphabet": ALPHABETS["hex"], "luhn": True},
        {"alphabet": DIGITS[::-1], "luhn": True},
        {"alphabet": DIGITS, "keep": "-1"},
        {"alphabet": DIGITS, "keep": "--"},
        {"alphabet": DIGITS, "keep": "\ud800"},
        {"alphabet": DIGITS, "first": -1},
        {"alphabet": DIGITS, "last": -1},
        {"alphabet": "1"},
        {"alphabet": DIGITS, "tweak": bytes(65_537)},
    ]
    for fault in faults:
        with pytest.raises(UsageError):
            Tokens(KEY, **fault)
    with pytest.raises(KeysetError):
        Tokens(KEY[:20], alphabet=DIGITS)
    kernel = Tokens(KEY, alphabet=DIGITS)
    for column in (pa.array([1]), pa.array([b"1234567"])):
        with pytest.raises(SchemaError):
            kernel.encrypt(column)
        with pytest.raises(SchemaError):
            kernel.valid(column)
    for tweaks in ([None], [b"", b""], [bytes(65_537)]):
        with pytest.raises(UsageError):
            kernel.encrypt(pa.array(["1234567"]), tweaks=pa.array(tweaks, pa.binary()))


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_does_not_travel_and_shows_no_key(travel: Any) -> None:
    kernel = Tokens(b"sixteen byte key", alphabet=DIGITS)
    assert "sixteen" not in repr(kernel)
    with pytest.raises(SecretTravels):
        travel(kernel)


def test_the_alphabets() -> None:
    assert {name: len(letters) for name, letters in ALPHABETS.items()} == {
        "alphanumeric": 62, "base36": 36, "base62": 62, "digits": 10, "hex": 16,
    }  # fmt: skip
    assert all(len(set(letters)) == len(letters) for letters in ALPHABETS.values())


def test_the_alphabets_come_without_numpy() -> None:
    """A policy that is only read needs neither numpy nor pyarrow."""
    import privpipe.kernels

    path = Path(privpipe.kernels.__file__).parent / "_alphabets.py"
    code = f"import sys, runpy; runpy.run_path({str(path)!r}); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
