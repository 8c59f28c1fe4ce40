"""The laws of every aggregate (tests/aggregates/laws.py lists them), and planted lawless ones."""

from __future__ import annotations

import doctest
import importlib
import pickle
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import privpipe.aggregates
from privpipe.aggregates import Aggregate, Count, Groups, Sum
from privpipe.testing import _monoid, check_monoid
from tests.aggregates.batches import floats, integers
from tests.aggregates.laws import LAWS, Law

IDS = [law.name for law in LAWS]


@pytest.mark.parametrize("law", LAWS, ids=IDS)
def test_an_aggregate_is_a_monoid(law: Law) -> None:
    check_monoid(law.aggregate, law.make, same=law.same, rounds=30)


@pytest.mark.parametrize("law", LAWS, ids=IDS)
def test_an_aggregate_agrees_with_its_twin(law: Law) -> None:
    random = np.random.default_rng(7)
    for _ in range(30):
        columns = law.make(random)
        rows = len(columns[0]) if columns else 9
        groups = Groups(random.integers(0, 3, rows), 4)
        found = law.aggregate.finish(law.aggregate.map(groups, *columns))
        assert found.type == law.returns
        if len(columns) == 1:
            told: list[Any] = columns[0].to_pylist()
        else:
            told = list(zip(*(each.to_pylist() for each in columns), strict=True)) or [()] * rows
        inside = [
            [told[row] for row in np.flatnonzero(groups.index == group) if told[row] is not None]
            for group in range(4)
        ]
        expected = pa.array([law.twin(each) for each in inside], law.returns, from_pandas=False)
        assert repr(found.to_pylist()) == repr(expected.to_pylist())


@pytest.mark.parametrize("law", LAWS, ids=IDS)
def test_slices_are_read_where_they_begin(law: Law) -> None:
    random = np.random.default_rng(8)
    columns = law.make(random)
    while columns and len(columns[0]) < 9:
        columns = law.make(random)
    rows = len(columns[0]) if columns else 9
    groups = Groups(np.arange(rows - 3) % 2, 2)
    sliced = [column.slice(2, rows - 3) for column in columns]
    copied = [pa.array(each.to_pylist(), each.type, from_pandas=False) for each in sliced]
    partials = [law.aggregate.map(groups, *each) for each in (sliced, copied)]
    both = law.aggregate.map(Groups(groups.index, 3), *sliced).slice(1, 2)
    one = law.aggregate.map(Groups(groups.index, 3), *copied)
    again = pa.array(one.to_pylist()[1:], one.type, from_pandas=False)
    for left, right in (partials, (both, again)):
        total = [law.aggregate.combine(Groups([0, 0], 1), each) for each in (left, right)]
        figures = [repr(law.aggregate.finish(each).to_pylist()) for each in (*total, left, right)]
        assert figures[0] == figures[1]
        assert figures[2] == figures[3]


@pytest.mark.parametrize("law", LAWS, ids=IDS)
def test_an_aggregate_travels(law: Law) -> None:
    copy = pickle.loads(pickle.dumps(law.aggregate))  # noqa: S301 (our own)
    assert copy == law.aggregate
    assert isinstance(copy, Aggregate)


class Lawless(Sum):
    """A sum of integers in which something is wrong, as `fault` says."""

    fault = ""

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        column = values.fill_null(0).to_numpy().astype(np.int64)
        if self.fault == "order" and len(column):
            column = column * (np.arange(len(column)) % 7)
        if self.fault == "argument":
            np.asarray(values.buffers()[1]).view(np.int8)[:] ^= 1
        return pa.array(groups.reduce(np.add, column, 1 if self.fault == "identity" else 0))

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        column = partials.to_numpy()
        if self.fault == "groups":
            groups.index[1:] = 0
        if self.fault == "partials":
            column = column.copy()
            np.asarray(partials.buffers()[1]).view(np.int8)[:] = 0
        if self.fault == "associativity":  # as a mean of means
            sums = groups.reduce(np.add, column, 0)
            return pa.array(sums // np.maximum(groups.sizes, 1))
        if self.fault == "commutativity":
            return pa.array([_first(column, groups, group) for group in range(groups.count)])
        if self.fault == "none":
            return pa.array(groups.reduce(np.add, column, 5))
        return pa.array(groups.reduce(np.add, column, 0))

    def finish(self, partials: pa.Array) -> pa.Array:
        figures = pa.array(partials.to_numpy().copy())
        if self.fault == "finished":
            np.asarray(partials.buffers()[1]).view(np.int8)[:] = 0
        return figures


def _first(column: np.ndarray, groups: Groups, group: int) -> int:
    inside = column[groups.index == group]
    return int(inside[0]) if len(inside) else 0


FAULTS = {
    "associativity": "associativity|combined with none|identity",
    "commutativity": "associativity|commutativity|identity|map of all rows",
    "identity": "identity",
    "none": "identity",
    "order": "map of",
    "argument": "map changed what it was given",
    "partials": "combine changed",
    "groups": "combine changed",
    "finished": "finish changed",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lawless_aggregate_is_found(fault: str) -> None:
    planted = type("Planted", (Lawless,), {"fault": fault})()
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_monoid(planted, integers(8))


def test_the_same_aggregate_without_a_fault_is_lawful() -> None:
    check_monoid(Lawless(), integers(8))


class FloatSum(Lawless):
    """Adds doubles as they come: what `Sum` is not."""

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        return pa.array(groups.reduce(np.add, values.fill_null(0).to_numpy(), 0.0))


def test_a_sum_of_doubles_as_they_come_is_found_and_may_be_told_as_good_enough() -> None:
    with pytest.raises(AssertionError, match="does not hold"):
        check_monoid(FloatSum(), floats(finite=True))

    def near(one: pa.Array, other: pa.Array) -> bool:
        return np.allclose(one.to_numpy(), other.to_numpy(), rtol=1e-9, atol=1e25)

    check_monoid(FloatSum(), floats(finite=True), same=near)


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        ("map", "map gave 2 values, where an Arrow array of 4 was due"),
        ("combine", "combine makes int32 of int64"),
        ("finish", "finish gave list, where"),
    ],
)
def test_a_broken_contract_is_told(
    function: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: dict[str, Callable[..., object]] = {
        "map": lambda *_: pa.array([1, 2]),
        "combine": lambda _, groups, __: pa.array([1] * groups.count, pa.int32()),
        "finish": lambda _, partials: partials.to_pylist(),
    }
    planted = type("Planted", (Lawless,), {function: wrong[function]})()
    with pytest.raises(privpipe.errors.AggregateError, match=complaint):
        check_monoid(planted, integers(8))


@pytest.mark.parametrize(
    "name",
    [
        _monoid.__name__,
        *(
            f.name
            for f in pkgutil.iter_modules(privpipe.aggregates.__path__, "privpipe.aggregates.")
        ),
    ],
)
def test_the_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_count_takes_rows_without_columns() -> None:
    assert Count().map(Groups([1, 1], 3)).to_pylist() == [0, 2, 0]
