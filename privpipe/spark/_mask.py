"""Text with its characters hidden, or cut off after the first few."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType

from privpipe.policy import Mask

__all__ = ["mask", "prefix"]

# What the platform's Unicode tables do not know yet is hidden, and so are combining marks, which
# are vowels in some scripts, and other symbols, which spell in Braille or circles: only what is
# known to be no part of a word stays.
_PUNCTUATION = r"[^\p{P}\p{Sm}\p{Sc}\p{Sk}\p{Z}\p{Cc}]"


def mask(source: Column, _: DataType, settings: Mask) -> Column:
    """`char` for every character but those at the ends that are shown and those kept.

    Characters are Unicode code points. All are counted, kept ones too; where there are no more
    than the ends show, all are hidden that are not kept. Null stays null, empty stays empty.
    """
    value = _text(source)
    first, last = settings.show.first, settings.show.last
    if first + last == 0:
        return _hidden(value, settings)
    length = F.length(value)
    middle = F.substring(value, F.lit(first + 1), length - (first + last))
    shown = F.concat(
        F.substring(value, 1, first),
        _hidden(middle, settings),
        F.substring(value, length - (last - 1), F.lit(last)),
    )
    return F.when(length <= first + last, _hidden(value, settings)).otherwise(shown)


def prefix(source: Column, characters: int) -> Column:
    """The first so many characters, and no more."""
    return F.substring(_text(source), 1, characters)


def _text(source: Column) -> Column:
    """Without a collation, under which patterns match otherwise; and with no byte that is not
    UTF-8: Spark goes by the first byte of a character, and would read on past the value's end."""
    return F.make_valid_utf8(source.cast(StringType()))


def _hidden(text: Column, settings: Mask) -> Column:
    if not settings.keep:
        return F.repeat(F.lit(settings.char), F.length(text))
    # In a replacement these two would name a group.
    char = "\\" + settings.char if settings.char in "\\$" else settings.char
    hidden = F.regexp_replace(text, _pattern(settings.keep), char)
    if settings.char == "\0":  # `translate` leaves out what it would stand for
        return hidden
    # Where every character is one byte, it is ASCII: a look-up each, and no pattern.
    others = _hidden_ascii(settings.keep)
    looked_up = F.translate(text, others, settings.char * len(others))
    return F.when(F.octet_length(text) == F.length(text), looked_up).otherwise(hidden)


def _hidden_ascii(keep: str) -> str:
    every = map(chr, range(128))
    if keep == "punctuation":
        return "".join(char for char in every if char.isalnum())
    return "".join(char for char in every if char not in keep)


def _pattern(keep: str) -> str:
    if keep == "punctuation":
        return _PUNCTUATION
    return "[^" + "".join(_literal(char) for char in keep) + "]"


def _literal(char: str) -> str:
    """`char` in a character class of Java's: a letter behind a backslash would mean something."""
    return "\\" + char if char.isascii() and not char.isalnum() else char
