"""What lies inside the files that Spark, Delta and Parquet leave."""

from __future__ import annotations

import bz2
import struct
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

# Magic numbers of framed streams. They are looked for anywhere in a file: Spark writes shuffle
# and spill files as many streams, one behind the other.
_FRAMES = {"zstd": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18"}
_GZIP = b"\x1f\x8b\x08"
_BZIP2 = b"\x31\x41\x59\x26\x53\x59"  # behind "BZh" and a digit
_SPARK_LZ4 = b"LZ4Block"
_SPARK_SNAPPY = b"\x82SNAPPY\x00"
_LIMIT = 1 << 30
_STEP = 1 << 16


class _Opener(Protocol):
    """What zlib and bz2 open a stream with."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def unpacked(file: Path) -> Iterator[tuple[str, bytes]]:
    """A file's contents: `("", its bytes)`, its name, and each part that was compressed in it."""
    content = file.read_bytes()
    yield " (the path)", str(file).encode(errors="surrogateescape")
    yield "", content
    if content[:4] == b"PAR1" and content[-4:] == b"PAR1":
        yield from _parquet(content)
    elif content[:4] == b"PK\x03\x04":
        yield from _zip(content)
    else:
        yield from _streams(content)


def _zip(content: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for name in archive.namelist():
                yield f"!{name}", archive.read(name)
    except zipfile.BadZipFile:
        yield from _streams(content)


def _parquet(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Each column's values as they are in memory; footers and statistics lie in clear already."""
    try:
        reader = pq.ParquetFile(pa.BufferReader(content))
    except (pa.ArrowException, OSError):
        return
    for group in range(reader.num_row_groups):
        table = reader.read_row_group(group)
        for name in table.column_names:
            for chunk in table.column(name).chunks:
                for buffer in chunk.buffers():
                    if buffer is not None:
                        yield f"!{name}", buffer.to_pybytes()


def _streams(content: bytes) -> Iterator[tuple[str, bytes]]:
    for codec, magic in _FRAMES.items():
        end = 0
        for at in _positions(content, magic):
            if at >= end:
                part, whole = _inflate(content[at:], codec)
                end = len(content) if whole else at + 1
                yield f"!{codec}@{at}", part
    for at in _positions(content, _GZIP):
        yield f"!gzip@{at}", _expand(zlib.decompressobj(wbits=31), content[at:])
    for at in _positions(content, _BZIP2):
        yield f"!bzip2@{at}", _expand(bz2.BZ2Decompressor(), content[max(at - 4, 0) :])
    yield "!lz4 blocks", b"".join(_spark_blocks(content))
    yield "!snappy blocks", b"".join(_snappy_blocks(content))


def _positions(content: bytes, magic: bytes) -> Iterator[int]:
    at = content.find(magic)
    while at >= 0:
        yield at
        at = content.find(magic, at + 1)


def _expand(opener: _Opener, content: bytes) -> bytes:
    """One gzip or bzip2 stream, as far as it opens: it may be cut, or no stream at all."""
    parts: list[bytes] = []
    for start in range(0, len(content), _STEP):
        try:
            parts.append(opener.decompress(content[start : start + _STEP]))
        except (zlib.error, OSError):
            break
        if opener.eof:
            break
    return b"".join(parts)


def _inflate(content: bytes, codec: str) -> tuple[bytes, bool]:
    """zstd or lz4 as far as it opens, and whether that was to the very end."""
    text, whole = _read(content, codec, step=_STEP)
    # Arrow drops a read in which the stream breaks off: its beginning comes in smaller reads.
    return (text, True) if whole else _read(content, codec, step=32)


def _read(content: bytes, codec: str, *, step: int) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    try:
        with pa.CompressedInputStream(pa.BufferReader(content), codec) as stream:
            while part := stream.read(step):
                parts.append(part)
    except (pa.ArrowException, OSError):
        return b"".join(parts), False
    return b"".join(parts), True


def _spark_blocks(content: bytes) -> Iterator[bytes]:
    """lz4-java's LZ4BlockOutputStream: magic, token, two lengths, checksum, block."""
    for at in _positions(content, _SPARK_LZ4):
        header = content[at + 8 : at + 21]
        if len(header) < 13:
            return
        token, packed, size, _ = struct.unpack("<BiiI", header)
        block = content[at + 21 : at + 21 + max(packed, 0)]
        yield from _block("lz4_raw", block, size, stored=token & 0xF0 == 0x10)


def _snappy_blocks(content: bytes) -> Iterator[bytes]:
    """snappy-java's SnappyOutputStream: a header of 16 bytes, then length and block in turn."""
    for start in _positions(content, _SPARK_SNAPPY):
        at = start + 16
        while at + 4 <= len(content):
            (packed,) = struct.unpack_from(">i", content, at)
            block = content[at + 4 : at + 4 + packed] if packed > 0 else b""
            if len(block) < max(packed, 1):
                break
            size = _varint(block)
            at += 4 + packed
            yield from _block("snappy", block, size, stored=False)


def _varint(block: bytes) -> int:
    value = 0
    for place, byte in enumerate(block[:5]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            break
    return value


def _block(codec: str, block: bytes, size: int, *, stored: bool) -> Iterator[bytes]:
    if stored:
        yield block
    elif block and 0 < size < _LIMIT:
        try:
            yield pa.Codec(codec).decompress(block, decompressed_size=size).to_pybytes()
        except (pa.ArrowException, OSError):
            return
