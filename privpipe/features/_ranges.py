"""Figures over many ranges of rows at once: each as exact as one over its rows alone.

Sums are not differences of running sums, which of doubles depend on all that went before: a range
is cut into runs whose partials are combined, as `privpipe.aggregates` combines them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.aggregates import Aggregate, Groups, combined, grouped, mapped

__all__ = ["Ranges", "counts", "distinct_counts", "partials_over"]

Int64s = npt.NDArray[np.int64]

_FAN = 16
_BLOCK = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Rows from each of `starts` to before the one of `stops`, which is no less."""

    starts: Int64s
    stops: Int64s

    def __len__(self) -> int:
        return len(self.starts)


def counts(valid: npt.NDArray[np.bool_], ranges: Ranges) -> Int64s:
    """How many rows of each range are marked."""
    before = _before(valid)
    return before[ranges.stops] - before[ranges.starts]


def partials_over(aggregate: Aggregate, values: pa.Array, ranges: Ranges) -> pa.Array:
    """The partial of each range's values.

    At most 30 rows of a range are read, and behind them at most 30 partials of runs of 16 rows, 30
    of runs of 256, and so on: time grows with the logarithm of its length.
    """
    runs: list[pa.Array] = [values]
    blocks = [
        _block(aggregate, runs, ranges.starts[at : at + _BLOCK], ranges.stops[at : at + _BLOCK])
        for at in range(0, len(ranges), _BLOCK)
    ]
    return pa.concat_arrays(blocks) if blocks else mapped(aggregate, Groups([], 0), (values[:0],))


def distinct_counts(values: pa.Array, begins: Int64s, ranges: Ranges) -> Int64s:
    """How many different values, nulls aside, each range has. None reaches over the row where its
    part of the rows begins, which `begins` says of every row.

    A value counts where it stands first: its last place before lies before the range.
    """
    valid = np.asarray(values.is_valid())
    before = _before(valid)
    starts, stops = before[ranges.starts], before[ranges.stops]
    begins = before[begins[valid]]
    code = grouped([values.filter(pa.array(valid))], int(valid.sum()))[0].index
    order = np.argsort(code, kind="stable")
    last = np.full(len(code), -1, dtype=np.int64)
    again = code[order[1:]] == code[order[:-1]]
    last[order[1:][again]] = order[:-1][again]
    # Counted from where the part begins, so that there are few bits to go through.
    last = np.maximum(last - begins + 1, 0)
    some = starts < stops
    found = np.zeros(len(ranges), dtype=np.int64)
    starts, stops = starts[some], stops[some]
    found[some] = _below(last, starts, stops, starts - begins[starts] + 1)
    return found


def _before(marks: npt.NDArray[np.bool_]) -> Int64s:
    """How many are marked before each row, and in all."""
    found = np.zeros(len(marks) + 1, dtype=np.int64)
    np.cumsum(marks, out=found[1:])
    return found


def _below(values: Int64s, starts: Int64s, stops: Int64s, limits: Int64s) -> Int64s:
    """How many values of each range are below its limit: by a wavelet matrix, from the highest bit
    down, which keeps the values apart that agree with the limit so far."""
    bits = int(values.max(initial=0)).bit_length()
    beyond = limits >> bits > 0
    found = np.where(beyond, stops - starts, 0)
    for bit in reversed(range(bits)):
        ones = (values >> bit) & 1 == 1
        zeros = _before(~ones)
        left, right = zeros[starts], zeros[stops]
        one = (limits >> bit) & 1 == 1
        found += np.where(one & ~beyond, right - left, 0)
        starts = np.where(one, starts - left + zeros[-1], left)
        stops = np.where(one, stops - right + zeros[-1], right)
        values = np.concatenate([values[~ones], values[ones]])
    return found


def _block(aggregate: Aggregate, runs: list[pa.Array], starts: Int64s, stops: Int64s) -> pa.Array:
    """As `partials_over`; `runs` are the partials of runs of 16^level rows, made where one is
    wanted first."""
    count, level, parts = len(starts), 0, []
    while not level or (starts < stops).any():
        if level == len(runs):
            runs.append(_longer(aggregate, runs[-1], raw=level == 1))
        inner_starts, inner_stops = -(-starts // _FAN), stops // _FAN
        whole = inner_starts < inner_stops
        head = np.where(whole, inner_starts * _FAN, stops)
        tail = np.where(whole, inner_stops * _FAN, stops)
        owner, rows = _spread(np.concatenate([starts, tail]), np.concatenate([head, stops]))
        groups = Groups(owner % count, count)
        taken = runs[level].take(pa.array(rows))
        parts.append(
            combined(aggregate, groups, taken) if level else mapped(aggregate, groups, (taken,))
        )
        starts, stops = np.where(whole, inner_starts, 0), np.where(whole, inner_stops, 0)
        level += 1
    if len(parts) == 1:
        return parts[0]
    each = Groups(np.tile(np.arange(count), len(parts)), count)
    return combined(aggregate, each, pa.concat_arrays(parts))


def _longer(aggregate: Aggregate, parts: pa.Array, *, raw: bool) -> pa.Array:
    groups = Groups(np.arange(len(parts)) // _FAN, -(-len(parts) // _FAN))
    return mapped(aggregate, groups, (parts,)) if raw else combined(aggregate, groups, parts)


def _spread(starts: Int64s, stops: Int64s) -> tuple[Int64s, Int64s]:
    """The rows of all ranges, each with the place of its range."""
    lengths = stops - starts
    owner = np.repeat(np.arange(len(starts)), lengths)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return owner, starts[owner] + within
