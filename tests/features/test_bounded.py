"""The one pass: what of a unit is kept, and that no one else's presence changes it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from privpipe.dp import Bounds
from privpipe.features import _bounded, _runs
from privpipe.features._sums import merge_sums
from tests.features._neighbours import moved, within_sensitivity
from tests.features._tables import Row, as_dict, by_hand, folded, hashed, some_rows

WIDE = Bounds(groups=100, rows=1000)
TIGHT = Bounds(groups=2, rows=3)


def grouped(rows: list[Row]) -> dict[int, dict[int, list[Row]]]:
    found: dict[int, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row[0]][row[1]].append(row)
    return found


@pytest.mark.parametrize("per_unit", [True, False])
@pytest.mark.parametrize("pieces", [1, 7])
def test_without_bounds_that_bite_the_sums_are_the_plain_ones(
    monkeypatch: pytest.MonkeyPatch, pieces: int, per_unit: bool
) -> None:
    monkeypatch.setattr(_bounded, "_FOLDED", 50)
    rows = some_rows(1, 400, units=20, groups=6)
    wanted = by_hand(grouped(rows), 1000)
    found = as_dict(folded(rows, WIDE, 6, pieces=pieces, per_unit=per_unit))
    if not per_unit:  # each row is a unit
        wanted = {group: [line[0], line[0], *line[2:]] for group, line in wanted.items()}
    assert found == wanted


def test_nothing_in_gives_nothing_out() -> None:
    assert as_dict(folded([], TIGHT, 6)) == {}
    assert as_dict(folded([(1, 0, None, 3)], TIGHT, 6)) == {0: [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]}


def test_order_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = some_rows(2, 600, units=15, groups=8)
    whole = as_dict(folded(rows, TIGHT, 8))
    monkeypatch.setattr(_bounded, "_FOLDED", 40)
    rng = np.random.default_rng(3)
    for pieces in (1, 3, 10):
        mixed = [rows[at] for at in rng.permutation(len(rows))]
        assert as_dict(folded(mixed, TIGHT, 8, pieces=pieces)) == whole


def test_units_apart_add_up_to_units_together() -> None:
    rows = some_rows(4, 600, units=15, groups=8)
    parts = [folded([row for row in rows if row[0] % 3 == rest], TIGHT, 8) for rest in range(3)]
    whole = as_dict(folded(rows, TIGHT, 8))
    assert as_dict(merge_sums(parts)) == as_dict(merge_sums(parts[::-1])) == whole
    assert as_dict(merge_sums([parts[0], merge_sums(parts[1:])])) == whole


@pytest.mark.parametrize("bounds", [Bounds(groups=1, rows=1), TIGHT, Bounds(groups=5, rows=2)])
def test_a_unit_moves_the_sums_by_no_more_than_is_declared(bounds: Bounds) -> None:
    rows = some_rows(5, 900, units=12, groups=8)
    # one that has very much everywhere, and one that has the largest values
    rows += [(99, at % 8, 1e308, at % 5) for at in range(400)]
    whole = folded(rows, bounds, 8)
    far = 0
    for unit in {row[0] for row in rows}:
        change = moved(whole, folded([row for row in rows if row[0] != unit], bounds, 8))
        assert within_sensitivity(change, bounds)
        far = max(far, int(np.abs(change[:, 3]).max()))
    assert far == bounds.rows * 20, "the bound is met, and so is none too wide"


def test_a_sum_that_is_not_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bounded, "_share", lambda sums, rows, most: sums)
    rows = [(99, 0, 10.0, at) for at in range(40)]
    assert not within_sensitivity(moved(folded(rows, TIGHT, 8), folded([], TIGHT, 8)), TIGHT)


def kept_of_others(rows: list[Row], unit: int) -> list[dict[int, list[int]]]:
    """The sums of each other unit alone, cut out of the whole, must add up to the rest."""
    rest = [row for row in rows if row[0] != unit]
    alone = [folded([row for row in rest if row[0] == each], TIGHT, 8) for each in range(12)]
    return [as_dict(merge_sums(alone)), as_dict(folded(rest, TIGHT, 8))]


def test_who_leaves_changes_nothing_of_the_others() -> None:
    rows = some_rows(6, 700, units=12, groups=8)
    for unit in range(12):
        apart, together = kept_of_others(rows, unit)
        assert apart == together


def test_a_choice_that_looks_at_others_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `rand(42)` does: what a unit's groups are ranked by depends on who stands before it."""
    monkeypatch.setattr(
        _bounded,
        "mixed",
        lambda unit, _: (
            np.random.default_rng(len(unit)).integers(1 << 62, size=len(unit)).astype(np.uint64)
        ),
    )
    rows = some_rows(6, 700, units=12, groups=8)
    assert any(apart != together for apart, together in (kept_of_others(rows, u) for u in range(3)))


@pytest.mark.parametrize("alike", ["units", "ranks", "both"])
def test_units_and_groups_that_look_alike_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, alike: str
) -> None:
    """One integer holds a part of a unit's hash and a part of its group's rank; here two bits of
    the one, or none of the other."""
    rows = some_rows(8, 900, units=40, groups=12)
    chosen = by_hand(first_groups(rows, TIGHT.groups), TIGHT.rows)
    wide, tight = as_dict(folded(rows, WIDE, 12)), as_dict(folded(rows, TIGHT, 12))
    assert {group: line[1] for group, line in tight.items()} == {
        group: line[1] for group, line in chosen.items()
    }
    if alike != "ranks":
        monkeypatch.setattr(_runs, "_OF_UNIT", np.uint64(3 << 62))
    if alike != "units":
        mixed = _runs.mixed
        low = np.uint64((1 << 40) - 1)
        monkeypatch.setattr(_bounded, "mixed", lambda *parts: mixed(*parts) & low)
        tight = as_dict(folded(rows, TIGHT, 12))
        assert sum(line[1] for line in tight.values()) == sum(line[1] for line in chosen.values())
    assert as_dict(folded(rows, WIDE, 12)) == wide
    for pieces in (1, 5):
        assert as_dict(folded(rows[::-1], TIGHT, 12, pieces=pieces)) == tight


def first_groups(rows: list[Row], most: int) -> dict[int, dict[int, list[Row]]]:
    """Of each unit the groups that come first by the hash of both."""
    found = grouped(rows)
    for unit, groups in found.items():
        first = np.array([hashed("one", unit)] * len(groups))
        names = np.array(list(groups))
        ranked = sorted(zip(_runs.mixed(first, names).tolist(), groups, strict=True))
        found[unit] = {group: groups[group] for _, group in ranked[:most]}
    return found


def test_what_is_kept_of_a_unit_is_the_same_among_more_groups() -> None:
    """Of a unit's second hash more bits are the group's, the more groups others bring."""
    rows = some_rows(9, 700, units=12, groups=8)
    among = {len(names): folded(rows, TIGHT, names) for names in map(np.arange, (8, 9, 5000))}
    assert as_dict(among[8]) == as_dict(among[9]) == as_dict(among[5000])
