"""The backup of all wrapped keysets."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from privpipe.errors import KeysetError
from privpipe.keys import KeyRef, backup_text, generate_wrapped, open_ref, parse_backup


@pytest.fixture
def refs(kek: str) -> tuple[KeyRef, ...]:
    """Three keysets under one KEK."""
    return (
        generate_wrapped("table:clinic.patients", "AES256_GCM", kek),
        generate_wrapped("domain:émail:x", "AES256_SIV", kek),
        generate_wrapped("table:clinic.patients", "AES256_SIV", kek),
    )


def test_a_backup_comes_back(refs: tuple[KeyRef, ...]) -> None:
    text = backup_text(refs)
    assert json.loads(text)["privpipe_backup"] == 1
    restored = parse_backup(text)
    assert restored == refs
    assert [open_ref(ref).key_id for ref in restored] == [ref.key_id for ref in refs]


def test_the_family_of_a_domain_comes_back(refs: tuple[KeyRef, ...]) -> None:
    """Without it, a restored catalog would refuse the domain's own columns."""
    fixed = replace(refs[1], family="decimal.2")
    restored = parse_backup(backup_text([refs[0], fixed]))
    assert [ref.family for ref in restored] == [None, "decimal.2"]
    assert fixed == refs[1]
    assert fixed.digest == refs[1].digest


def test_an_empty_backup(refs: tuple[KeyRef, ...]) -> None:
    assert parse_backup(backup_text(())) == ()
    assert parse_backup(backup_text(iter(refs))) == refs


def test_a_cut_backup_is_refused_wherever_it_is_cut(refs: tuple[KeyRef, ...]) -> None:
    text = backup_text(refs).rstrip()
    for end in range(0, len(text), 7):
        with pytest.raises(KeysetError):
            parse_backup(text[:end])


def test_a_backup_that_lost_a_keyset_is_refused(refs: tuple[KeyRef, ...]) -> None:
    document = json.loads(backup_text(refs))
    del document["keysets"][1]
    with pytest.raises(KeysetError, match="digest"):
        parse_backup(json.dumps(document))


def test_an_edited_backup_is_refused(refs: tuple[KeyRef, ...]) -> None:
    text = backup_text(refs)
    with pytest.raises(KeysetError, match="digest"):
        parse_backup(text.replace("clinic.patients", "clinic.doctors"))
    reformatted = json.dumps(json.loads(text), indent=4, sort_keys=True)
    assert parse_backup(reformatted) == refs


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("PK\x03\x04", "not JSON"),
        ("[" * 50_000, "not JSON"),
        ("[]", "no backup"),
        ("7", "no backup"),
        ('{"key": []}', "no backup"),
        ('{"privpipe_backup": 2}', "format is not 1"),
        ('{"privpipe_backup": true, "keysets": 7}', "digest|format"),
        ('{"privpipe_backup": 1}', "digest"),
        ('{"privpipe_backup": 1, "keysets": {}, "digest": ""}', "digest"),
    ],
)
def test_what_is_no_backup(text: str, complaint: str) -> None:
    with pytest.raises(KeysetError, match=complaint) as caught:
        parse_backup(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scope", None),
        ("scope", ""),
        ("primitive", "ROT13"),
        ("wrapped", "{}"),
        ("wrapped", {}),
        ("kek_uri", 7),
        ("key_id", "7"),
        ("key_id", True),
        ("key_id", 7),
        ("family", 7),
    ],
)
def test_a_malformed_keyset_with_a_right_digest(
    name: str, value: object, refs: tuple[KeyRef, ...]
) -> None:
    from privpipe.keys._backup import _digest

    document = json.loads(backup_text(refs))
    document["keysets"][1][name] = value
    document["digest"] = _digest(document["keysets"])
    with pytest.raises(KeysetError):
        parse_backup(json.dumps(document))
    document["keysets"][1] = 7
    document["digest"] = _digest(document["keysets"])
    with pytest.raises(KeysetError, match="keyset 2 of the backup"):
        parse_backup(json.dumps(document))
