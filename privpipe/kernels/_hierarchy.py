"""`Hierarchy`, for arrays."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from privpipe import arrow
from privpipe.errors import InvalidValue, UsageError
from privpipe.kernels._texts import check_text
from privpipe.kernels._words import take_words, word_list

__all__ = ["Hierarchy"]


class Hierarchy:
    """Texts replaced by what a mapping makes of them, as a town by its region.

    Input: a string, large, view or dictionary array of text; the mapping has a row or more.
    Output: a string array of the same length. A value is looked up as it is, byte by byte: blanks
        and upper case count.
    Nulls: stay null. An empty value is looked up as any other.
    Associated data: none.
    Reveals: which values are null, and of each value all that its general form says: values that
        come to one text are told apart no more, others are. A text that stands for a single value
        hides nothing from who knows the mapping.
    Limits: all values must be listed; the mapping is held in memory.
    Raises: InvalidValue where values are not listed, with how many rows hold such; SchemaError for
        an array of another type; UsageError for a mapping of no rows.
    Source: our own; the hierarchies are those of full-domain generalization (Samarati 2001).

    >>> import pyarrow as pa
    >>> kernel = Hierarchy({"Bonn": "West", "Jena": "East", "Trier": "West"})
    >>> kernel.generalize(pa.array(["Jena", None, "Bonn"])).to_pylist()
    ['East', None, 'West']
    """

    __slots__ = ("_general", "_values")

    def __init__(self, rows: Mapping[str, str]) -> None:
        if not rows:
            raise UsageError("a hierarchy of no rows")
        self._values = word_list(list(rows))
        self._general = word_list(list(rows.values()))

    def generalize(self, values: pa.Array) -> pa.Array:
        """What each value becomes."""
        check_text(values)
        # As bytes, since Spark holds strings that are not UTF-8.
        found = arrow.encode(values)
        places = pc.index_in(found, self._values.cast(found.type))
        missing = places.null_count - found.null_count
        if missing:
            raise InvalidValue(
                f"rows whose value the hierarchy does not list: {missing}",
                hint="add a line for every value of the column",
            )
        return take_words(self._general, places)

    def __repr__(self) -> str:
        return f"Hierarchy({len(self._values)} rows)"
