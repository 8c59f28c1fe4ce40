"""Canaries are found wherever they hide; a plant in each place shows it."""

from __future__ import annotations

import base64
import bz2
import gzip
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privpipe.testing import Canaries

KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308f0e1d2c3b4a5968778695a4b3c2d1e0f")
NAME = "Zyxwvutsky-41"
BIRDS = Canaries(values={"surname": NAME, "note": "Grüße aus Köln"}, keys={"the key": KEY})


def forms(text: str | bytes) -> set[tuple[str, str]]:
    return {(leak.canary, leak.form) for leak in BIRDS.in_text(text, where="x")}


@pytest.mark.parametrize(
    ("text", "canary", "form"),
    [
        (f"a {NAME} b", "surname", "raw"),
        (b"\0" + NAME.encode() + b"\0", "surname", "raw"),
        ("Grüße aus Köln", "note", "raw"),
        ("Gr\\xfc\\xdfe aus K\\xf6ln", "note", "escaped"),
        (NAME.encode("utf-16-le"), "surname", "utf-16"),
        (NAME.encode()[:-1] + b"\xb1", "surname", "kryo"),
        (repr(list(KEY)), "the key", "list of bytes"),
        (str([b - 256 if b > 127 else b for b in KEY]), "the key", "list of signed bytes"),
        ('{"a":"Gr\\u00fc\\u00dfe aus K\\u00f6ln"}', "note", "json"),
        ("note=Gr%C3%BC%C3%9Fe%20aus%20K%C3%B6ln/x", "note", "percent"),
        (KEY, "the key", "raw"),
        (f"raw={KEY!r}", "the key", "python literal"),
        (
            "|[FE FF E9 92 86 65 73 1C 6D 6A 8F 94 67 30 83 08 F0 E1 D2 C3 B4 A5 96 87 78 69 5A 4B "
            "3C 2D 1E 0F]|",
            "the key",
            "spaced HEX",
        ),
        ("key=" + KEY.hex(), "the key", "hex"),
        ("X'" + KEY.hex().upper() + "'", "the key", "HEX"),
        (pickle.dumps({"k": KEY}), "the key", "raw"),
    ],
)
def test_each_form_is_found(text: str | bytes, canary: str, form: str) -> None:
    assert (canary, form) in forms(text)


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("after", range(4))
def test_base64_at_any_alignment(before: int, after: int) -> None:
    whole = os.urandom(before) + KEY + os.urandom(after)
    assert ("the key", "base64") in forms(base64.b64encode(whole))
    assert ("the key", "base64url") in forms(base64.urlsafe_b64encode(whole))
    assert forms(base64.b64encode(os.urandom(60))) == set()


def test_nothing_is_found_in_nothing(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(os.urandom(1 << 20))
    (tmp_path / "empty").touch()
    assert BIRDS.in_paths(tmp_path) == ()
    with pytest.raises(FileNotFoundError):
        BIRDS.in_paths(tmp_path / "none")


def test_a_leak_and_its_finder_show_no_canary(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"{NAME} {KEY.hex()}", "utf-8")
    leaks = BIRDS.in_paths(tmp_path)
    assert len(leaks) == 2
    for text in (repr(leaks), " ".join(str(leak) for leak in leaks), repr(BIRDS)):
        assert forms(text) == set()
    assert str(tmp_path / "log") in str(leaks[0])


def test_a_short_canary_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than 8"):
        Canaries(values={"age": "41"})


def spark_lz4(content: bytes) -> bytes:
    packed: bytes = pa.Codec("lz4_raw").compress(content).to_pybytes()
    return b"LZ4Block" + struct.pack("<BiiI", 0x26, len(packed), len(content), 0) + packed


def spark_lz4_stored(content: bytes) -> bytes:
    return b"LZ4Block" + struct.pack("<BiiI", 0x16, len(content), len(content), 0) + content


def spark_snappy(content: bytes) -> bytes:
    packed: bytes = pa.Codec("snappy").compress(content).to_pybytes()
    head = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
    return head + struct.pack(">i", len(packed)) + packed


def framed(codec: str) -> object:
    def pack(content: bytes) -> bytes:
        return bytes(pa.Codec(codec).compress(content).to_pybytes())

    return pack


STREAMS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "zstd": framed("zstd"),
    "lz4": framed("lz4"),
    "Spark's lz4": spark_lz4,
    "Spark's stored lz4": spark_lz4_stored,
    "Spark's snappy": spark_snappy,
}
# Words before the canary, so that a codec has something to refer back to.
PLAIN = (f"some words, some words, {NAME}, some words, {NAME} ").encode() * 40


@pytest.mark.parametrize("place", ["alone", "behind noise", "behind another", "cut"])
@pytest.mark.parametrize("codec", STREAMS)
def test_compressed_streams_are_opened(codec: str, place: str, tmp_path: Path) -> None:
    pack = STREAMS[codec]
    assert callable(pack)
    content = pack(PLAIN)
    if place == "behind noise":
        content = os.urandom(99) + content + os.urandom(99)
    elif place == "behind another":
        content = pack(b"harmless " * 99) + content
    elif place == "cut" and codec in ("gzip", "zstd", "lz4"):
        # a log that is still being written; big enough that whole blocks are out
        content = pack(PLAIN + os.urandom(1 << 20))[: 1 << 19]
    (tmp_path / "file").write_bytes(content)
    found = {leak.canary for leak in BIRDS.in_paths(tmp_path)}
    assert found == {"surname"}


@pytest.mark.parametrize("compression", ["NONE", "SNAPPY", "ZSTD", "GZIP", "LZ4", "BROTLI"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_parquet_columns_are_opened(compression: str, dictionary: bool, tmp_path: Path) -> None:
    table = pa.table(
        {
            "plain": ["harmless"] * 3,
            "nested": [[{"deep": "harmless"}], None, [{"deep": NAME}, {"deep": None}]],
        }
    )
    pq.write_table(
        table,
        tmp_path / "part.parquet",
        compression=compression,
        use_dictionary=dictionary,
        write_statistics=False,
    )
    assert {leak.canary for leak in BIRDS.in_paths(tmp_path)} == {"surname"}


def test_zip_and_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", PLAIN)
    (found,) = {leak.where for leak in BIRDS.in_paths(tmp_path)}
    assert found.endswith("a.zip!inner.txt")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / f"surname={NAME}").touch()
    assert any("the path" in leak.where for leak in BIRDS.in_paths(tmp_path / "deep"))


def test_broken_containers_are_searched_as_they_lie(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + NAME.encode() + b"PAR1")
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + KEY)
    assert {leak.canary for leak in BIRDS.in_paths(tmp_path)} == {"surname", "the key"}
