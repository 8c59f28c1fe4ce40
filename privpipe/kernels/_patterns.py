"""Rows of one length and as much data, together, whatever they keep and where."""

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
    """Rows of one length: `codes`, (rows, length), of which those that `kept` marks hold no data.

    `kept` has one row where all of them keep the same characters in the same places, or a row for
    each; as many are marked in every row.
    """

    rows: Rows
    codes: npt.NDArray[Any]
    kept: Mask

    @property
    def alike(self) -> bool:
        """Whether what is kept is the same in all rows."""
        return len(self.kept) == 1

    @property
    def data(self) -> npt.NDArray[Any]:
        """What is data, (rows, characters)."""
        if self.alike:
            return self.codes if not self.kept.any() else self.codes[:, ~self.kept[0]]
        return self.codes[~self.kept].reshape(len(self.codes), -1)

    @property
    def held(self) -> tuple[Ints, npt.NDArray[Any]]:
        """Places and codes of what is kept; of one row where all are alike."""
        places = np.nonzero(self.kept)[1].reshape(len(self.kept), -1)
        codes = self.codes[: len(self.kept)][self.kept]
        return places, codes.reshape(places.shape)

    def with_data(self, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The codes with other data between what is kept."""
        if self.alike and not self.kept.any():
            return data
        codes = self.codes.copy()
        if self.alike:
            codes[:, ~self.kept[0]] = data
        else:
            codes[~self.kept] = data.reshape(-1)
        return codes


def patterns(
    coded: Coded, radix: int, sizes: Ints | None, sound: Mask, facts: list[Ints]
) -> Iterator[Pattern]:
    """The rows of `sound` that agree in length and in each of `facts`, by how much they keep.

    A code of `radix` or more is of a character that is kept; `sizes` are the bytes of each code in
    UTF-8, None where those of all that can be kept are the same.
    """
    whole = bool(sound.all())
    taken = None if whole else np.flatnonzero(sound)
    columns = [column[sound] for column in (coded.lengths, *facts)]
    for group in groups(*columns):
        rows = group if taken is None else taken[group]
        length = int(coded.lengths[rows][0])
        codes = gather(coded.codes, coded.starts, length, rows)
        yield from _by_kept(rows, codes, radix, sizes)


def _by_kept(
    rows: Rows, codes: npt.NDArray[Any], radix: int, sizes: Ints | None
) -> Iterator[Pattern]:
    kept = codes >= radix
    if not kept.any():
        yield Pattern(rows=rows, codes=codes, kept=kept[:1])
        return
    # A character that is kept has a code above 0, for the alphabet's come first.
    held = np.where(kept, codes, codes.dtype.type(0))
    if (held == held[0]).all():
        yield Pattern(rows=rows, codes=codes, kept=kept[:1])
        return
    places = np.arange(len(codes)) if isinstance(rows, slice) else rows
    facts = [kept.sum(axis=1)]
    if sizes is not None:
        facts.append(np.where(kept, sizes.take(held), 0).sum(axis=1))
    for group in groups(*facts):
        yield Pattern(rows=places[group], codes=codes[group], kept=kept[group])
