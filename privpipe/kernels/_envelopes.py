"""Ciphertexts in the text forms of Google DLP and of Vault's transit engine, taken apart."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.arrow import build
from privpipe.errors import InvalidValue
from privpipe.kernels._base64 import decode_rows, flatten
from privpipe.kernels._column import take_in
from privpipe.kernels._pack import Slices

__all__ = ["DLP", "VAULT", "decode_text", "parse_dlp", "parse_vault"]

DLP = r"^(?P<kind>[A-Za-z0-9$_-]{1,64})\((?P<size>[1-9][0-9]{0,8})\):"
VAULT = r"^vault:v(?P<version>[1-9][0-9]{0,8}):"


def parse_dlp(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The ciphertexts in surrogates of Google's Sensitive Data Protection (Cloud DLP).

    A whole cell must be one surrogate, `INFO_TYPE(length):base64`; in running text they are not
    looked for. The ciphertext is taken out, no more: with what is published, no program but DLP
    opens it. Its reference (`CryptoDeterministicConfig`) says that it is AES-SIV after RFC 5297,
    that the key is "internally expanded to 64 bytes", and that a context is appended to the
    plaintext; neither the expansion nor the encoding is told. In Google's samples a surrogate
    begins with the byte 01 and is 17 bytes longer than its plaintext, as with a version before the
    synthetic IV; Tink's prefix would take five. That is observed, not promised. Surrogates of DLP's
    format-preserving encryption have the same form, and are refused only where they are no base64.

    Input: a string, binary, large, view, fixed-size binary or dictionary array.
    Output: two arrays of the same length: the ciphertexts, binary, 3 bytes for every 4 characters,
        less the padding; and each row's info type, a dictionary of strings.
    Nulls: stay null, in both.
    Associated data: none is read or checked here.
    Reveals: nothing that the surrogate does not show: its info type, and the plaintext's length.
    Limits: a surrogate has less than a billion characters; nothing is authenticated.
    Raises: InvalidValue where a value is no surrogate, or its length or base64 is wrong;
        SchemaError for an array of another type.
    Source: Google Cloud, Sensitive Data Protection, `CryptoDeterministicConfig` in its REST
        reference.

    >>> import pyarrow as pa
    >>> sealed, kinds = parse_dlp(pa.array(["PHONE_TOKEN(8):AVQxAAAA", None]))
    >>> sealed.to_pylist(), kinds.to_pylist()
    ([b'\\x01T1\\x00\\x00\\x00', None], ['PHONE_TOKEN', None])
    """
    text, heads = _heads(values, DLP, "a DLP surrogate, `INFO_TYPE(length):base64`")
    size = pc.cast(pc.struct_field(heads, "size"), pa.int64())
    kinds = pc.struct_field(heads, "kind")
    lead = pc.add(
        pc.add(pc.binary_length(kinds), pc.binary_length(pc.struct_field(heads, "size"))), 3
    )
    if pc.any(pc.not_equal(pc.add(lead, size), pc.binary_length(text))).as_py():
        raise InvalidValue("a DLP surrogate has another length than it says: it may be cut off")
    return decode_text(text, lead, "a DLP surrogate"), kinds.dictionary_encode()


def parse_vault(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The ciphertexts of Vault's transit engine, for who has exported its key.

    For a key of type `aes128-gcm96` or `aes256-gcm96` that is neither derived nor convergent, each
    is what `AesGcm` opens, with the empty associated data unless one was given. For other types it
    is something else: the text does not say which.

    Input: a string, binary, large, view, fixed-size binary or dictionary array.
    Output: two arrays of the same length: binary, 3 bytes for every 4 characters, less the padding
        (nonce of 12 bytes, ciphertext, tag of 16); and the version of the key, int64.
    Nulls: stay null, in both.
    Associated data: none is read or checked here.
    Reveals: nothing that the text does not show: the key's version, and the plaintext's length.
    Limits: nothing is authenticated.
    Raises: InvalidValue where a value is not of this form, is no base64, or is shorter than a nonce
        and a tag; SchemaError for an array of another type.
    Source: HashiCorp Vault, transit secrets engine, API documentation.

    >>> import pyarrow as pa
    >>> sealed, versions = parse_vault(pa.array(["vault:v2:" + "A" * 40, None]))
    >>> sealed.to_pylist() == [bytes(30), None], versions.to_pylist()
    (True, [2, None])
    """
    text, heads = _heads(values, VAULT, "a Vault transit ciphertext, `vault:vN:base64`")
    version = pc.struct_field(heads, "version")
    sealed = decode_text(text, pc.add(pc.binary_length(version), 8), "a Vault ciphertext")
    if pc.any(pc.less(pc.binary_length(sealed), 28)).as_py():
        raise InvalidValue("a Vault ciphertext is shorter than a nonce and a tag")
    return sealed, pc.cast(version, pa.int64())


def decode_text(text: pa.Array, lead: pa.Array, what: str) -> pa.Array:
    """Base64 behind the first `lead` characters of each; InvalidValue, naming `what`, else."""
    column = take_in(text, b"")
    skip = column.own(lead.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64))
    rows = Slices(
        data=column.rows.data,
        starts=column.rows.starts + skip,
        lengths=column.rows.lengths - skip,
    )
    decoded = decode_rows(rows, urlsafe=False)
    if not decoded.sound.all():
        raise InvalidValue(f"{what} holds what is not base64, in its one canonical form")
    found = decoded.rows
    return build(flatten(found), column.offsets(found.lengths), column.valid)


def _heads(values: pa.Array, pattern: str, what: str) -> tuple[pa.Array, pa.Array]:
    """The column as text, and the named parts of each row's head; InvalidValue if one has none."""
    column = take_in(values, b"")
    rows = column.rows
    flat = build(flatten(rows), column.offsets(rows.lengths), column.valid)
    kind = pa.string() if flat.type == pa.binary() else pa.large_string()
    try:
        text = pc.cast(flat, kind)
    except pa.ArrowInvalid:
        raise InvalidValue(f"a value is not {what}") from None
    if len(text) == text.null_count:
        names = re.findall(r"\?P<(\w+)>", pattern)
        return text, pa.nulls(len(text), pa.struct([(name, kind) for name in names]))
    heads = pc.extract_regex(text, pattern)
    if heads.null_count != text.null_count:
        raise InvalidValue(f"a value is not {what}")
    return text, heads
