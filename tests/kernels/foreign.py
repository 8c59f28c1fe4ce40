"""Columns for the kernels that read what others left behind: layouts, and published records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

Record = dict[str, Any]


def layouts(values: list[str | None]) -> dict[str, Any]:
    """The same texts in every layout that a column of text may have."""
    text = pa.array(values, pa.string())
    cut = len(values) // 2
    return {
        "string": text,
        "large_string": text.cast(pa.large_string()),
        "binary": text.cast(pa.binary()),
        "large_binary": text.cast(pa.large_binary()),
        "string_view": pa.array(values, pa.string_view()),
        "binary_view": pa.array([v and v.encode() for v in values], pa.binary_view()),
        "dictionary": text.dictionary_encode(),
        "sliced": pa.array(["before", *values, "behind"], pa.string()).slice(1, len(values)),
        "chunked": pa.chunked_array([text.slice(0, cut), text.slice(cut)]),
        "no chunks": pa.chunked_array([], type=pa.string()),
        "reversed": text.take(pa.array(list(range(len(values)))[::-1])),
    }


def same_as(layout: str, expected: list[Any]) -> list[Any]:
    """What a column in that layout holds, where `expected` is what the values come to."""
    if layout == "no chunks":
        return []
    return expected[::-1] if layout == "reversed" else expected


def buffers(column: pa.Array) -> list[bytes | None]:
    return [buffer and buffer.to_pybytes() for buffer in column.buffers()]


def records(vectors: Path, family: str) -> Iterator[Record]:
    data = json.loads((vectors / f"{family}.json").read_text("utf-8"))
    for group in data.get("groups", ()):
        common = {name: value for name, value in group.items() if name != "tests"}
        for test in group["tests"]:
            yield {**common, **test}
    yield from data.get("items", ())
