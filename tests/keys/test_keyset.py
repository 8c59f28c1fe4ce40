"""Keysets made, wrapped, opened; and what they refuse."""

from __future__ import annotations

import base64
import copy
import io
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import tink
from tink import cleartext_keyset_handle, mac

from privpipe.errors import KekError, KeysetError, SecretTravels, UnwrapError, from_text
from privpipe.keys import (
    PRIMITIVES,
    KeyRef,
    OpenKeyset,
    associated_data,
    generate_kek,
    generate_wrapped,
    keyset_info,
    load_keyset,
    open_kek,
    open_ref,
    rotate_wrapped,
)
from privpipe.testing import Canaries, TestKey, keyset_json

VALUES = pa.array(["Baker", "", None, "Ünal", "x" * 500])
RAW = VALUES.cast(pa.binary())


def raw_keys(ref: KeyRef) -> list[bytes]:
    """The raw keys of a wrapped keyset, by Tink's own means."""
    handle = tink.json_proto_keyset_format.parse_encrypted(
        ref.wrapped, open_kek(ref.kek_uri), associated_data(ref.scope, ref.primitive)
    )
    clear = io.StringIO()
    cleartext_keyset_handle.write(tink.JsonKeysetWriter(clear), handle)
    import base64

    return [
        base64.b64decode(key["keyData"]["value"])[2:] for key in json.loads(clear.getvalue())["key"]
    ]


@pytest.mark.parametrize(
    "primitive", sorted(name for name, found in PRIMITIVES.items() if found.kernel is not None)
)
def test_a_new_keyset_works(primitive: str, kek: str) -> None:
    ref = generate_wrapped("table:clinic.patients", primitive, kek)
    keyset = open_ref(ref)
    assert keyset.key_id == ref.key_id
    assert keyset.key_ids == (ref.key_id,)
    assert keyset.deterministic == PRIMITIVES[primitive].deterministic
    made = keyset.encrypt(VALUES, b"place")
    assert keyset.decrypt(made, b"place").equals(RAW)
    prefix = b"" if primitive.endswith("_RAW") else b"\x01" + ref.key_id.to_bytes(4, "big")
    assert made.to_pylist()[0].startswith(prefix)
    assert len(made.to_pylist()[1]) == len(prefix) + (16 if keyset.deterministic else 12 + 16)
    assert keyset.encrypt(VALUES, b"place").equals(made) == keyset.deterministic
    opened, mask = keyset.open_each(made, b"place")
    assert opened.equals(RAW)
    assert mask.all()


def test_what_tink_says_of_a_new_keyset(kek: str) -> None:
    ref = generate_wrapped("domain:email", "AES256_SIV", kek)
    (info,) = keyset_info(ref.wrapped)
    assert (info.key_id, info.status, info.type) == (ref.key_id, "ENABLED", "AesSivKey")
    assert (info.prefix, info.primary) == ("TINK", True)
    assert sorted(json.loads(ref.wrapped)) == ["encryptedKeyset", "keysetInfo"]


def test_the_binding_is_the_documented_one() -> None:
    bound = associated_data("table:clinic.patients", "AES256_GCM")
    assert bound == b"pp1:k:table:clinic.patients:AES256_GCM"
    with pytest.raises(KeysetError, match=f"one of {', '.join(sorted(PRIMITIVES))}"):
        associated_data("table:x", "ROT13")
    with pytest.raises(KeysetError, match="needs a scope"):
        associated_data("", "AES256_GCM")


def test_a_128_bit_key_works() -> None:
    keyset = load_keyset(keyset_json([TestKey(key_id=9, raw=b"k" * 16)], primary=9))
    made = keyset.encrypt(VALUES, b"")
    assert keyset.decrypt(made, b"").equals(RAW)


def swaps(kek: str, other: str) -> dict[str, KeyRef]:
    ref = generate_wrapped("table:a", "AES256_GCM", kek)
    second = generate_wrapped("table:b", "AES256_GCM", kek)
    broken = json.loads(ref.wrapped)
    sealed = broken["encryptedKeyset"]
    broken["encryptedKeyset"] = sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:]
    return {
        "another KEK": replace(ref, kek_uri=other),
        "another scope": replace(ref, scope="table:b"),
        "another primitive": replace(ref, primitive="AES256_SIV"),
        "a swapped keyset": replace(ref, wrapped=second.wrapped),
        "a swapped keyset and id": replace(ref, wrapped=second.wrapped, key_id=second.key_id),
        "a changed keyset": replace(ref, wrapped=json.dumps(broken)),
        "a cut keyset": replace(ref, wrapped='{"encryptedKeyset": "AQAA"}'),
        "an empty keyset": replace(ref, wrapped='{"encryptedKeyset": ""}'),
        "no base64": replace(ref, wrapped='{"encryptedKeyset": "???"}'),
        "another key id": replace(ref, key_id=ref.key_id ^ 1),
    }


def test_what_was_swapped_does_not_open(kek: str, tmp_path: Path) -> None:
    other = generate_kek(tmp_path / "other.json")
    for name, ref in swaps(kek, other).items():
        with pytest.raises(UnwrapError) as caught:
            open_ref(ref)
        assert caught.value.where == f"{ref.scope} {ref.primitive}", name
        assert caught.value.hint, name
        assert caught.value.__suppress_context__ or caught.value.__context__ is None, name


def test_a_changed_keyset_info_does_not_mislead(kek: str) -> None:
    ref = generate_wrapped("table:a", "AES256_GCM", kek)
    said = json.loads(ref.wrapped)
    said["keysetInfo"]["primaryKeyId"] = said["keysetInfo"]["keyInfo"][0]["keyId"] = 42
    with pytest.raises(UnwrapError, match="names key 42"):
        open_ref(replace(ref, wrapped=json.dumps(said), key_id=42))


@pytest.mark.parametrize(
    ("wrapped", "complaint"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 50_000, "not JSON"),
        ("[]", "not Tink's"),
        ('{"encryptedKeyset": 7}', "not Tink's"),
        (keyset_json([TestKey(key_id=1, raw=bytes(32))], primary=1), "in clear"),
    ],
)
def test_what_is_no_wrapped_keyset(wrapped: str, complaint: str, kek: str) -> None:
    ref = KeyRef(scope="table:a", primitive="AES256_GCM", wrapped=wrapped, kek_uri=kek, key_id=1)
    with pytest.raises(KeysetError, match=complaint):
        open_ref(ref)
    with pytest.raises(KeysetError, match=complaint):
        keyset_info(wrapped)


@pytest.mark.parametrize(
    "info",
    [
        None,
        7,
        {},
        {"primaryKeyId": 1},
        {"primaryKeyId": 1, "keyInfo": []},
        {"primaryKeyId": 1, "keyInfo": [7]},
        {"primaryKeyId": 1, "keyInfo": [{}]},
        {"primaryKeyId": 1, "keyInfo": [{"keyId": True}]},
        {"primaryKeyId": "x", "keyInfo": [{"keyId": 1}]},
    ],
)
def test_a_malformed_keyset_info(info: object) -> None:
    with pytest.raises(KeysetError, match="keysetInfo"):
        keyset_info(json.dumps({"encryptedKeyset": "AA==", "keysetInfo": info}))


def test_a_keyset_of_another_primitive_in_its_place(kek: str) -> None:
    """Someone who holds the KEK wrapped the wrong keyset."""
    clear = keyset_json([TestKey(key_id=5, raw=bytes(range(64)), type="AesSivKey")], primary=5)
    handle = cleartext_keyset_handle.read(tink.JsonKeysetReader(clear))
    wrapped = tink.json_proto_keyset_format.serialize_encrypted(
        handle, open_kek(kek), associated_data("table:a", "AES256_GCM")
    )
    ref = KeyRef(scope="table:a", primitive="AES256_GCM", wrapped=wrapped, kek_uri=kek, key_id=5)
    with pytest.raises(KeysetError, match="another primitive"):
        open_ref(ref)


def test_a_missing_kek_is_told(kek: str) -> None:
    ref = generate_wrapped("table:a", "AES256_GCM", kek)
    Path(kek.removeprefix("file:")).unlink()
    with pytest.raises(KekError, match="no KEK file"):
        open_ref(ref)
    with pytest.raises(KekError, match="no KEK file"):
        generate_wrapped("table:b", "AES256_GCM", kek)


def clear(*keys: TestKey, primary: int = 1) -> str:
    return keyset_json(keys, primary=primary)


GCM, SIV = TestKey(key_id=1, raw=bytes(32)), TestKey(key_id=2, raw=bytes(64), type="AesSivKey")
REFUSED = {
    "no JSON": ("not json", "not a Tink JSON keyset"),
    "deep": ('{"key":' * 5_000, "not a Tink JSON keyset"),
    "a list": ("[]", "not a Tink JSON keyset"),
    "empty": ("{}", "not a Tink JSON keyset"),
    "no such primary": (clear(GCM, primary=9), "not a Tink JSON keyset"),
    "two primaries": (clear(GCM, replace(GCM, raw=b"2" * 32)), "not a Tink JSON keyset"),
    "no prefix": (clear(replace(GCM, prefix="UNKNOWN_PREFIX")), "not a Tink JSON keyset"),
    "24 bytes": (clear(replace(GCM, raw=bytes(24))), "key 1: its key has 24 bytes"),
    "no bytes": (clear(replace(GCM, raw=b"")), "key 1: its key has 0 bytes"),
    "32 bytes SIV": (clear(replace(SIV, raw=bytes(32)), primary=2), "key 2: its key has 32"),
    "mixed": (clear(GCM, SIV), "key 1, key 2: the keyset mixes 2 types"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_keysets_that_are_refused(case: tuple[str, str]) -> None:
    text, complaint = case
    with pytest.raises(KeysetError) as caught:
        load_keyset(text)
    assert complaint in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_other_types_are_named_with_their_key() -> None:
    mac.register()
    handle = tink.new_keyset_handle(mac.mac_key_templates.HMAC_SHA256_128BITTAG)
    text = io.StringIO()
    cleartext_keyset_handle.write(tink.JsonKeysetWriter(text), handle)
    with pytest.raises(KeysetError) as caught:
        load_keyset(text.getvalue())
    assert caught.value.where == f"key {handle.keyset_info().primary_key_id}"
    assert "type HmacKey" in caught.value.message


def test_a_type_that_may_be_a_key_is_not_named() -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    text = json.dumps(
        {
            "primaryKeyId": 7,
            "key": [
                {
                    "keyData": {"typeUrl": key, "value": "", "keyMaterialType": "SYMMETRIC"},
                    "status": "ENABLED",
                    "keyId": 7,
                    "outputPrefixType": "TINK",
                }
            ],
        }
    )
    with pytest.raises(KeysetError, match="an unknown type") as caught:
        load_keyset(text)
    assert key not in str(caught.value)
    for broken in (text.replace('"SYMMETRIC"', f'"{key}"'), text.replace("7", f'"{key}"')):
        with pytest.raises(KeysetError) as caught:
            load_keyset(broken)
        assert caught.value.__context__ is None


def test_malformed_key_data_is_not_quoted() -> None:
    text = clear(GCM).replace("GiAA", "//88")
    with pytest.raises(KeysetError, match="key 1: its key data is malformed") as caught:
        load_keyset(text)
    assert caught.value.__suppress_context__


def test_nothing_shows_a_key(kek: str) -> None:
    ref = generate_wrapped("table:a", "AES256_SIV", kek)
    (raw,) = raw_keys(ref)
    assert len(raw) == 64
    keyset = open_ref(ref)
    canaries = Canaries(keys={"the key": raw, "its first half": raw[:32]})
    from privpipe.keys import _secret, _tink

    handle = _tink.unwrap(ref.wrapped, open_kek(kek), associated_data(ref.scope, ref.primitive))
    (key,) = _secret.read_keys(handle)
    shown = [repr(each) for each in (keyset, key, key.secret, ref, handle)]
    shown += [str(keyset), f"{key}", str(ref), json.dumps(keyset_info(ref.wrapped)[0].key_id)]
    shown += [repr(pickle.dumps(ref)), ref.wrapped]
    assert canaries.in_text("\n".join(shown), where="shown") == ()
    assert canaries.in_text(pickle.dumps(ref), where="pickled") == ()
    assert str(ref.key_id) in repr(keyset)
    assert not hasattr(keyset, "__dict__")


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_open_keys_do_not_travel(travel: object, kek: str) -> None:
    from privpipe.keys import _secret

    assert callable(travel)
    keyset = open_ref(generate_wrapped("table:a", "AES256_GCM", kek))
    key = _secret.Secret(77, b"planted key bytes")
    for secret, key_id in ((keyset, keyset.key_id), (key, 77), ([{"a": keyset}], keyset.key_id)):
        if travel is copy.copy and isinstance(secret, list):
            continue
        with pytest.raises(SecretTravels, match=f"key {key_id}.*") as caught:
            travel(secret)
        assert "KeyRef" in str(caught.value)
        assert type(from_text(str(caught.value))) is SecretTravels


def test_a_closure_over_an_open_keyset_does_not_travel(kek: str) -> None:
    from pyspark import cloudpickle

    keyset = open_ref(generate_wrapped("table:a", "AES256_GCM", kek))

    def work(values: pa.Array) -> pa.Array:
        return keyset.encrypt(values, b"")

    with pytest.raises(SecretTravels, match="KeyRef"):
        cloudpickle.dumps(work)  # type: ignore[no-untyped-call]


def test_refs_travel_and_are_told_apart(kek: str) -> None:
    ref = generate_wrapped("table:a", "AES256_GCM", kek)
    twin = pickle.loads(pickle.dumps(ref))  # noqa: S301 (our own)
    assert twin == ref
    assert twin.digest == ref.digest
    assert len(ref.digest) == 64
    others = [
        replace(ref, scope="table:b"),
        replace(ref, primitive="AES256_SIV"),
        replace(ref, wrapped=ref.wrapped + " "),
        replace(ref, kek_uri=ref.kek_uri + "x"),
        replace(ref, key_id=ref.key_id + 1),
    ]
    assert len({each.digest for each in [ref, *others]}) == 6
    assert ref.wrapped not in repr(ref)


def test_the_class_is_reachable() -> None:
    keyset = load_keyset(clear(GCM))
    assert isinstance(keyset, OpenKeyset)
    import privpipe.keys

    with pytest.raises(AttributeError, match="no attribute 'Keyz'"):
        privpipe.keys.Keyz  # noqa: B018


@pytest.mark.parametrize("primitive", sorted(PRIMITIVES))
def test_a_rotated_keyset_writes_under_a_fresh_key_and_reads_what_was(
    primitive: str, kek: str
) -> None:
    first = generate_wrapped("table:clinic.patients", primitive, kek)
    second = rotate_wrapped(first)
    third = rotate_wrapped(second)
    assert open_ref(third).key_ids == (first.key_id, second.key_id, third.key_id)
    assert len({first.key_id, second.key_id, third.key_id}) == 3
    assert raw_keys(third)[:1] == raw_keys(first)
    assert (third.scope, third.primitive) == (first.scope, first.primitive)
    opened = open_ref(third)
    if PRIMITIVES[primitive].kernel is None:
        taken = [opened.built("bytes", bytes, key_id=ref.key_id) for ref in (first, second, third)]
        assert taken[0] == open_ref(first).built("bytes", bytes)
        assert taken[2] == opened.built("bytes", bytes)
        assert len(set(taken)) == 3
        with pytest.raises(KeysetError, match="no such key"):
            opened.built("bytes", bytes, key_id=1)
        return
    for ref in (first, second):
        assert opened.decrypt(open_ref(ref).encrypt(VALUES, b"place"), b"place").equals(RAW)
    if not primitive.endswith("_RAW"):
        made = opened.encrypt(VALUES, b"place")
        assert made[0].as_py()[1:5] == third.key_id.to_bytes(4, "big")
