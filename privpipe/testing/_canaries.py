"""Canaries: known values and key bytes, and a search for them in whatever was left behind."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from privpipe.testing._needles import HEAD, Needles
from privpipe.testing._unpack import unpacked

SHORTEST = HEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A canary that was found: which one, in which form, where. Never the canary itself."""

    canary: str
    form: str
    where: str

    def __str__(self) -> str:
        return f"{self.canary} as {self.form} in {self.where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """Planted values and key bytes, by a name that may be shown.

    `values`: plaintext cells, text or bytes, at least 8 bytes long and found nowhere by chance.
    `keys`: raw keys.

    >>> birds = Canaries(values={"surname": "Zyxwvutsky-41"})
    >>> [str(leak) for leak in birds.in_text("row: Zyxwvutsky-41", where="the log")]
    ['surname as raw in the log']
    >>> birds.in_text("nothing here", where="the log")
    ()
    """

    values: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, canary in {**self.values, **self.keys}.items():
            if len(canary) < SHORTEST:
                message = f"canary {name} is shorter than {SHORTEST} bytes: chance would find it"
                raise ValueError(message)

    def in_text(self, text: str | bytes, *, where: str) -> tuple[Leak, ...]:
        """The canaries in one text, each form of each once; `where` is what the leak will name."""
        content = text.encode(errors="surrogatepass") if isinstance(text, str) else text
        return tuple(_leaks(self._needles(), content, where))

    def in_paths(self, *paths: Path) -> tuple[Leak, ...]:
        """The canaries in files and in whole folders, also inside what is compressed.

        Looked into: the bytes as they lie, the file's own name, gzip, bzip2, zstd and lz4 (whole
        files and the framed streams inside event logs, shuffle and spill files), zip, and the
        columns of Parquet. FileNotFoundError where a path is missing: nothing found must not
        mean nothing searched.
        """
        needles = self._needles()
        found: dict[Leak, None] = {}
        for file in _files(paths):
            for inside, content in unpacked(file):
                found |= dict.fromkeys(_leaks(needles, content, f"{file}{inside}"))
        return tuple(found)

    def _needles(self) -> Needles[tuple[str, str]]:
        return Needles((needle, (name, form)) for name, form, needle in self._spelt())

    def _spelt(self) -> Iterator[tuple[str, str, bytes]]:
        for name, value in self.values.items():
            content = value.encode() if isinstance(value, str) else value
            yield from ((name, form, needle) for form, needle in _text_forms(content, value))
        for name, key in self.keys.items():
            yield from ((name, form, needle) for form, needle in _forms(key))


def _leaks(needles: Needles[tuple[str, str]], content: bytes, where: str) -> Iterator[Leak]:
    for name, form in needles.inside(content):
        yield Leak(canary=name, form=form, where=where)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        elif path.exists():
            yield path
        else:
            raise FileNotFoundError(path)


def _text_forms(content: bytes, value: str | bytes) -> Iterator[tuple[str, bytes]]:
    yield from _forms(content)
    if isinstance(value, str):
        yield "utf-16", value.encode("utf-16-le")
        spellings = {
            "escaped": value.encode("ascii", "backslashreplace"),
            "json": json.dumps(value)[1:-1].encode(),
            "percent": quote(value, safe="").encode(),
        }
        yield from ((form, text) for form, text in spellings.items() if text != content)
        if value.isascii():
            # Kryo marks an ASCII string's end by the top bit of its last byte
            yield "kryo", content[:-1] + bytes([content[-1] | 0x80])


def _forms(content: bytes) -> Iterator[tuple[str, bytes]]:
    yield "raw", content
    yield "hex", content.hex().encode()
    yield "HEX", content.hex().upper().encode()
    yield "spaced HEX", content.hex(" ").upper().encode()  # as DataFrame.show prints binary
    yield "list of bytes", ", ".join(str(byte) for byte in content).encode()
    signed = (byte - 256 if byte > 127 else byte for byte in content)
    yield "list of signed bytes", ", ".join(str(byte) for byte in signed).encode()
    literal = repr(content)[2:-1].encode()
    if literal != content:
        yield "python literal", literal
    for shift in range(3):
        text = _base64_core(content, shift)
        yield "base64", text
        if b"+" in text or b"/" in text:
            yield "base64url", text.replace(b"+", b"-").replace(b"/", b"_")


def _base64_core(content: bytes, shift: int) -> bytes:
    """What base64 of any text that holds `content` at a position of this remainder holds too."""
    text = base64.b64encode(bytes(shift) + content)
    tail = (shift + len(content)) % 3
    return text[(0, 2, 3)[shift] : len(text) - (0, 3, 2)[tail]]
