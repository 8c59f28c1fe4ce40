"""The Luhn check digit over rows of decimal digits (ISO/IEC 7812-1, annex B)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privpipe.kernels._pack import Bytes

__all__ = ["luhn_digits"]


def luhn_digits(payload: npt.NDArray[Any]) -> Bytes:
    """The check digit that belongs behind each row."""
    # From the right every second digit counts double, the last one too; and a double above 9
    # counts by the sum of its two digits, which is 9 less.
    twice = payload[:, ::-1][:, ::2]
    total = _sums(payload) + _sums(twice)
    total -= 9 * _sums(twice > 4)
    return np.asarray((-total % 10).astype(np.uint8))


def _sums(matrix: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Of each row, column by column: a row is short, and numpy's own way is by row."""
    total = np.zeros(len(matrix), dtype=np.int32)
    for column in matrix.T:
        total += column
    return total
