"""Group results: sums of some units, which add up to those of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["GroupSums", "Pairs", "different", "merge_sums"]

Int64s = npt.NDArray[np.int64]
Pairs: TypeAlias = tuple[Int64s, Int64s]
"""Groups, and hashed values in them"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSums:
    """Sums of some units: for each of `groups` a row of `sums`, a column for each place of the
    dense measures; and of each distinct measure pairs of group and hashed value."""

    groups: Int64s
    sums: Int64s
    pairs: tuple[Pairs, ...]


def merge_sums(parts: Sequence[GroupSums]) -> GroupSums:
    """The sums of all units together: addition, and union; in any order the same.

    At least one part, which may have a group more than once.
    """
    every = np.concatenate([each.groups for each in parts])
    groups, place = np.unique(every, return_inverse=True)
    sums = np.zeros((len(groups), parts[0].sums.shape[1]), dtype=np.int64)
    np.add.at(sums, place, np.concatenate([each.sums for each in parts]))
    pairs = tuple(
        different(*(np.concatenate(side) for side in zip(*each, strict=True)))
        for each in zip(*(part.pairs for part in parts), strict=True)
    )
    return GroupSums(groups=groups, sums=sums, pairs=pairs)


def different(groups: Int64s, values: Int64s) -> Pairs:
    """Each pair once."""
    both = np.unique(np.column_stack([groups, values]), axis=0)
    return both[:, 0], both[:, 1]
