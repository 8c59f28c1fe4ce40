"""What each protection may be told: good, bad, and exactly what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from privpipe.errors import PolicyError
from privpipe.kernels import generate_pair
from privpipe.policy import (
    PROTECTIONS,
    Bucket,
    Encrypt,
    EncryptDeterministic,
    Ends,
    Fernet,
    Generalize,
    Mask,
    Network,
    Policy,
    Pseudonymize,
    Replace,
    Settings,
    Shift,
    Span,
    Tokenize,
    Vault,
    load_policy,
    parse_policy,
    settings_from,
    settings_json,
)

HEAD = "version: 1\ntable: t\ncolumns:\n  k: keep\n  a: "
MEND = "mend the policy and run `privpipe check` on it"
LEAVE = "leave the key out, or say what it is"
TOKEN = "for example `{protect: tokenize, alphabet: digits}`"
ENDS = "for example `{protect: tokenize, alphabet: digits, preserve: {first: 6, last: 4}}`"
BOUND = "for example `{protect: encrypt, bind: [id]}`"
VAULT = "for example `{protect: vault, vault: people}`"
SHIFT = "for example `{protect: shift, days: 182, subject: id}`"
ONE = 'for example `{protect: replace, value: "X"}`'
LIST = "for example `{protect: replace, dictionary: names.txt}`"
NET = "for example `{protect: generalize, network: {v4: 24, v6: 48}}`"
ROUND = "for example `{protect: generalize, round: 2}`"
BESIDE = "a file's name is relative to the policy's folder"

Write = Callable[[str, str | bytes], str]

GOOD: list[tuple[str, Settings]] = [
    ("encrypt", Encrypt()),
    ("{protect: encrypt, prefix: raw, bind: [k]}", Encrypt(prefix="raw", bind=("k",))),
    ("{protect: encrypt_deterministic, bind: [k]}", EncryptDeterministic(bind=("k",))),
    (
        "{protect: tokenize, alphabet: digits, keep: '- ', preserve: {first: 6}, luhn: yes, "
        "length: {min: 14, max: 19}, tweak: k, on_invalid: quarantine}",
        Tokenize(
            alphabet="digits",
            keep="- ",
            preserve=Ends(first=6),
            luhn=True,
            length=Span(min=14, max=19),
            tweak="k",
            on_invalid="quarantine",
        ),
    ),
    ("{protect: tokenize, alphabet: hex, length: 8}", Tokenize(alphabet="hex", length=8)),
    (
        "{protect: tokenize, alphabet: digits, key_column: yes}",
        Tokenize(alphabet="digits", key_column=True),
    ),
    (
        "{protect: vault, vault: v, format: 'digits:16', expires: 30}",
        Vault(vault="v", format="digits:16", expires=30),
    ),
    (
        "{protect: pseudonymize, algorithm: hmac, output: int64, distinct: 1_000}",
        Pseudonymize(algorithm="hmac", output="int64", distinct=1000),
    ),
    ("{protect: shift, days: 30, subject: k}", Shift(days=30, subject="k")),
    (
        "{protect: mask, show: {last: 4}, keep: punctuation, char: '#'}",
        Mask(show=Ends(last=4), keep="punctuation", char="#"),
    ),
    ("{protect: replace, value: 2026-01-31}", Replace(value="2026-01-31")),
    ("{protect: replace, value: 1:30}", Replace(value="1:30")),
    ("{protect: replace, value: 1.5}", Replace(value=1.5)),
    ("{protect: replace, value: 7}", Replace(value=7)),
    ("{protect: replace, value: no}", Replace(value=False)),
    ("{protect: replace, dictionary: [Ada, Bob]}", Replace(dictionary=("Ada", "Bob"))),
    ("{protect: generalize, width: 0.5, start: -1}", Generalize(width=0.5, start=-1)),
    ("{protect: generalize, bounds: [0, 1.5]}", Generalize(bounds=(0, 1.5))),
    (
        "{protect: generalize, to: age, on: 2026-01-31, top: 90}",
        Generalize(to="age", on="2026-01-31", top=90),
    ),
    ("{protect: generalize, network: {v4: 16}}", Generalize(network=Network(v4=16))),
    ("{protect: generalize, network: {}}", Generalize(network=Network())),
    ("{protect: generalize, prefix: 2}", Generalize(prefix=2)),
    ("{protect: generalize, round: 0}", Generalize(round=0)),
    ("{protect: bucket, width: 10, start: 5}", Bucket(width=10, start=5)),
    ("fernet", Fernet()),
    ("{protect: fernet, ttl: 60}", Fernet(ttl=60)),
    ("{protect: fernet, key: 'imported:a.b-c_1'}", Fernet(key="imported:a.b-c_1")),
]


def read(rule: str) -> Policy:
    return parse_policy(HEAD + rule, name="p.yaml")


@pytest.mark.parametrize(("rule", "settings"), GOOD)
def test_what_is_told_is_kept(rule: str, settings: Settings) -> None:
    policy = read(rule)
    told = policy.columns["a"].settings
    assert told == settings
    # Numbers and truth values are what they were: True == 1 == 1.0.
    assert repr(told) == repr(settings)
    again = parse_policy(policy.canonical_json)
    assert again.columns["a"].settings == settings
    assert (again.canonical_json, again.hash) == (policy.canonical_json, policy.hash)
    kept = json.loads(json.dumps(settings_json(settings)))
    assert settings_from(type(settings), kept) == settings


def test_what_is_so_anyway_is_not_kept() -> None:
    plain = read("encrypt")
    assert settings_json(Encrypt()) == {}
    for same in ("{protect: encrypt, prefix: tink}", "{protect: encrypt, bind: []}"):
        assert read(same).hash == plain.hash
    assert len({read(rule).hash for rule, _ in GOOD}) == len(GOOD)


# rule, the key at fault, message, hint
BAD: list[tuple[str, str, str, str]] = [
    ("{protect: encrypt, prefix: rwa}", ".prefix", 'unknown word "rwa"; nearest: "raw"',
     "allowed: tink, raw"),
    ("{protect: encrypt, prefix: [raw]}", ".prefix", "found a list", "allowed: tink, raw"),
    ("{protect: encrypt, bind: k}", ".bind", 'found the text "k"; wanted a list of names', BOUND),
    ("{protect: encrypt, bind: [k, K]}", ".bind", 'names "k" twice', "name each column once"),
    ("{protect: encrypt, bind: }", ".bind", "found nothing; wanted a list of names", LEAVE),
    ("{protect: tokenize, keep: x}", "", "tokenize needs the key alphabet", TOKEN),
    ("{protect: tokenize, alphabet: 1234567}", ".alphabet",
     'found the number "1234567"; wanted text', "put it in quotes"),
    ("{protect: tokenize, alphabet: d}", ".alphabet",
     'found the text "d"; wanted at least 2 characters', TOKEN),
    ("{protect: tokenize, alphabet: digits, preserve: {first: -1}}", ".preserve",
     "found a mapping; wanted first to be at least 0", ENDS),
    ("{protect: tokenize, alphabet: digits, preserve: {frist: 1}}", ".preserve",
     'unknown key "frist"; nearest: "first"', "allowed: first, last"),
    ("{protect: tokenize, alphabet: digits, preserve: {first: '1'}}", ".preserve",
     "found a mapping; wanted first to be a whole number", ENDS),
    ("{protect: tokenize, alphabet: digits, luhn: 'yes'}", ".luhn",
     'found the text "yes"; wanted true or false', MEND),
    ("{protect: tokenize, alphabet: digits, length: '16'}", ".length",
     'found the text "16"; wanted a whole number, or a mapping with min and max', MEND),
    ("{protect: tokenize, alphabet: digits, length: {min: 6}}", ".length", "no key max in it",
     MEND),
    ("{protect: tokenize, alphabet: digits, length: -1}", ".length",
     'found the number "-1"; wanted at least 0', MEND),
    ("{protect: tokenize, alphabet: digits, tweak: 7}", ".tweak",
     'found the number "7"; wanted a name, as text', "put it in quotes"),
    ("{protect: tokenize, alphabet: digits, on_invalid: drop}", ".on_invalid",
     'unknown word "drop"', "allowed: refuse, quarantine"),
    ("vault", "", "vault needs the key vault", VAULT),
    ("{protect: vault, vault: ' v'}", ".vault",
     'found the text " v"; wanted a name of letters, digits, ".", "_" and "-"', VAULT),
    ("{protect: vault, vault: ../v}", ".vault",
     'found the text "../v"; wanted a name of letters, digits, ".", "_" and "-"', VAULT),
    ("{protect: vault, vault: v, expires: 99999}", ".expires",
     'found the number "99999"; wanted at most 36500', MEND),
    ("{protect: pseudonymize, output: uuidd}", ".output", 'unknown word "uuidd"; nearest: "uuid"',
     "allowed: hex, base64, uuid, int64"),
    ("{protect: pseudonymize, distinct: 010}", ".distinct",
     'found the number "010"; wanted a whole number', MEND),
    ("{protect: pseudonymize, distinct: 1.0}", ".distinct",
     'found the number "1.0"; wanted a whole number', MEND),
    ("{protect: shift, days: 0, subject: k}", ".days", 'found the number "0"; wanted at least 1',
     SHIFT),
    ("{protect: shift, days: 30}", "", "shift needs the key subject", SHIFT),
    ("{protect: mask, char: '**'}", ".char", 'found the text "**"; wanted at most 1 character',
     MEND),
    ("{protect: mask, char: 0}", ".char", 'found the number "0"; wanted text', "put it in quotes"),
    ("{protect: redact, value: x}", ".value", "redact takes no value", "value is for: replace"),
    ("{protect: replace, value: null}", ".value",
     "found nothing; wanted text, a number, or true or false", LEAVE),
    ("{protect: replace, value: [x]}", ".value",
     "found a list; wanted text, a number, or true or false", ONE),
    ("{protect: replace, dictionary: [a, 1]}", ".dictionary",
     "found a list; wanted a list of texts, or a file's name", LIST),
    ("{protect: replace, dictionary: none.txt}", ".dictionary", "no such file: none.txt", BESIDE),
    ("{protect: generalize, width: '5'}", ".width", 'found the text "5"; wanted a number', MEND),
    ("{protect: generalize, bounds: [0, true]}", ".bounds",
     "found a list; wanted a list of numbers", MEND),
    ("{protect: generalize, to: day}", ".to", 'unknown word "day"',
     "allowed: month, quarter, year, age"),
    ("{protect: generalize, to: age, on: today}", ".on",
     'found the text "today"; wanted a date, such as 2026-01-31', MEND),
    ("{protect: generalize, network: {v4: 33}}", ".network",
     "found a mapping; wanted v4 to be at most 32", NET),
    ("{protect: generalize, network: {v5: 3}}", ".network", 'unknown key "v5"',
     "allowed: v4, v6"),
    ("{protect: generalize, round: 9}", ".round", 'found the number "9"; wanted at most 8',
     ROUND),
    ("{protect: generalize, hierarchy: none.csv}", ".hierarchy", "no such file: none.csv", BESIDE),
    ("{protect: bucket, width: 1, bounds: [1]}", ".bounds", "given beside width",
     "give one of the two"),
    ("bucket", "", "bucket has neither width nor bounds", "give one of the two"),
    ("{protect: fernet, ttl: 0}", ".ttl", 'found the number "0"; wanted at least 1', MEND),
    ("{protect: fernet, key: secrets/fernet}", ".key",
     'found the text "secrets/fernet"; wanted an imported key, imported:NAME', MEND),
    ("{protect: fernet, key: 'imported:a:b'}", ".key",
     'found the text "imported:a:b"; wanted an imported key, imported:NAME', MEND),
    ("{protect: fernet, key: 'imported:a', keyset: k}", ".keyset",
     "given beside key, which is another one", "give one of the two"),
    ("{protect: fernet, keyset: 'imported:a'}", ".keyset", "an imported key is no keyset",
     "a fernet column names it by `key:`"),
    ("{protect: encrypt, keyset: 'imported:a'}", ".keyset", "an imported key is no keyset",
     "a fernet column names it by `key:`"),
    ("{protect: encrypt, key: 'imported:a'}", ".key", "encrypt takes no key",
     "key is for: fernet"),
    ("{protect: seal, public_key: none.pem}", ".public_key", "no such file: none.pem", BESIDE),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "key", "message", "hint"), BAD)
def test_a_fault_is_told_exactly(rule: str, key: str, message: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read(rule)
    error = caught.value
    assert (error.where, error.message, error.hint) == (f"p.yaml:5 columns.a{key}", message, hint)


def test_a_fault_is_told_on_the_line_of_its_key() -> None:
    rule = (
        "\n    protect: tokenize\n    alphabet: digits\n    preserve:\n      frist: 1\n    luhn: 2"
    )
    with pytest.raises(PolicyError) as caught:
        read(rule)
    assert [line.split(" ")[2] for line in caught.value.message.splitlines()[1:]] == [
        "p.yaml:8", "p.yaml:10",
    ]  # fmt: skip


def test_every_key_of_every_model_is_known_to_one_protection_at_least() -> None:
    for protection in PROTECTIONS.values():
        assert not set(protection.own) & protection.fields
        assert "protect" not in protection.keys


FILES = {
    "dictionary": "{protect: replace, dictionary: sub/file}",
    "hierarchy": "{protect: generalize, hierarchy: sub/file}",
    "public_key": "{protect: seal, public_key: sub/file}",
}

CONTENTS = {"public_key": tuple(generate_pair("x25519")[1].decode() for _ in range(2))}


@pytest.mark.parametrize("key", FILES)
def test_a_file_lies_beside_the_policy(
    key: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = CONTENTS.get(key, ("Ada,A\nBob,B\n", "Ada,A\nBob,C\n"))
    write("sub/file", "\ufeff" + one)
    path = write("p.yaml", HEAD + FILES[key])
    monkeypatch.chdir("/")
    policy = load_policy(path)
    file = policy.columns["a"].file
    assert file is not None
    assert (file.name, file.text) == ("sub/file", one)
    assert one[:10] not in repr(policy)
    # Its content is part of the meaning, its place is not.
    assert parse_policy(HEAD + FILES[key], base=tmp_path).hash == policy.hash
    assert parse_policy(policy.canonical_json, base=tmp_path).hash == policy.hash
    write("sub/file", other)
    assert load_policy(path).hash != policy.hash
    assert load_policy(path).canonical_json == policy.canonical_json


@pytest.mark.parametrize("key", FILES)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "sub/file is not a text file: its bytes are not UTF-8"),
        (b"x" * ((16 << 20) + 1), "sub/file has more than 16 MiB"),
    ],
    ids=["bytes", "huge"],
)
def test_a_file_that_is_none(key: str, content: bytes, message: str, write: Write) -> None:
    write("sub/file", content)
    with pytest.raises(PolicyError) as caught:
        load_policy(write("p.yaml", HEAD + FILES[key]))
    assert caught.value.message == message
    assert (caught.value.where or "").endswith(f"p.yaml:5 columns.a.{key}")


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        ("hierarchy", "", "1: a hierarchy of no lines"),
        ("hierarchy", "Bonn,West\nBonn,East\n", "2: listed before, on line 1"),
        ("hierarchy", "Bonn\n", "1: 0 levels, where level 1 is asked for"),
        ("dictionary", "\n", "1: a list of no entries"),
        ("dictionary", "Ada\n\nAda\n", "3: listed before, on line 1"),
    ],
)
def test_a_file_at_fault_is_named_with_its_line(
    key: str, content: str, message: str, write: Write
) -> None:
    write("sub/file", content)
    with pytest.raises(PolicyError) as caught:
        load_policy(write("p.yaml", HEAD + FILES[key]))
    assert caught.value.message == f"sub/file:{message}"
    assert caught.value.hint == "mend sub/file, or name another file"


COARSER = "take a level that is coarser, or `keep` the column"


@pytest.mark.parametrize(
    ("rule", "content", "message", "hint"),
    [
        (
            FILES["hierarchy"],
            "Bonn,Bonn\nJena,Jena\n",
            "level 1 leaves every value as it is",
            COARSER,
        ),
        (
            "{protect: generalize, hierarchy: sub/file, level: 2}",
            "Bonn,West,Bonn\n",
            "level 2 leaves every value as it is",
            COARSER,
        ),
        (
            FILES["dictionary"],
            "\n Ada \n\n",
            "has fewer than two different entries",
            "use `value` for one constant",
        ),
    ],
)
def test_a_file_that_protects_nothing(
    rule: str, content: str, message: str, hint: str, write: Write
) -> None:
    write("sub/file", content)
    with pytest.raises(PolicyError) as caught:
        load_policy(write("p.yaml", HEAD + rule))
    assert (caught.value.message, caught.value.hint) == (f"sub/file: {message}", hint)


def test_a_hierarchy_may_leave_some_values_as_they_are(write: Write) -> None:
    write("sub/file", "Berlin,Berlin\nJena,Thuringia\n")
    assert load_policy(write("p.yaml", HEAD + FILES["hierarchy"])).columns["a"].file is not None


def test_a_folder_is_no_file(write: Write) -> None:
    write("sub/file/x", "")
    with pytest.raises(PolicyError, match="sub/file cannot be read: is a directory"):
        load_policy(write("p.yaml", HEAD + FILES["hierarchy"]))


def test_lists_that_change_places_change_the_hash(write: Write, tmp_path: Path) -> None:
    rule = "{{protect: replace, dictionary: {}}}"
    text = f"{HEAD}{rule.format('one')}\n  b: {rule.format('two')}"
    lists = ("Ada\nBob\n", "Eve\nMallory\n")
    hashes = set()
    for one, two in (lists, lists[::-1]):
        write("one", one)
        write("two", two)
        hashes.add(parse_policy(text, base=tmp_path).hash)
    assert len(hashes) == 2
