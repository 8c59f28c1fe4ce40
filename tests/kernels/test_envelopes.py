"""Surrogates of Google's DLP and ciphertexts of Vault's transit engine, taken apart."""

from __future__ import annotations

import base64
import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.errors import InvalidValue, SchemaError
from privpipe.kernels import AesGcm, parse_dlp, parse_vault
from tests.kernels.foreign import buffers, layouts, same_as

# Google's samples, `reidentify_with_deterministic`.
PUBLISHED = "EMAIL_ADDRESS_TOKEN(52):AVAx2eIEnIQP5jbNEr2j9wLOAd5m4kpSBR/0jjjGdAOmryzZbE/q"


def surrogate(sealed: bytes, kind: str = "PHONE_TOKEN") -> str:
    text = base64.b64encode(sealed).decode()
    return f"{kind}({len(text)}):{text}"


def transit(sealed: bytes, version: int = 1) -> str:
    return f"vault:v{version}:{base64.b64encode(sealed).decode()}"


def test_a_published_surrogate() -> None:
    sealed, kinds = parse_dlp(pa.array([PUBLISHED]))
    assert kinds.to_pylist() == ["EMAIL_ADDRESS_TOKEN"]
    (raw,) = sealed.to_pylist()
    assert raw == base64.b64decode(PUBLISHED.split(":")[1])
    # A byte and a synthetic IV before as many bytes as `aabernathy@example.com` has.
    assert raw[0] == 1
    assert len(raw) == 17 + len("aabernathy@example.com")


def test_vault_end_to_end() -> None:
    kernel = AesGcm(bytes(32))
    values = ["Ada", "", "Grace Hopper"]
    sealed = kernel.encrypt(pa.array(values), b"").to_pylist()
    texts = [transit(sealed[0], 1), None, transit(sealed[1], 12), transit(sealed[2], 1)]
    opened, versions = parse_vault(pa.array(texts))
    assert versions.type == pa.int64()
    assert versions.to_pylist() == [1, None, 12, 1]
    assert kernel.decrypt(opened, b"").to_pylist() == [b"Ada", None, b"", b"Grace Hopper"]


DLP_TEXTS = [surrogate(b"\x01" + bytes(20)), None, surrogate(b"\x01", "A-b_$9"), PUBLISHED]
VAULT_TEXTS = [transit(bytes(28)), None, transit(bytes(range(99)), 999_999_999), transit(bytes(30))]


@pytest.mark.parametrize("layout", layouts(DLP_TEXTS))
def test_every_layout(layout: str) -> None:
    for texts, parse, want in (
        (DLP_TEXTS, parse_dlp, dlp_twin), (VAULT_TEXTS, parse_vault, vault_twin),
    ):  # fmt: skip
        column = layouts(texts)[layout]
        before = None if isinstance(column, pa.ChunkedArray) else buffers(column)
        sealed, heads = parse(column)
        sealed.validate(full=True)
        heads.validate(full=True)
        found = list(zip(sealed.to_pylist(), heads.to_pylist(), strict=True))
        assert found == same_as(layout, [want(text) for text in texts])
        if before is not None:
            assert buffers(column) == before


def dlp_twin(text: str | None) -> tuple[Any, Any]:
    if text is None:
        return None, None
    matched = re.fullmatch(r"([A-Za-z0-9$_-]{1,64})\((\d+)\):(.*)", text)
    assert matched is not None
    assert int(matched[2]) == len(matched[3])
    return base64.b64decode(matched[3], validate=True), matched[1]


def vault_twin(text: str | None) -> tuple[Any, Any]:
    if text is None:
        return None, None
    _, version, body = text.split(":")
    return base64.b64decode(body, validate=True), int(version[1:])


@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_nothing_and_nulls(values: list[None]) -> None:
    for parse in (parse_dlp, parse_vault):
        for found in parse(pa.array(values, pa.string())):
            assert found.to_pylist() == values


NO_SURROGATES = [
    "", "Ada", "PHONE_TOKEN(4)", "PHONE_TOKEN(4):", "PHONE_TOKEN(4):AAA", "PHONE_TOKEN(4):AAAAAAAA",
    "PHONE_TOKEN(3):AAA", "PHONE_TOKEN(4):A A=", "PHONE_TOKEN(4):AA-_", "PHONE_TOKEN(4):AAB=",
    "PHONE_TOKEN(0):", "PHONE_TOKEN(04):AAAA", "PHONE_TOKEN(-4):AAAA", "(4):AAAA", "ü(4):AAAA",
    " PHONE_TOKEN(4):AAAA", "PHONE_TOKEN(4):AAAA\n", "x\nPHONE_TOKEN(4):AAAA",
    "A" * 65 + "(4):AAAA",
    "PHONE_TOKEN(9999999999):AAAA", "call PHONE_TOKEN(4):AAAA", transit(bytes(30)),
]  # fmt: skip
NO_TRANSIT = [
    "", "Ada", "vault:v1", "vault:v1:", "vault:v0:" + "A" * 40, "vault:v01:" + "A" * 40,
    "vault:1:" + "A" * 40, "vault:v1:" + "A" * 39, "vault:v1:" + "A" * 36, "vault:v1:" + "-" * 40,
    "VAULT:v1:" + "A" * 40, "vault:v1:" + "A" * 40 + "\n", "vault:v9999999999:" + "A" * 40,
    " vault:v1:" + "A" * 40, PUBLISHED,
]  # fmt: skip


@pytest.mark.parametrize("text", NO_SURROGATES)
def test_what_is_no_surrogate_is_refused(text: str) -> None:
    check_refused(parse_dlp, text, PUBLISHED)


@pytest.mark.parametrize("text", NO_TRANSIT)
def test_what_is_no_transit_ciphertext_is_refused(text: str) -> None:
    check_refused(parse_vault, text, transit(bytes(30)))


def check_refused(parse: Any, text: str, good: str) -> None:
    for column in ([text], [good, None, text], [text, good]):
        with pytest.raises(InvalidValue) as caught:
            parse(pa.array(column))
        assert len(text) < 6 or text not in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    for parse in (parse_dlp, parse_vault):
        with pytest.raises(InvalidValue):
            parse(pa.array([b"\xff\xfe"]))
        with pytest.raises(SchemaError):
            parse(pa.array([1.5]))


@given(
    rows=st.lists(
        st.none() | st.tuples(st.from_regex(r"[A-Za-z0-9$_-]{1,64}", fullmatch=True),
                              st.binary(min_size=1, max_size=50)),
        max_size=10,
    ),
    version=st.integers(1, 999_999_999),
)  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_they_agree_with_their_twins(rows: list[tuple[str, bytes] | None], version: int) -> None:
    texts = [None if row is None else surrogate(row[1], row[0]) for row in rows]
    sealed, kinds = parse_dlp(pa.array(texts, pa.string()))
    assert list(zip(sealed.to_pylist(), kinds.to_pylist(), strict=True)) == [
        (None, None) if row is None else (row[1], row[0]) for row in rows
    ]
    long = [None if row is None else transit(row[1] + bytes(28), version) for row in rows]
    sealed, versions = parse_vault(pa.array(long, pa.string()))
    assert list(zip(sealed.to_pylist(), versions.to_pylist(), strict=True)) == [
        (None, None) if row is None else (row[1] + bytes(28), version) for row in rows
    ]
