"""Tink's own PRF beside ours, over fresh keys of its making."""

from __future__ import annotations

import io
import os
from typing import Any

import pyarrow as pa
import pytest
import tink
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import cleartext_keyset_handle, prf
from tink.proto import aes_cmac_prf_pb2, hmac_prf_pb2, tink_pb2

from privpipe.kernels import AesCmac, HmacSha256

prf.register()

TEMPLATES = prf.prf_key_templates
KINDS: dict[str, tuple[Any, Any, type[AesCmac | HmacSha256], int]] = {
    "AES_CMAC": (TEMPLATES.AES_CMAC, aes_cmac_prf_pb2.AesCmacPrfKey, AesCmac, 16),
    "HMAC_SHA256": (TEMPLATES.HMAC_SHA256, hmac_prf_pb2.HmacPrfKey, HmacSha256, 32),
}


def fresh(kind: str) -> tuple[Any, bytes]:
    """A primitive of Tink's, and the key that its JSON keyset holds."""
    template, message, _, _ = KINDS[kind]
    handle = tink.new_keyset_handle(template)
    text = io.StringIO()
    cleartext_keyset_handle.write(tink.JsonKeysetWriter(text), handle)
    keyset: tink_pb2.Keyset = tink.JsonKeysetReader(text.getvalue()).read()
    raw: bytes = message.FromString(keyset.key[0].key_data.value).key_value
    return handle.primitive(prf.PrfSet).primary(), raw


@pytest.mark.parametrize("kind", KINDS)
def test_every_length_and_size_is_tinks(kind: str) -> None:
    judge, key = fresh(kind)
    _, _, kernel, most = KINDS[kind]
    values = [os.urandom(size) for size in [*range(70), 128, 1000, 5000]]
    for size in (1, 8, most):
        tags = kernel(key).compute(pa.array(values * 10), size=size).to_pylist()
        assert tags == [judge.compute(value, size) for value in values] * 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_is_a_beginning_to_tink(kind: str) -> None:
    judge, key = fresh(kind)
    _, _, kernel, most = KINDS[kind]

    @settings(max_examples=30)
    @given(head=st.binary(max_size=70), values=st.lists(st.binary(max_size=70), max_size=8))
    def holds(head: bytes, values: list[bytes]) -> None:
        tags = kernel(key, head=head).compute(pa.array(values, pa.binary()))
        assert tags.to_pylist() == [judge.compute(head + value, most) for value in values]

    holds()
