"""Random batches of each type, with nulls, extremes and now and then no row."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa

Make = Callable[[np.random.Generator], tuple[pa.Array, ...]]

ODD = [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -1.7976931348623157e308, 1e16, 1.0, -1.0]
WORDS = ["", "a", "b", "ab", "žluť", "😀", "z" * 40]
WIDE = Context(prec=60)


def _column(values: list[object], kind: pa.DataType, random: np.random.Generator) -> pa.Array:
    for place in range(len(values)):
        if random.random() < 0.2:
            values[place] = None
    return pa.array(values, kind, from_pandas=False)


def _rows(random: np.random.Generator) -> int:
    return 0 if random.random() < 0.1 else int(random.integers(1, 40))


def integers(bits: int) -> Make:
    kind = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[bits]

    def make(random: np.random.Generator) -> tuple[pa.Array, ...]:
        # Half of the range, so that sums of a hundred bigints need their 65th bit now and then.
        top = 2 ** (bits - 1 if bits < 64 else 55)
        drawn = random.integers(-top, top, _rows(random), dtype=np.int64)
        values = [int(each) if random.random() < 0.6 else int(each) % 3 for each in drawn]
        return (_column([*values], kind, random),)

    return make


def bigints_to_the_end(random: np.random.Generator) -> tuple[pa.Array, ...]:
    drawn = random.choice([-(2**63), 2**63 - 1, 0, 1, -1, 2**32, -(2**32), 2**40], _rows(random))
    return (_column([int(each) for each in drawn], pa.int64(), random),)


def decimals(precision: int, scale: int, *, share: float = 1.0) -> Make:
    def make(random: np.random.Generator) -> tuple[pa.Array, ...]:
        values: list[object] = []
        for _ in range(_rows(random)):
            digits = int(random.integers(1, max(int(precision * share), 1) + 1))
            whole = int("".join(str(each) for each in random.integers(0, 10, digits)))
            sign = -1 if random.random() < 0.5 else 1
            values.append(Decimal(sign * whole).scaleb(-scale, WIDE))
        return (_column(values, pa.decimal128(precision, scale), random),)

    return make


def floats(*, single: bool = False, finite: bool = False) -> Make:
    def make(random: np.random.Generator) -> tuple[pa.Array, ...]:
        values: list[float] = []
        for _ in range(_rows(random)):
            chance = random.random()
            if chance < 0.2 and not finite:
                values.append(ODD[random.integers(0, len(ODD))])
            elif chance < 0.6:
                values.append(float(random.normal() * 10.0 ** random.integers(-30, 30)))
            else:
                values.append(float(random.integers(-5, 5)) / 10)
        if single:
            with np.errstate(over="ignore"):
                values = [float(np.float32(each)) for each in values]
        return (_column([*values], pa.float32() if single else pa.float64(), random),)

    return make


def words(random: np.random.Generator) -> tuple[pa.Array, ...]:
    drawn = [WORDS[place] for place in random.integers(0, len(WORDS), _rows(random))]
    return (_column([*drawn], pa.string(), random),)


def dates(random: np.random.Generator) -> tuple[pa.Array, ...]:
    drawn = random.integers(-700_000, 2_000_000, _rows(random))
    return (_column([int(each) for each in drawn], pa.int32(), random).cast(pa.date32()),)


def pairs(random: np.random.Generator) -> tuple[pa.Array, ...]:
    one = words(random)[0]
    other = [None if random.random() < 0.3 else True for _ in range(len(one))]
    return one, pa.array(other, pa.bool_())


def nothing(random: np.random.Generator) -> tuple[pa.Array, ...]:
    return ()
