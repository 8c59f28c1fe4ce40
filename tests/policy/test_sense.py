"""Settings that make no sense, and exactly what is said of them."""

from __future__ import annotations

import pytest

from privpipe.errors import InternalError
from privpipe.policy import Type, returns, takes
from privpipe.policy._alphabets import ALPHABETS
from privpipe.policy._sense import sense
from privpipe.policy._settings import (
    Bucket,
    Encrypt,
    Ends,
    Generalize,
    Mask,
    Network,
    Pseudonymize,
    Replace,
    Settings,
    Shift,
    Span,
    Tokenize,
    Vault,
)

FINE: list[tuple[str, Settings | None]] = [
    ("redact", None),
    ("encrypt", Encrypt(bind=("a", "b"))),
    ("mask", Mask()),
    ("mask", Mask(show=Ends(first=4096))),
    ("mask", Mask(keep="punctuation")),
    ("mask", Mask(keep="-. /()")),
    ("replace", Replace(value=0)),
    ("replace", Replace(value=False)),
    ("replace", Replace(value="")),
    ("replace", Replace(dictionary=("a", "b"))),
    ("replace", Replace(dictionary="names.txt")),
    ("bucket", Bucket(width=0.000001, start=-5)),
    ("bucket", Bucket(bounds=(-0.5, 0, 18.25))),
    ("generalize", Generalize(width=10)),
    ("generalize", Generalize(bounds=(18,))),
    ("generalize", Generalize(to="month")),
    ("generalize", Generalize(to="age", on="2024-02-29", width=5, start=18, top=90)),
    ("generalize", Generalize(prefix=3)),
    ("generalize", Generalize(round=0)),
    ("generalize", Generalize(network=Network(v4=0, v6=0))),
    ("generalize", Generalize(hierarchy="h.csv", level=2)),
    ("shift", Shift(days=30, subject="patient")),
    ("pseudonymize", Pseudonymize(output="int64", distinct=6_000_000)),
    ("pseudonymize", Pseudonymize(output="int64")),
    ("pseudonymize", Pseudonymize(output="uuid", distinct=10**12)),
    ("vault", Vault(vault="v")),
    ("vault", Vault(vault="v", format="digits:6")),
    ("vault", Vault(vault="v", format="ab:20")),
    ("vault", Vault(vault="v", format="ab::13")),
    ("tokenize", Tokenize(alphabet="01", length=20)),
    ("tokenize", Tokenize(alphabet="ABCDEFGHJKLM", keep="- xyz")),
    ("tokenize", Tokenize(alphabet="digits", luhn=True, preserve=Ends(first=6), length=13)),
    ("tokenize", Tokenize(alphabet="0123456789", luhn=True)),
    ("tokenize", Tokenize(alphabet="hex", length=Span(min=5, max=5))),
]


@pytest.mark.parametrize(("protection", "settings"), FINE, ids=str)
def test_nothing_is_said_of_what_makes_sense(protection: str, settings: Settings | None) -> None:
    assert list(sense(protection, settings)) == []


def card(luhn: bool = False, **how: int) -> Tokenize:
    length = how.pop("length")
    return Tokenize(alphabet="digits", preserve=Ends(**how), luhn=luhn, length=length)


# settings, then key and message of each fault
BAD: list[tuple[Settings, list[tuple[str, str]]]] = [
    (Encrypt(bind=("a", "b", "A")), [("bind", 'names "a" twice')]),
    (Mask(keep="punctation"), [("keep", 'unknown word "punctation"; nearest: "punctuation"')]),
    (Mask(keep="Punctuation"), [("keep", 'unknown word "Punctuation"; nearest: "punctuation"')]),
    (Replace(), [("", "replace has neither value nor dictionary")]),
    (Replace(value=1, dictionary="f"), [("dictionary", "given beside value")]),
    (Replace(value=float("nan")), [("value", "nan is no number to count with")]),
    (
        Replace(dictionary=("a", "a")),
        [("dictionary", "has fewer than two different entries")],
    ),
    (Replace(dictionary=""), [("dictionary", "names no file")]),
    (Bucket(), [("", "bucket has neither width nor bounds")]),
    (Bucket(width=1, bounds=(1, 2)), [("bounds", "given beside width")]),
    (Bucket(width=0), [("width", "0 is no width")]),
    (Bucket(width=-0.5), [("width", "-0.5 is no width")]),
    (Bucket(width=float("inf")), [("width", "inf is no number to count with")]),
    (Bucket(width=1, start=float("nan")), [("start", "nan is no number to count with")]),
    (Bucket(width=1e-7), [("width", "1e-07 has more than 6 decimals")]),
    (Bucket(width=10**30), [("width", "1e+30 is too large to count with")]),
    (Bucket(bounds=(1, 2), start=1), [("start", "given without width")]),
    (Bucket(bounds=(1, 1, 0)), [
        ("bounds", "1 after 1 does not ascend"),
        ("bounds", "0 after 1 does not ascend"),
    ]),
    (Generalize(), [("", "generalize has no way to go")]),
    (Generalize(width=1, prefix=3), [("prefix", "given beside width")]),
    (Generalize(to="month", width=3), [("to", "given beside width")]),
    (Generalize(to="age", on="2024-01-01", bounds=(1,)), [("to", "given beside bounds")]),
    (Generalize(round=1, hierarchy="h"), [("hierarchy", "given beside round")]),
    (Generalize(to="age"), [("on", "ages are counted on a day, and none is given")]),
    (Generalize(to="age", on="2023-02-29"), [("on", "2023-02-29 is no day of the calendar")]),
    (
        Generalize(to="age", on="2023-02-28", width=2.5),
        [("width", "2.5 is no number of whole years")],
    ),
    (Generalize(to="year", on="2023-02-28"), [("on", "given without `to: age`")]),
    (Generalize(width=10, top=90), [("top", "given without `to: age`")]),
    (Generalize(prefix=3, level=2), [("level", "given without hierarchy")]),
    (Generalize(hierarchy=""), [("hierarchy", "names no file")]),
    (Generalize(network=Network(v4=32)), [("network.v4", "32 bits are the whole address")]),
    (Generalize(network=Network(v6=128)), [("network.v6", "128 bits are the whole address")]),
    (
        Pseudonymize(output="int64", distinct=10_000_000),
        [
            (
                "distinct",
                "two of 10,000,000 values would meet in an int64 with a probability of up to "
                "2.7e-06, and 1e-06 is the most that is allowed",
            )
        ],
    ),
    (
        Pseudonymize(output="int64", distinct=10**400),
        [
            (
                "distinct",
                f"two of {10**400:,} values would meet in an int64 with a probability of up to 1, "
                "and 1e-06 is the most that is allowed",
            )
        ],
    ),
    (Vault(vault="v", format="UUID"), [("format", '"UUID" is no format of tokens')]),
    (Vault(vault="v", format="digits:x"), [("format", '"digits:x" is no format of tokens')]),
    (
        Vault(vault="v", format="digits:0"),
        [("format", "a token has 1 to 4,096 characters, not 0")],
    ),
    (
        Vault(vault="v", format="digits:" + "9" * 30),
        [("format", "a token has 1 to 4,096 characters, not " + "9" * 20)],
    ),
    (
        Vault(vault="v", format="digits:5"),
        [("format", "10^5 = 100,000 tokens, and a vault needs 1,000,000")],
    ),
    (
        Vault(vault="v", format="digit:16"),
        [("format", 'unknown alphabet "digit"; nearest: "digits"')],
    ),
    (Vault(vault="v", format="aab:16"), [("format", 'the alphabet has "a" more than once')]),
    (Vault(vault="v", format="a:16"), [("format", "an alphabet has two characters at least")]),
    (Tokenize(alphabet="digit"), [("alphabet", 'unknown alphabet "digit"; nearest: "digits"')]),
    (Tokenize(alphabet="base64"), [("alphabet", 'unknown alphabet "base64"; nearest: "base62"')]),
    (
        Tokenize(alphabet="Alpha"),
        [("alphabet", 'unknown alphabet "Alpha"; nearest: "alphanumeric"')],
    ),
    (Tokenize(alphabet="abcab"), [("alphabet", 'the alphabet has "ab" more than once')]),
    (Tokenize(alphabet="hex", keep="-a-f"), [("keep", '"af" is in the alphabet')]),
    (Tokenize(alphabet="hex", luhn=True), [("luhn", "a check digit is for digits alone")]),
    (
        card(luhn=True, last=4, length=16),
        [("luhn", "the check digit is recomputed, and preserve.last would keep it")],
    ),
    (
        card(first=6, last=4, length=12),
        [("length", "10^(12 - 6 - 4) = 100 values, and a token needs 1,000,000")],
    ),
    (
        card(luhn=True, first=6, length=12),
        [("length", "10^(12 - 6 - 1) = 100,000 values, and a token needs 1,000,000")],
    ),
    (card(first=6, length=6), [("length", "10^(6 - 6) leaves no character to change")]),
    (card(length=5), [("length", "10^5 = 100,000 values, and a token needs 1,000,000")]),
    (
        Tokenize(alphabet="digits", length=Span(min=9, max=8)),
        [("length", "min 9 is more than max 8")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "said"), BAD, ids=[str(how)[:70] for how, _ in BAD])
def test_what_makes_no_sense_is_said(settings: Settings, said: list[tuple[str, str]]) -> None:
    found = list(sense(type(settings).__name__.lower(), settings))
    assert [(key, text) for key, text, _ in found] == said
    assert all(hint for _, _, hint in found)


def test_the_birthday_bound_is_where_it_is_said_to_be() -> None:
    def refused(count: int) -> bool:
        return bool(list(sense("pseudonymize", Pseudonymize(output="int64", distinct=count))))

    most = max(n for n in range(6_070_000, 6_080_000) if n**2 / 2**65 <= 1e-6)
    assert not refused(most)
    assert refused(most + 1)


def test_every_alphabet_is_one() -> None:
    assert {name: len(chars) for name, chars in ALPHABETS.items()} == {
        "alphanumeric": 62,
        "base36": 36,
        "base62": 62,
        "digits": 10,
        "hex": 16,
    }
    assert all(len(set(chars)) == len(chars) for chars in ALPHABETS.values())


TEXT = {"string", "char", "varchar"}
DATES = {"date", "timestamp", "timestamp_ntz"}
FRACTIONS = {"float", "double", "decimal"}
WHOLE = {"tinyint", "smallint", "int", "bigint"}
# protection, settings, the kinds taken, the type given for a `source`
GIVEN = [
    ("mask", Mask(), TEXT, "string"),
    ("replace", Replace(value=True), {"boolean"}, "source"),
    ("replace", Replace(value=1), WHOLE | FRACTIONS, "source"),
    ("replace", Replace(value=1.5), FRACTIONS, "source"),
    ("replace", Replace(value="x"), TEXT | DATES | {"decimal"}, "source"),
    ("replace", Replace(dictionary="f"), TEXT, "source"),
    ("bucket", Bucket(width=1), WHOLE | FRACTIONS, "string"),
    ("generalize", Generalize(bounds=(1,)), WHOLE | FRACTIONS, "string"),
    ("generalize", Generalize(to="month"), DATES, "source"),
    ("generalize", Generalize(to="age"), DATES, "int"),
    ("generalize", Generalize(to="age", width=5), DATES, "string"),
    ("generalize", Generalize(round=1), FRACTIONS, "source"),
    ("generalize", Generalize(prefix=1), TEXT, "string"),
    ("generalize", Generalize(network=Network()), TEXT, "string"),
    ("generalize", Generalize(hierarchy="h"), TEXT, "string"),
]


@pytest.mark.parametrize(("word", "how", "kinds", "text"), GIVEN, ids=range(len(GIVEN)))
def test_what_each_takes_and_gives(
    word: str, how: Mask | Replace | Bucket | Generalize, kinds: set[str], text: str
) -> None:
    assert takes(word, how) == kinds
    assert returns(word, Type(text="source", kind="date"), how) == text


def test_redact_takes_what_can_be_null_and_keeps_its_type() -> None:
    assert {"struct", "map", "binary", "variant", "interval"} < takes("redact", None)
    assert not {"object", "udt", "void"} & takes("redact", None)
    assert returns("redact", Type(text="struct<a:int>", kind="struct"), None) == "struct<a:int>"
    with pytest.raises(InternalError):
        takes("encrypt", None)
