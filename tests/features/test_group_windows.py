"""Windows of groups: what a spec means by them, and that each bounds its own rows alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.dp import Bounds
from privpipe.errors import SpecError
from privpipe.features import (
    WINDOWS,
    BoundedSums,
    EntitySpec,
    ExactSpec,
    GroupSums,
    Measure,
    _windowed_sums,
    bounded_sums,
    merge_sums,
    parse_features,
    plan_features,
)
from privpipe.features._bounded import KEY, UNIT
from privpipe.features._windowed_sums import WindowedSums
from tests.features._neighbours import difference, within_sensitivity
from tests.features._specs import SELECTED, TEXT, parse_groups
from tests.features._tables import ALL, UNITS, Row, as_dict, batch_of, folded, some_rows

OVER = "event_time: at\nas_of: 2024-07-01\nwindows: [7d, 30d, 1month]\n"
WINDOWED = TEXT.replace("groups:", OVER + "groups:", 1)
EXACT = """\
version: 1
features: x.exact
source: warehouse/people
unit: person
event_time: at
as_of: 2024-07-01T12:30
windows: [7d]
groups: {edu: select}
aggregates: {n: count, s: {sum: wage}}
privacy: {k_anonymity: 5}
columns: {s: encrypt}
"""


def exact(text: str) -> ExactSpec:
    spec = parse_features(text, name="f.yaml")
    assert isinstance(spec, ExactSpec)
    return spec


def test_each_figure_is_one_of_each_window() -> None:
    spec = parse_groups(WINDOWED)
    assert spec.over is not None
    assert (spec.over.event_time, spec.over.as_of) == ("at", "2024-07-01")
    assert [each.describe() for each in spec.over.windows] == [
        "7 day(s) before", "30 day(s) before", "1 calendar month(s) before"
    ]  # fmt: skip
    names = [each.name for each in spec.aggregates]
    assert names[:4] == ["people_7d", "people_30d", "people_1month", "rows_7d"]
    plain = parse_groups(TEXT)
    assert len(names) == 3 * len(plain.aggregates)
    assert spec.aggregates[0].columns == ("people_7d", "people_7d_low", "people_7d_high")
    assert spec.columns == (*plain.columns, "at")
    renamed = spec.renamed(str.upper)
    assert renamed.over is not None
    assert renamed.over.event_time == "AT"
    one = exact(EXACT)
    assert one.columns == ("person", "edu", "wage", "at")
    assert dict(one.protections) == {"edu": "keep", "n_7d": "keep", "s_7d": '"encrypt"'}


@pytest.mark.parametrize("text", [WINDOWED, EXACT])
def test_the_canonical_text_is_a_spec_of_the_same_hash(text: str) -> None:
    spec = parse_features(text)
    again = parse_features(spec.canonical_text)
    assert again.canonical_text == spec.canonical_text
    assert again.hash == spec.hash
    for key, other in (("event_time: at", "event_time: day"), ("2024-07-01", "2024-07-02"),
                       ("[7d", "[8d")):  # fmt: skip
        assert parse_features(text.replace(key, other)).hash != spec.hash
    spelt = WINDOWED.replace("2024-07-01", '"2024-07-01 00:00:00"')
    assert parse_groups(spelt).hash == parse_groups(WINDOWED).hash


def test_a_protection_goes_with_a_group_that_its_table_spells_otherwise() -> None:
    """What begins as the spec's own name does not begin as the table's, and is protected still."""
    for text in (EXACT, WINDOWED):
        kept = text.replace("edu:", "Edu:").split("columns:")[0] + 'columns: {"Ed*": encrypt}\n'
        spec = parse_features(kept)
        assert not isinstance(spec, EntitySpec)
        assert spec.protections["Edu"] == '"encrypt"'
        assert spec.renamed(str.lower).protections["edu"] == '"encrypt"'
        other = parse_features(kept.replace("Ed*", "n_*").replace("people:", "n_x:"))
        assert not isinstance(other, EntitySpec)
        assert other.renamed(lambda name: f"n_{name}").protections["n_Edu"] == "keep"


def test_what_has_no_windows_hashes_as_it_did() -> None:
    """The salt of its choices, and what a run is repeated by."""
    assert (
        parse_groups(TEXT).hash
        == "66c83b092e92dc0a235a1f1aa7ed81847235814845efbd3022b6b410718055d7"
    )
    assert (
        parse_groups(SELECTED).hash
        == "9de2ffc0c27a10ae2f2c088c4a19b33ef5f4980b836d5d2f96dadef7424ec7a7"
    )


def test_columns_name_figures_of_one_window_or_of_all() -> None:
    said = (
        '{total: encrypt, avg_7d: encrypt, "avg_*": seal, "avg_1*": tokenize, firms_7d_low: seal, '
        'rows: keep, "rows_1*": encrypt, "row*": seal}'
    )
    found = parse_groups(WINDOWED.split("columns:")[0] + f"columns: {said}\n").protections
    assert {found[f"total_{each}"] for each in ("7d", "30d_low", "1month_high")} == {'"encrypt"'}
    assert found["avg_7d"] == found["avg_7d_low"] == '"encrypt"', "its own name goes before"
    assert found["avg_30d"] == found["avg_30d_high"] == '"seal"'
    assert found["avg_1month"] == '"tokenize"', "of beginnings the longest"
    assert (found["firms_7d"], found["firms_7d_low"]) == ("keep", '"seal"')
    assert found["rows_1month"] == found["rows_1month_low"] == '"encrypt"', "longer"
    assert found["rows_7d"] == '"keep"', "and shorter"
    assert found["edu"] == "keep"


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("event_time: at\n", "", ":6 windows", "windows without event_time"),
        ("as_of: 2024-07-01\n", "", ":6 windows", "windows without as_of"),
        ("windows: [7d, 30d, 1month]\n", "", ":6 as_of", "as_of without windows"),
        (OVER, "event_time: at\n", ":5 event_time", "event_time without as_of and windows"),
        ("2024-07-01", "2024-07-32", ":6 as_of", "wanted a date, or a date and a time"),
        ("2024-07-01", "July", ":6 as_of", 'found the text "July"'),
        ("2024-07-01", "2024-07-01T12:00:00Z", ":6 as_of", "without a zone"),
        ("2024-07-01", "2024-07-01T25:00", ":6 as_of", "wanted a date"),
        ("2024-07-01", "20240701", ":6 as_of", "found the number"),
        ("[7d, 30d, 1month]", "[7d, 168h]", ":7 windows", "given twice: it is 7d"),
        ("[7d, 30d, 1month]", "[7y]", ":7 windows", "wanted hours, days or calendar months"),
        ("[7d, 30d, 1month]", "[]", ":7 windows", "wanted a list of windows"),
        ("[7d, 30d, 1month]", f"[{', '.join(f'{n}h' for n in range(1, 62))}]", ":7 windows",
         "61 windows; at most 60"),
        ("event_time: at", "event_time: [at]", ":5 event_time", "wanted a column, as text"),
        ("sex: [f, m]", "rows_7d: [f, m]", ":12 aggregates.rows", '"rows_7d" would be written'),
        ("  firms: {", "  rows_7d: {", ":19 aggregates.rows_7d", "the name of a written column"),
        ("  firms: {", "  Rows_7d: {", ":19 aggregates.Rows_7d", "the name of a written column"),
        ("delta: 1e-8", "delta: 1e-8, floor: 5", ":20 privacy.floor", "one for each window"),
        ("columns: {total:", "columns: {total_9d:", ":21 columns.total_9d", "unknown column"),
        ("columns: {total:", 'columns: {"tot_*":', ":21 columns.tot_*", "unknown column"),
        ("unit: person", "unit: person\nlabels: x", ":5 labels", "with `entity:`"),
    ],
)  # fmt: skip
def test_a_fault_has_its_line(old: str, new: str, where: str, words: str) -> None:
    assert old in WINDOWED
    with pytest.raises(SpecError) as caught:
        parse_groups(WINDOWED.replace(old, new, 1), name="f.yaml")
    assert f"f.yaml{where}" in str(caught.value)
    assert words in str(caught.value)


def test_exact_figures_have_one_window_since_two_could_be_subtracted() -> None:
    with pytest.raises(SpecError, match=r"f.yaml:7 windows: exact figures of several windows can"):
        exact(EXACT.replace("[7d]", "[7d, 30d]"))
    with pytest.raises(SpecError, match=r'columns.* unknown column "r_7d"'):
        exact(EXACT.replace("{s: encrypt}", "{r_7d: encrypt}"))
    with pytest.raises(SpecError, match=r"f.yaml:5 windows: windows without event_time"):
        exact(EXACT.replace("event_time: at\n", "").replace("as_of: 2024-07-01T12:30\n", ""))


def test_without_windows_a_star_is_no_beginning() -> None:
    with pytest.raises(SpecError, match="unknown column"):
        parse_groups(TEXT.replace("columns: {total:", 'columns: {"tot*":'))


@pytest.mark.parametrize("text", [TEXT, SELECTED])
def test_the_budget_pays_for_every_figure_of_every_window(text: str) -> None:
    pytest.importorskip("opendp", reason="the extra `dp` is not installed")
    plain = plan_features(parse_groups(text))
    plan = plan_features(parse_groups(text.replace("groups:", OVER + "groups:", 1)))
    measures = {replace(each.measure, window=None, at=()) for each in plan.vectors}
    assert {each.measure.window for each in plan.vectors} == {0, 1, 2}
    assert len(plan.vectors) == 3 * len(measures)
    assert (plan.selection is None) == (plain.selection is None)
    if plan.selection is not None:
        assert plan.selection.measure == Measure(kind="units"), "of rows in any window"
    assert plan.cost.charge.amount <= plan.spec.release.budget.amount
    errors = {each.name: each.error for each in plan.expected}
    for each in plain.expected:
        if each.name == "people" and plan.selection is not None:
            continue  # without windows it is the count that selects
        found = [errors[f"{each.name}_{window}"] for window in ("7d", "30d", "1month")]
        assert found[0] == found[1] == found[2]
        # Each has a third of the budget, or less noise by composition.
        assert 1.2 * each.error < found[0] < 3.5 * each.error


# Rows of (unit, group, x, y), and the windows that each is in, as bits.
Windowed = tuple[Row, int]
TWO = (0, 1)
BY_WINDOW = (UNITS, *(replace(each, window=at) for each in ALL for at in TWO))
VALUES = (None, float("nan"), float("inf"), float("-inf"), -5.0, 0.25, 3.0, 10.0)
TABLES = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from(VALUES), st.integers(0, 2)),
        st.integers(1, 3),
    ),
    max_size=60,
)
BOUNDS = st.builds(Bounds, groups=st.integers(1, 4), rows=st.integers(1, 4))
TIGHT = Bounds(groups=2, rows=2)


def windowed(
    rows: list[Windowed], bounds: Bounds, *, per_unit: bool = True, pieces: int = 1
) -> GroupSums:
    sums = bounded_sums(BY_WINDOW, bounds, np.arange(6), per_unit=per_unit)
    for at in range(pieces):
        part = rows[at::pieces]
        bits = pa.array([each for _, each in part], pa.int64())
        sums.add(batch_of([row for row, _ in part], 6).append_column(WINDOWS, bits))
    return sums.totals()


def of_window(sums: GroupSums, window: int) -> dict[int, list[int]]:
    """The numbers of one window, as those of `ALL`; of groups that it has no row of, none."""
    chosen: list[int] = []
    at = 0
    for each in BY_WINDOW:
        if each.kind == "distinct":
            continue
        if each.window == window:
            chosen += range(at, at + each.width)
        at += each.width
    assert at == sums.sums.shape[1]
    own = GroupSums(
        groups=sums.groups,
        sums=sums.sums[:, np.array(chosen)],
        pairs=sums.pairs[window : window + 1],
    )
    there = own.sums.any(axis=1)
    kept = GroupSums(groups=own.groups[there], sums=own.sums[there], pairs=own.pairs)
    return as_dict(kept)


def inside(rows: list[Windowed], window: int) -> list[Row]:
    return [row for row, bits in rows if bits >> window & 1]


def some_windowed(seed: int) -> list[Windowed]:
    """Of a few units with many rows each, in one window, in the other, or in both."""
    rng = np.random.default_rng(seed)
    rows = some_rows(seed, 300, units=5, groups=6)
    return [(row, int(bits)) for row, bits in zip(rows, rng.integers(1, 4, 300), strict=True)]


def apart(rows: list[Windowed], bounds: Bounds, *, per_unit: bool = True, pieces: int = 1) -> bool:
    """Whether each window is as if there were no other, and the selection as without windows."""
    found = windowed(rows, bounds, per_unit=per_unit, pieces=pieces)
    units = folded([row for row, _ in rows], bounds, 6, per_unit=per_unit, measures=(UNITS,))
    selected = dict(zip(found.groups.tolist(), found.sums[:, 0].tolist(), strict=True))
    wanted = dict(zip(units.groups.tolist(), units.sums[:, 0].tolist(), strict=True))
    return {group: n for group, n in selected.items() if n} == wanted and all(
        of_window(found, at) == as_dict(folded(inside(rows, at), bounds, 6, per_unit=per_unit))
        for at in TWO
    )


@given(TABLES, BOUNDS, st.booleans(), st.integers(1, 3))
@settings(max_examples=100)
def test_each_window_is_bounded_as_if_there_were_no_other(
    rows: list[Windowed], bounds: Bounds, per_unit: bool, pieces: int
) -> None:
    assert apart(rows, bounds if per_unit else Bounds(groups=1, rows=1), per_unit=per_unit,
                 pieces=pieces)  # fmt: skip


def no_further(rows: list[Windowed], bounds: Bounds) -> bool:
    """Whether no unit that leaves moves a window, or the selection, further than is declared."""
    for unit in range(5):
        rest = [each for each in rows if each[0][0] != unit]
        one, other = windowed(rows, bounds), windowed(rest, bounds)
        for at in TWO:
            change = difference(of_window(one, at), of_window(other, at))
            if not within_sensitivity(change, bounds):
                return False
        both = merge_sums([one, replace(other, sums=-other.sums)]).sums[:, 0]
        if np.abs(both).sum() > bounds.units().l1 or np.count_nonzero(both) > bounds.units().l0:
            return False
    return True


@given(TABLES, BOUNDS)
@settings(max_examples=100)
def test_who_leaves_moves_no_window_further_than_is_declared(
    rows: list[Windowed], bounds: Bounds
) -> None:
    assert no_further(rows, bounds)


class OverAllRows(WindowedSums):
    """The planted bug: rows are kept of a unit whatever windows they are in, and then looked at."""

    def add(self, batch: pa.RecordBatch) -> None:
        units, groups = (batch.column(name).to_numpy() for name in (UNIT, KEY))
        seen: dict[tuple[int, int], int] = {}
        kept = []
        for key in zip(units.tolist(), groups.tolist(), strict=True):
            seen[key] = seen.get(key, 0) + 1
            kept.append(seen[key] <= TIGHT.rows)
        super().add(batch.filter(pa.array(kept)))


class Unbounded(WindowedSums):
    """The planted bug: only the selection is bounded."""

    def __init__(self, measures: Any, bounds: Bounds, names: Any, *, per_unit: bool) -> None:
        super().__init__(measures, bounds, names, per_unit=per_unit)
        wide = WindowedSums(measures, Bounds(groups=6, rows=1000), names, per_unit=per_unit)
        self._apart = {**wide._apart, None: self._apart[None]}


def shifted(measures: Any, told: Any) -> Any:
    """The planted bug: the columns of one window stand where those of the other belong."""
    return side_by_side(measures, {**told, 0: told[1], 1: told[0]})


side_by_side = vars(_windowed_sums)["_side_by_side"]


def planted() -> Iterator[tuple[str, Any]]:
    yield "WindowedSums", OverAllRows
    yield "WindowedSums", Unbounded
    yield "_side_by_side", shifted


def test_what_does_not_keep_windows_apart_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [some_windowed(seed) for seed in range(3)]
    assert all(apart(rows, TIGHT) and no_further(rows, TIGHT) for rows in tables)
    for name, bug in planted():
        with monkeypatch.context() as patch:
            patch.setattr(_windowed_sums, name, bug)
            assert not all(apart(rows, TIGHT) for rows in tables), bug
    monkeypatch.setattr(_windowed_sums, "WindowedSums", Unbounded)
    assert not all(no_further(rows, TIGHT) for rows in tables)


def test_units_apart_add_up_to_units_together() -> None:
    rows = some_windowed(9)
    parts = [windowed([each for each in rows if each[0][0] % 2 == rest], TIGHT) for rest in (0, 1)]
    whole, merged = windowed(rows, TIGHT), merge_sums(parts)
    assert all(of_window(whole, at) == of_window(merged, at) for at in TWO)
    plain = bounded_sums(ALL, TIGHT, np.arange(6), per_unit=True)
    assert isinstance(plain, BoundedSums), "without windows nothing goes another way"
