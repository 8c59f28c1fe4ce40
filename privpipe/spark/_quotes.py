"""Are the quotes of CSV files where RFC 4180 has them, and their lines ended in one way?

Spark's reader forgives: a quote that is not closed takes the lines that follow into its cell, up
to the next quote, and shifts what was to be protected into columns that are kept. So the text is
read once beforehand, as lines. Spark cuts large files into blocks, and whether a block begins
inside a quoted cell is known once those before it are: each is read for both cases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from privpipe.errors import MalformedRow, PrivpipeError
from privpipe.spark._files import Files
from privpipe.spark._text import counted

__all__ = ["refuse_torn"]


def refuse_torn(
    spark: SparkSession, files: Files, separator: str, malformed: PrivpipeError
) -> None:
    """Raises `malformed`, with the count of rows, where a quote has no partner, or stands at the
    start of a cell that goes on behind its end; MalformedRow where line ends are of two kinds.

    A quote within a cell that does not begin with one is a character like any other.
    """
    rows = _lines(spark, files).mapInArrow(_scanner(separator), _BLOCKS).collect()
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["file"], []).append(row)
    totals = [_whole(blocks) for blocks in found.values()]
    torn = sum(total.torn + total.inside for total in totals)
    if torn:
        raise counted(malformed, torn)
    if any(total.crlf and total.within for total in totals):
        raise MalformedRow(
            "its lines end in CRLF, and so do lines within its cells, which Spark would change",
            where=files.source,
            hint="end its lines in LF (`sed -i 's/\\r$//'` does it for both), or land it as "
            "Parquet first",
        )
    if any(total.crlf and total.lf - total.last_lf for total in totals):
        raise MalformedRow(
            "some of its lines end in CRLF and some in LF",
            where=files.source,
            hint="end them alike: `sed -i 's/\\r$//'`",
        )


_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class _Lines:
    """What lines hold, read from outside a quoted cell or from within one.

    `torn` rows; lines whose records end in `crlf` or `lf`, blank ones too, and whether the last one
    did in LF (it may have no end at all); line ends CRLF `within` cells; is the end `inside` a
    quoted cell? `size` is that of the lines, each with an LF.
    """

    torn: int = 0
    crlf: int = 0
    lf: int = 0
    last_lf: int = 0
    within: int = 0
    inside: int = 0
    size: int = 0

    def plain(self, crlf: int, lf: int, *, last_lf: bool) -> None:
        """Takes lines in which no quote stands."""
        if self.inside:
            self.within += crlf
        elif crlf or lf:
            self.crlf += crlf
            self.lf += lf
            self.last_lf = int(last_lf)

    def quoted(self, line: bytes, rule: _Rule) -> None:
        """Takes a line with quotes in it."""
        text = b'"' + line if self.inside else line
        whole = rule.whole.fullmatch(text) is not None
        opens = not whole and rule.opens.fullmatch(text) is not None
        self.torn += not (whole or opens)
        self.inside = int(opens)
        crlf = line.endswith(b"\r")
        self.plain(int(crlf), int(not crlf), last_lf=not crlf)


_FIELDS = ", ".join(f"{field.name}: long" for field in fields(_Lines))
_BLOCKS = (
    f"file string, start long, length long, from_out struct<{_FIELDS}>, from_in struct<{_FIELDS}>"
)


def _whole(blocks: list[Row]) -> _Lines:
    """The blocks of one file, each from the state that the one before it ends in."""
    total = _Lines()
    for block in sorted(blocks, key=lambda block: block["start"]):
        own = _Lines(*block["from_in" if total.inside else "from_out"])
        total.torn += own.torn
        total.crlf += own.crlf
        total.lf += own.lf
        total.within += own.within
        total.last_lf = own.last_lf if own.crlf or own.lf else total.last_lf
        total.inside = own.inside
        total.size += own.size
    length = blocks[0]["length"]
    if total.size - 1 in (length, length - len(_BOM)):  # it ends without a line end
        # What looked like a CRLF there is a lone CR.
        lone = int(not (total.last_lf or total.inside))
        total.torn, total.crlf = total.torn + lone, total.crlf - lone
    elif not blocks[0]["file"].endswith((".gz", ".bz2")):
        total.last_lf = 0
    return total


def _lines(spark: SparkSession, files: Files) -> DataFrame:
    # Spark's own line end would take a CR with it. A byte that is not UTF-8 is another's to find.
    # Without what folders name, which might be called `value`.
    df = spark.read.text(files.source, lineSep="\n", recursiveFileLookup=True)
    place = df.metadataColumn("_metadata")
    return df.select(
        place.getField("file_path").alias("file"),
        place.getField("file_block_start").alias("start"),
        place.getField("file_size").alias("length"),
        F.col("value").cast("binary").alias("value"),
    )


@dataclass(frozen=True, slots=True)
class _Rule:
    """A line from outside a quoted cell: one that ends there too, and one that ends within.

    `common` tells a whole line to Arrow, whose expressions know less: where it fails, `whole`
    decides.
    """

    whole: re.Pattern[bytes]
    opens: re.Pattern[bytes]
    common: str


def _rule(separator: str) -> _Rule:
    mark = re.escape(separator.encode())
    # Nothing is given back of what was matched: a line of any form takes linear time.
    quoted = rb'"(?:[^"]++|"")*+"'
    bare = rb'(?!"|%b)(?:(?!%b)[^\r])*+' % (_BOM, mark)
    cell = rb"(?:%b|%b)" % (quoted, bare)
    first = re.escape(separator[0])
    plain = rf'(?:"(?:[^"]|"")*"|[^"\xEF\r{first}][^\r{first}]*|)'
    return _Rule(
        whole=re.compile(rb"%b(?:%b%b)*+\r?" % (cell, mark, cell)),
        opens=re.compile(rb'(?:%b%b)*+"(?:[^"]++|"")*+' % (cell, mark)),
        common=rf"\A{plain}(?:{re.escape(separator)}{plain})*\r?\z",
    )


def _scanner(separator: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def scan(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rule = _rule(separator)
        found: dict[tuple[str, int, int], tuple[_Lines, _Lines]] = {}
        for batch in batches:
            for block, values in _by_block(batch):
                start = block[1]
                fresh = block not in found
                pair = found.setdefault(block, (_Lines(), _Lines(inside=1)))
                # A file begins outside.
                for lines in pair if start else pair[:1]:
                    lines.size += pc.sum(pc.binary_length(values)).as_py() + len(values)
                    _take(lines, _without_bom(values) if fresh and not start else values, rule)
        yield _report(found)

    return scan


def _without_bom(values: pa.Array) -> pa.Array:
    first = values[0].as_py()
    if not first.startswith(_BOM):
        return values
    return pa.concat_arrays([pa.array([first.removeprefix(_BOM)], values.type), values[1:]])


def _by_block(batch: pa.RecordBatch) -> Iterator[tuple[tuple[str, int, int], pa.Array]]:
    """The runs of lines of one block; the lines of a block come together, in their order."""
    runs = pc.run_end_encode(batch.column("start"))
    first = 0
    for end in runs.run_ends.to_pylist():
        own = batch.slice(first, end - first)
        names = pc.run_end_encode(own.column("file"))
        at = 0
        for stop in names.run_ends.to_pylist():
            part = own.slice(at, stop - at)
            file, start, length = (part.column(name)[0].as_py() for name in _PLACE)
            yield (file, start, length), part.column("value")
            at = stop
        first = end


_PLACE = ("file", "start", "length")


def _take(lines: _Lines, values: pa.Array, rule: _Rule) -> None:
    crlf = _mask(pc.ends_with(values, pattern=b"\r"))
    inner = pc.count_substring(values, pattern=b"\r").to_numpy(zero_copy_only=False) > crlf
    told = _mask(pc.match_substring(values, pattern=b'"')) | inner
    # From outside, a line that is whole leads outside again: only the others are looked at.
    hard = told.copy()
    hard[told] = ~_mask(pc.match_substring_regex(values.filter(pa.array(told)), rule.common))
    places = {0: np.flatnonzero(hard), 1: np.flatnonzero(told)}
    first = 0
    while first <= len(values):
        ahead = places[lines.inside]
        at = np.searchsorted(ahead, first)
        stop = int(ahead[at]) if at < len(ahead) else len(values)
        ends = crlf[first:stop]
        count = int(ends.sum())
        lines.plain(count, len(ends) - count, last_lf=bool(len(ends)) and not ends[-1])
        if stop < len(values):
            lines.quoted(values[stop].as_py(), rule)
        first = stop + 1


def _mask(found: pa.Array) -> np.ndarray:
    mask: np.ndarray = found.to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask


def _report(found: dict[tuple[str, int, int], tuple[_Lines, _Lines]]) -> pa.RecordBatch:
    names = [field.name for field in fields(_Lines)]
    kind = pa.struct([(name, pa.int64()) for name in names])
    stated = [
        [{name: getattr(pair[at], name) for name in names} for pair in found.values()]
        for at in (0, 1)
    ]
    places = list(zip(*found, strict=True)) or [(), (), ()]
    kinds = (pa.string(), pa.int64(), pa.int64())
    return pa.RecordBatch.from_arrays(
        [
            *(pa.array(column, own) for column, own in zip(places, kinds, strict=True)),
            *(pa.array(rows, kind) for rows in stated),
        ],
        names=[*_PLACE, "from_out", "from_in"],
    )
