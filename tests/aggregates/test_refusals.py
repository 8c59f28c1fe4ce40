"""What an aggregate refuses, with its code, and what a missing library says."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from privpipe.aggregates import (
    Aggregate,
    Count,
    Distinct,
    Enough,
    Groups,
    Histogram,
    Hll,
    Kll,
    Max,
    Mean,
    Quantile,
    SharedBins,
    SharedExtreme,
    SharedQuantile,
    SharedTop,
    Sum,
    TopK,
    Variance,
    combined,
    finished,
    grouped,
    mapped,
    native_text,
)
from privpipe.errors import (
    AggregateError,
    EncodingError,
    InternalError,
    PrivpipeError,
    SchemaError,
    UsageError,
    from_text,
)

SECRET = "Zyxwvutsky-41"


ZERO, ONE = Fraction(0), Fraction(1)


@pytest.mark.parametrize(
    "aggregate", [Sum(), Mean(), Variance(), Quantile(), Histogram((0,)), Kll(), Hll(), Max(),
                  Distinct(), TopK(), Enough(2), SharedTop(2, rows=True),
                  SharedBins(2, (ZERO, ONE), rows=True), SharedExtreme(2, rows=True)],
    ids=lambda each: type(each).__name__
)  # fmt: skip
def test_a_type_that_will_not_do(aggregate: Aggregate) -> None:
    for kind in (pa.struct([("a", pa.int32())]), pa.list_(pa.string())):
        with pytest.raises(SchemaError, match=r"cast the column|choose a field"):
            mapped(aggregate, Groups([], 1), (pa.array([], kind),))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Quantile(1.1),
        lambda: Quantile(()),
        lambda: Kll((0.5, math.nan)),
        lambda: Kll(k=3),
        lambda: Hll(40),
        lambda: TopK(0),
        lambda: Histogram(()),
        lambda: Histogram((0, math.inf)),
        lambda: Histogram((1, Decimal(1))),
        lambda: Enough(1),
        lambda: SharedTop(1),
        lambda: SharedTop(2, most=0),
        lambda: SharedExtreme(0),
        lambda: SharedBins(2, (ZERO,)),
        lambda: SharedBins(2, (ONE, ZERO)),
        lambda: SharedQuantile(2, (ZERO, ONE), ()),
        lambda: SharedQuantile(2, (ZERO, ONE), (ONE,)),
    ],
)
def test_settings_that_mean_nothing(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        make()


def test_whose_a_value_is_must_be_told() -> None:
    column = pa.array([1, 2])
    with pytest.raises(UsageError, match="column of units"):
        mapped(SharedTop(2), Groups([0, 0], 1), (column,))
    with pytest.raises(UsageError, match="column of units"):
        mapped(SharedTop(2, rows=True), Groups([0, 0], 1), (column, column))


@pytest.mark.parametrize(
    ("values", "kind", "fails"),
    [
        ([2**63 - 1, 1], pa.int64(), True),
        ([2**63 - 1, 1, -1], pa.int64(), False),
        ([-(2**63), -1], pa.int64(), True),
        ([Decimal(10**38 - 1), Decimal(1)], pa.decimal128(38, 0), True),
        ([Decimal(10**38 - 1), Decimal(1), Decimal(-1)], pa.decimal128(38, 0), False),
    ],
)
def test_a_sum_beyond_its_type(values: list[object], kind: pa.DataType, fails: bool) -> None:
    """Only where the sum itself is, and not what was summed up on the way."""
    partials = [Sum().map(Groups([0], 1), pa.array([each], kind)) for each in values]
    whole = Sum().combine(Groups([0] * len(values), 1), pa.concat_arrays(partials))
    if fails:
        with pytest.raises(EncodingError, match="beyond") as error:
            finished(Sum(), whole)
        assert str(2**63) not in str(error.value)
    else:
        assert finished(Sum(), whole).to_pylist() == [values[0]]


class Raises(Count):
    """Fails, and quotes data."""

    def map(self, groups: Groups, *columns: pa.Array) -> pa.Array:
        raise ValueError(SECRET)

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        raise KeyError(SECRET)

    def finish(self, partials: pa.Array) -> pa.Array:
        raise UsageError("as I say", hint="so")


def test_a_users_error_is_coded_and_quotes_nothing() -> None:
    groups, column = Groups([0], 1), pa.array([SECRET])
    told: list[PrivpipeError] = []
    calls: list[Callable[[], object]] = [
        lambda: mapped(Raises(), groups, (column,)),
        lambda: combined(Raises(), groups, pa.array([1])),
    ]
    for call in calls:
        with pytest.raises(AggregateError, match=r"Raises: \w+ failed with \w+Error") as error:
            call()
        assert error.value.__cause__ is None
        assert error.value.__suppress_context__
        told.append(error.value)
    assert not any(SECRET in str(each) for each in told)
    assert type(from_text(str(pickle.loads(pickle.dumps(told[0]))))) is AggregateError  # noqa: S301
    with pytest.raises(UsageError, match="as I say"):
        finished(Raises(), pa.array([1]))


def test_keys_are_grouped_as_spark_groups_them() -> None:
    nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)[0]
    structs = pa.array([{"a": 0.0}, {"a": -0.0}, None, {"a": None}, {"a": math.nan}, {"a": nan}])
    groups, keys = grouped([structs], 6)
    assert groups.index.tolist() == [0, 0, 1, 2, 3, 3]
    assert repr(keys[0].to_pylist()) == "[{'a': 0.0}, None, {'a': None}, {'a': nan}]"
    lists = pa.array([[0.0, None], None, [-0.0, None], []])
    groups, keys = grouped([lists.slice(1)], 3)
    assert (groups.count, keys[0].to_pylist()) == (3, [None, [0.0, None], []])
    one, other = pa.array([1, 1, None, 1, None]), pa.array(["x", "y", "x", "x", "x"])
    groups, keys = grouped([one, other], 5)
    assert groups.index.tolist() == [0, 1, 2, 0, 2]
    assert [key.to_pylist() for key in keys] == [[1, 1, None], ["x", "y", "x"]]
    assert grouped([one[:0], other[:0]], 0)[0].count == 0
    assert (grouped([], 0)[0].count, grouped([], 3)[0].index.tolist()) == (1, [0, 0, 0])


def test_many_groups_are_ordered_by_more_than_sixteen_bits() -> None:
    index = np.random.default_rng(1).permutation(200_000)
    groups = Groups(np.concatenate([index, index]), 200_000)
    assert groups.order.tolist() == np.argsort(groups.index, kind="stable").tolist()
    with pytest.raises(InternalError):
        groups.reduce(np.add, np.array([1]), 0)


def test_what_spark_has_to_the_last_bit() -> None:
    assert native_text(Sum(), (pa.int32(),)) == "sum({0})"
    assert native_text(Count(), (pa.int32(), pa.string())) == "count({0}, {1})"
    assert native_text(Count(), ()) == "count(1)"
    for kind in (pa.int64(), pa.float64(), pa.decimal128(29, 0)):
        assert native_text(Sum(), (kind,)) is None
        assert native_text(Mean(), (kind,)) is None
    assert native_text(Variance(), (pa.int32(),)) is None


def test_what_has_no_private_release() -> None:
    marked = {
        each.__name__ for each in (Count, Sum, Mean, Variance, Max, Hll, Kll, TopK) if each.dp
    }
    assert marked == {"Count", "Sum", "Mean", "Variance"}


@pytest.mark.parametrize("aggregate", ["Hll()", "Kll()"])
def test_a_missing_library_is_named(aggregate: str) -> None:
    code = (
        "import sys; sys.modules['datasketches'] = None; import pyarrow as pa;"
        "from privpipe.aggregates import Groups, Hll, Kll, Sum, mapped;"
        "column = (pa.array([1, 2]),);"
        "print(Sum().finish(mapped(Sum(), Groups([0, 0], 1), column))[0]);"
        f"mapped({aggregate}, Groups([0, 0], 1), column)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "3"
    assert "[PP-USE-03]" in done.stderr
    assert "hint: pip install 'privpipe[sketches]'" in done.stderr


def test_sketches_keep_their_word() -> None:
    random = np.random.default_rng(3)
    column = pa.array(random.normal(size=100_000))
    halves = (column[:50_000], column[50_000:])
    for aggregate, most in ((Hll(12), 4136), (Kll((0.1, 0.5, 0.9)), 6144)):
        parts = [mapped(aggregate, Groups([0] * 50_000, 1), (half,)) for half in halves]
        whole = combined(aggregate, Groups([0, 0], 1), pa.concat_arrays(parts))
        assert max(len(each.as_py()) for each in (*parts[0], *whole)) <= most
        found = finished(aggregate, whole)[0].as_py()
        if isinstance(aggregate, Hll):
            assert abs(found / 100_000 - 1) < 5 * 0.0163
        else:
            for rank, value in zip((0.1, 0.5, 0.9), found, strict=True):
                true = float(np.mean(np.asarray(column) <= value))
                assert abs(true - rank) < 2 * 0.0133
