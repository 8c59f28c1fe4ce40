"""Rows that keep the same characters in the same places, together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privpipe.kernels._groups import Rows, gather, groups
from privpipe.kernels._letters import Coded
from privpipe.kernels._pack import Ints, Mask

__all__ = ["Pattern", "patterns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Rows of one length: `codes`, (rows, length), of which columns `kept` hold no data."""

    rows: Rows
    codes: npt.NDArray[Any]
    kept: Ints

    @property
    def data(self) -> npt.NDArray[Any]:
        """The columns that hold data."""
        return self.codes[:, self._columns()] if len(self.kept) else self.codes

    def with_data(self, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The codes with other data between what is kept."""
        if not len(self.kept):
            return data
        codes = self.codes.copy()
        codes[:, self._columns()] = data
        return codes

    def _columns(self) -> Ints:
        return np.delete(np.arange(self.codes.shape[1]), self.kept)


def patterns(coded: Coded, radix: int, sound: Mask, facts: list[Ints]) -> Iterator[Pattern]:
    """The rows of `sound` that agree in length, in what is kept and where, and in each of `facts`.

    A code of `radix` or more is of a character that is kept.
    """
    whole = bool(sound.all())
    taken = None if whole else np.flatnonzero(sound)
    columns = [column[sound] for column in (coded.lengths, *facts)]
    for group in groups(*columns):
        rows = group if taken is None else taken[group]
        length = int(coded.lengths[rows][0])
        codes = gather(coded.codes, coded.starts, length, rows)
        yield from _by_kept(rows, codes, radix)


def _by_kept(rows: Rows, codes: npt.NDArray[Any], radix: int) -> Iterator[Pattern]:
    kept = codes >= radix
    if not kept.any():
        yield Pattern(rows=rows, codes=codes, kept=np.empty(0, dtype=np.int64))
        return
    held = np.where(kept, codes, codes.dtype.type(0))
    # A character that is kept has a code above 0, for the alphabet's come first.
    if (held == held[0]).all():
        yield Pattern(rows=rows, codes=codes, kept=np.flatnonzero(kept[0]))
        return
    whole = held.view(f"V{held.shape[1] * held.itemsize}")[:, 0]
    _, kind = np.unique(whole, return_inverse=True)
    places = np.arange(len(codes)) if isinstance(rows, slice) else rows
    for group in groups(kind):
        first = kept[group][0]
        yield Pattern(rows=places[group], codes=codes[group], kept=np.flatnonzero(first))
