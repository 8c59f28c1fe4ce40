"""Record and replay: random tables with and without one unit, and what tells them apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from privpipe.dp import Bounds
from privpipe.features import (
    FeaturePlan,
    GroupSums,
    _bounded,
    _draw,
    draw,
    figure_columns,
    pass_measures,
    plan_features,
)
from tests.features._neighbours import by_value, difference, moved, within_sensitivity
from tests.features._specs import TEXT, parse_groups
from tests.features._tables import Row, as_dict, folded, some_rows

VALUES = (None, float("nan"), -0.0, float("inf"), float("-inf"), 1e308, -5.0, 0.25, 3.0, 10.0)
ROW = st.tuples(
    st.integers(0, 3), st.integers(0, 5), st.sampled_from(VALUES), st.integers(0, 2)
)  # so few that many rows are there twice
TABLES = st.lists(ROW, max_size=60)
BOUNDS = st.builds(Bounds, groups=st.integers(1, 4), rows=st.integers(1, 4))
TIGHT = Bounds(groups=2, rows=2)


def holds(rows: list[Row], unit: int, bounds: Bounds, **planted: Any) -> bool:
    rest = [row for row in rows if row[0] != unit]
    return within_sensitivity(
        difference(by_value(rows, bounds, **planted), by_value(rest, bounds, **planted)), bounds
    )


@given(TABLES, BOUNDS)
@example([(unit, group, 10.0, 0) for unit in range(4) for group in range(unit, 6)], TIGHT)
@settings(max_examples=150)
def test_neighbours_are_no_further_apart_than_declared(rows: list[Row], bounds: Bounds) -> None:
    """Whoever leaves, and though groups that only he was in go with him."""
    for unit in range(4):
        assert holds(rows, unit, bounds)


@given(TABLES.filter(bool))
@settings(max_examples=60)
def test_where_a_row_is_a_unit_one_row_moves_no_more(rows: list[Row]) -> None:
    one = Bounds(groups=1, rows=1)
    change = difference(
        by_value(rows, one, per_unit=False), by_value(rows[1:], one, per_unit=False)
    )
    assert within_sensitivity(change, one)


def all_hold(**planted: Any) -> bool:
    tables = (some_rows(seed, 200, units=6, groups=8) for seed in range(6))
    lone: list[Row] = [(0, -1, 1.0, 1)]  # of whom a group before all others is
    return all(holds(rows * 2 + lone, unit, TIGHT, **planted) for rows in tables for unit in (0, 1))


def test_groups_that_are_chosen_by_their_places_are_found() -> None:
    assert all_hold()
    assert not all_hold(by_place=True)


def tied(rows: Any, names: Any, most: int) -> Any:
    """Of rows of one hash all or none: a rank, where a place was wanted."""
    key, hashes = rows.key, rows.values[0]
    order = np.lexsort((hashes, key.group, key.second, key.first))
    sorted_rows = rows.only(order)
    pairs = sorted_rows.key.pairs
    other = pairs | np.append(True, np.diff(hashes[order]) != 0)
    ranks = np.cumsum(other)
    kept = ranks - ranks[pairs][np.cumsum(pairs) - 1] < most
    return LEAST(sorted_rows.only(kept), names, len(order))


LEAST = _bounded._least


PLANTED: dict[str, tuple[str, Callable[..., Any]]] = {
    "all groups of a unit": ("_chosen", lambda key, *_: np.ones(len(key.group), dtype=bool)),
    "all rows of a unit": ("_least", lambda rows, names, _: LEAST(rows, names, 1000)),
    "all that are as good as the last": ("_least", tied),
    "sums that are not cut": ("_share", lambda sums, *_: sums),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_bound_that_does_not_hold_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bounded, *PLANTED[name])
    assert not all_hold()


def test_rows_that_are_there_twice_count_twice_and_no_further() -> None:
    rows = some_rows(11, 300, units=10, groups=8)
    thrice = [row for row in rows for _ in range(3)]
    rng = np.random.default_rng(1)
    whole = folded(thrice, TIGHT, 8)
    for pieces in (1, 4):
        mixed = [thrice[at] for at in rng.permutation(len(thrice))]
        assert as_dict(folded(mixed, TIGHT, 8, pieces=pieces)) == as_dict(whole)
    for unit in range(10):
        rest = [row for row in thrice if row[0] != unit]
        assert within_sensitivity(moved(whole, folded(rest, TIGHT, 8)), TIGHT)
    wide = Bounds(groups=8, rows=1000)
    once, more = as_dict(folded(rows, wide, 8)), as_dict(folded(thrice, wide, 8))
    for group, line in once.items():
        assert more[group][1] == line[1], "a unit is one, however many rows it has"
        assert more[group][-1] == line[-1], "and so is a value"
        assert more[group][0] == 3 * line[0]
        assert more[group][2:-1] == [3 * number for number in line[2:-1]]


@pytest.fixture(scope="module")
def plan() -> FeaturePlan:
    pytest.importorskip("opendp", reason="the extra `dp` is not installed")
    return plan_features(parse_groups(TEXT))


def sums_of(plan: FeaturePlan, groups: list[int], number: int) -> GroupSums:
    """These groups, all of whose numbers are the same."""
    distinct = sum(each.kind == "distinct" for each in pass_measures(plan))
    width = sum(each.width for each in pass_measures(plan)) - distinct
    there = np.array(groups, dtype=np.int64)
    return GroupSums(
        groups=there,
        sums=np.full((len(there), width), number, dtype=np.int64),
        pairs=((np.repeat(there, 5), np.tile(np.arange(5), len(there))),) * distinct,
    )


def looks(plan: FeaturePlan, sums: GroupSums) -> tuple[Any, ...]:
    """All of a release but its numbers: groups, names, types, nulls and lengths of lists."""
    drawn = draw(plan, sums, 9)
    told = pa.table(figure_columns(plan, drawn.noisy))
    lists = [each for each in told.columns if pa.types.is_list(each.type)]
    lengths = [each.combine_chunks().value_lengths().to_pylist() for each in lists]
    return (
        drawn.groups.tolist(), told.schema, [each.null_count for each in told.columns], lengths
    )  # fmt: skip


def test_what_a_release_looks_like_depends_on_no_data(
    plan: FeaturePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [sums_of(plan, *each) for each in (([], 0), ([4], 1), (list(range(9)), 1 << 40))]
    assert all(looks(plan, each) == looks(plan, tables[0]) for each in tables)
    right = vars(_draw)["draw_on"]

    def of_those_that_are_there(plan: FeaturePlan, exact: Any) -> Any:
        there = exact[next(iter(exact))].any(axis=1)
        return right(plan, {each: part[there] for each, part in exact.items()})

    monkeypatch.setattr(_draw, "draw_on", of_those_that_are_there)
    assert looks(plan, tables[0]) != looks(plan, tables[1])


def as_noisy(plan: FeaturePlan, many: int) -> bool:
    """Whether groups that nobody is in have the noise of all others: of its declared deviation to
    3 %, with intervals that hold to a hundredth: of 60,000 groups, under Laplace noise, both are
    six deviations and more."""
    drawn = draw(plan, sums_of(plan, [0, 7], 1 << 40), many)
    told = figure_columns(plan, drawn.noisy)
    empty = np.ones(many, dtype=np.bool_)
    empty[[0, 7]] = False
    low, high = (
        np.array([float(each) for each in told[f"total_{end}"].to_pylist()])
        for end in ("low", "high")
    )
    covered = float(((low <= 0) & (high >= 0))[empty].mean())
    near = [abs(covered - 0.95) < 0.01]
    for measure in pass_measures(plan):
        noise = drawn.noisy[measure][empty]
        near.append(abs(float(noise.std()) / plan.mechanism_of(measure).deviation - 1) < 0.03)
    return len(drawn.groups) == many and all(near)


ABSENT = """\
version: 1
features: census.wages
source: warehouse/people
unit: person
groups: {edu: [a]}
aggregates: {rows: count, total: {sum: wage, low: -100, high: 100}}
bounds: {groups: 1, rows: 4}
privacy: {budget: census, epsilon: 0.1, delta: 1e-8}
"""


def test_public_groups_that_nobody_is_in_are_noisy_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_features(parse_groups(ABSENT))
    assert {each.noise for each in plan.mechanisms} == {"laplace"}, (
        "whose deviation tells itself last"
    )
    assert as_noisy(plan, 60_000)
    add: Any = vars(_draw)["add_noise"]
    monkeypatch.setattr(
        _draw, "add_noise", lambda values, by: np.where(values == 0, 0, add(values, by))
    )
    assert not as_noisy(plan, 1000)
