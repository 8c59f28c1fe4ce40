"""Scalar twins of the kernels that read what other programs left behind: what the tests compare
with. They share no code with the vectorized kernels.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from privpipe.errors import DecryptionError, EncodingError, InvalidValue

__all__ = ["avro_read", "avro_write", "fernet_decrypt", "fernet_encrypt", "k2_parse", "k2_write"]


def fernet_encrypt(key: bytes, value: bytes, now: int) -> str:
    """A token under an IV that the library draws."""
    return Fernet(base64.urlsafe_b64encode(key)).encrypt_at_time(value, now).decode()


def fernet_decrypt(key: bytes, token: bytes | str, now: int, ttl: int | None = None) -> bytes:
    """The value. The library passes over characters outside the alphabet, and without a ttl over
    tokens from the future; this refuses them."""
    raw = token if isinstance(token, bytes) else token.encode()
    library = Fernet(base64.urlsafe_b64encode(key))
    try:
        if base64.urlsafe_b64encode(base64.urlsafe_b64decode(raw)) != raw:
            raise DecryptionError("a token is not in its canonical form")
        if ttl is None:
            if library.extract_timestamp(raw) > now + 60:
                raise DecryptionError("a token is from the future")
            return library.decrypt(raw)
        return library.decrypt_at_time(raw, ttl, now)
    except (InvalidToken, binascii.Error):
        raise DecryptionError("a token did not authenticate") from None


def k2_write(serde: bytes, algorithm: bytes, key_id: str, sealed: bytes) -> bytes:
    """A k2 field around Tink's ciphertext."""
    name = key_id.encode()
    return base64.b64encode(b"k2" + serde + algorithm + bytes([len(name)]) + name + sealed)


def k2_parse(field: bytes) -> tuple[str, str, bytes, bytes]:
    """Algorithm, key id, associated data and ciphertext of a k2 field."""
    try:
        raw = base64.b64decode(field, validate=True)
    except binascii.Error:
        raise InvalidValue("no base64") from None
    if base64.b64encode(raw) != field or raw[:4] != b"k201" or len(raw) < 7:
        raise InvalidValue("no k2 field of Avro")
    end = 7 + raw[6]
    algorithm, name, sealed = raw[4:6], raw[7:end], raw[end:]
    if algorithm not in (b"02", b"03") or len(sealed) < 16:
        raise InvalidValue("no k2 field of AES-GCM or AES-SIV")
    return algorithm.decode(), name.decode(), b"k2" + algorithm + name, sealed


def avro_write(schema: Any, value: Any) -> bytes:
    """A value with its schema before it, as Kryptonite's `AvroSerdeProcessor` writes it."""
    text = json.dumps(schema, separators=(",", ":")).encode()
    return struct.pack(">I", len(text)) + text + _write(schema, value)


def avro_read(framed: bytes) -> Any:
    """The value, in Avro's own terms: fixed as bytes, a map as a dict, logical types as numbers."""
    size = struct.unpack(">I", framed[:4])[0]
    stream = _Stream(framed[4 + size :])
    value = _value(json.loads(framed[4 : 4 + size]), stream)
    if stream.left:
        raise EncodingError("bytes are left")
    return value


def _write(schema: Any, value: Any) -> bytes:
    """The binary encoding. A union's branch is given as (place, value)."""
    if isinstance(schema, list):
        return _number(value[0]) + _write(schema[value[0]], value[1])
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        fields = schema["fields"]
        return b"".join(_write(field["type"], value[field["name"]]) for field in fields)
    if kind in ("array", "map"):
        return _items(schema, kind, value)
    if kind == "enum":
        kind, value = "int", schema["symbols"].index(value)
    if kind in ("bytes", "string"):
        data = value.encode() if kind == "string" else value
        return _number(len(data)) + bytes(data)
    fixed = {"float": "<f", "double": "<d", "boolean": "?"}
    if kind in fixed:
        return struct.pack(fixed[kind], value)
    return bytes(value) if kind == "fixed" else b"" if kind == "null" else _number(value)


def _items(schema: Any, kind: str, value: Any) -> bytes:
    if not value:
        return b"\0"
    if kind == "array":
        parts = [_write(schema["items"], item) for item in value]
    else:
        parts = [_write("string", k) + _write(schema["values"], v) for k, v in value.items()]
    return _number(len(parts)) + b"".join(parts) + b"\0"


def _number(value: int) -> bytes:
    left, out = (value << 1) ^ (value >> 63), bytearray()
    while left > 0x7F:
        out.append(0x80 | left & 0x7F)
        left >>= 7
    return bytes([*out, left])


class _Stream:
    def __init__(self, left: bytes) -> None:
        self.left = left
        self.items = 1 << 20  # or a count of items that take no bytes would never end

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.left):
            raise EncodingError("cut off")
        part, self.left = self.left[:size], self.left[size:]
        return part

    def number(self) -> int:
        found = shift = 0
        while True:
            part = self.take(1)[0]
            found += (part % 128) << shift
            shift += 7
            if part < 128:
                break
        if found >= 2**64 or shift > 70:
            raise EncodingError("more than 64 bits")
        return found // 2 if found % 2 == 0 else -(found // 2) - 1


def _value(schema: Any, stream: _Stream) -> Any:
    if isinstance(schema, list):
        place = stream.number()
        if not 0 <= place < len(schema):
            raise EncodingError("no branch")
        return _value(schema[place], stream)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        return {field["name"]: _value(field["type"], stream) for field in schema["fields"]}
    if kind in ("array", "map"):
        return _blocks(schema, kind, stream)
    if kind == "enum":
        place = stream.number()
        if not 0 <= place < len(schema["symbols"]):
            raise EncodingError("no symbol")
        return schema["symbols"][place]
    return _primitive(kind, schema, stream)


def _blocks(schema: Any, kind: str, stream: _Stream) -> Any:
    found = []
    while (count := stream.number()) != 0:
        before = size = None
        if count < 0:
            count, size = -count, stream.number()
            before = len(stream.left)
        stream.items -= count
        if stream.items < 0:
            raise EncodingError("too many items")
        for _ in range(count):
            if kind == "array":
                found.append(_value(schema["items"], stream))
            else:
                found.append((_primitive("string", "", stream), _value(schema["values"], stream)))
        if before is not None and before - len(stream.left) != size:
            raise EncodingError("another size")
    return found if kind == "array" else dict(found)


def _primitive(kind: str, schema: Any, stream: _Stream) -> Any:
    if kind in ("int", "long"):
        number = stream.number()
        if kind == "int" and not -(2**31) <= number < 2**31:
            raise EncodingError("more than 32 bits")
        return number
    if kind in ("string", "bytes"):
        data = stream.take(stream.number())
        try:
            return data.decode() if kind == "string" else data
        except UnicodeDecodeError:
            raise EncodingError("no UTF-8") from None
    if kind == "boolean":
        part = stream.take(1)
        if part not in (b"\0", b"\1"):
            raise EncodingError("no boolean")
        return part == b"\1"
    if kind in ("float", "double"):
        form, size = ("<f", 4) if kind == "float" else ("<d", 8)
        return struct.unpack(form, stream.take(size))[0]
    return stream.take(schema["size"]) if kind == "fixed" else None
