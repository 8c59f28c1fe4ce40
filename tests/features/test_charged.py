"""What draws noise is what the ledger is charged for: call by call, and mechanism by mechanism."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from privpipe.dp import Bisection, Mechanism, _noise, release_cost
from privpipe.features import (
    Drawn,
    FeaturePlan,
    _draw,
    figure_columns,
    pass_measures,
    plan_features,
)
from tests.features._alike import sums_of
from tests.features._specs import SELECTED, TEXT, parse_groups

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SEARCHING = """\
version: 1
features: census.wages
source: warehouse/people
unit: person
groups: {edu: PLACES}
bounds: {groups: 2, rows: 4}
aggregates:
  people: units
  rows: count
  med: {quantile: wage, low: 0, high: 100, bins: 90, at: [0.25, 0.5]}
  firms: {distinct: firm}
privacy: {budget: census, epsilon: 1, delta: 1e-8}
"""
WINDOWED = "event_time: at\nas_of: 2024-07-01\nwindows: [7d, 30d]\ngroups:"
PLANS = {
    "every figure": TEXT,
    "selected": SELECTED,
    "searched": SEARCHING.replace("PLACES", "[a, b]"),
    "selected and searched": SEARCHING.replace("PLACES", "select"),
    "over windows": TEXT.replace("groups:", WINDOWED, 1),
    "selected over windows": SEARCHING.replace("PLACES", "select").replace("groups:", WINDOWED, 1),
}


def invoked(plan: FeaturePlan, monkeypatch: pytest.MonkeyPatch) -> tuple[Mechanism, ...]:
    """What draws noise in one release, call by call, wherever it is called from."""
    used = []
    make: Any = vars(_noise)["_measurement"]

    def counted(mechanism: Mechanism) -> object:
        used.append(mechanism)
        return make(mechanism)

    with monkeypatch.context() as patch:
        patch.setattr(_noise, "_measurement", counted)
        drawn: Drawn = _draw.draw(plan, sums_of(plan, [5000, 5000]), 2)
    assert set(drawn.noisy) == set(pass_measures(plan))
    assert drawn.groups.tolist() == [0, 1]
    people = plan.spec.aggregates[0].name
    assert isinstance(figure_columns(plan, drawn.noisy)[people], pa.Array)
    return tuple(used)


def charged(plan: FeaturePlan) -> tuple[Mechanism, ...]:
    """What may be called: each mechanism once, and that of a search for as many answers in each
    group as its sensitivity is of."""
    release = plan.spec.release.budget
    assert plan.cost == release_cost(plan.mechanisms, release.unit, delta=release.delta)
    calls = [] if plan.selection is None else [plan.selection.mechanism]
    for each in plan.vectors:
        answers = each.mechanism.sensitivity.l0 // plan.spec.bounds.groups
        calls += [each.mechanism] * (answers if each.measure.kind == "search" else 1)
    return tuple(calls)


@pytest.mark.parametrize("text", PLANS.values(), ids=PLANS)
def test_what_is_drawn_is_what_is_charged(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once each, by its own mechanism: of a selection and of every answer of a search too."""
    plan = plan_features(parse_groups(text))
    assert (plan.selection is not None) == ("select" in text)
    searches = [each for each in plan.vectors if each.measure.kind == "search"]
    windows = 2 if "windows" in text else 1
    assert len(searches) == ("bins: 90" in text) * windows
    assert all(
        len([each for each in plan.vectors if each.measure.window == at]) == len(plan.vectors) // 2
        for at in range(2 if windows == 2 else 0)
    )
    assert invoked(plan, monkeypatch) == charged(plan)
    draw_on, select, draw_search = _draw.draw_on, vars(_draw)["select"], Bisection.draw

    def twice(plan: FeaturePlan, exact: Any) -> Drawn:
        draw_on(plan, exact)
        return draw_on(plan, exact)

    def weaker(plan: FeaturePlan, exact: Any) -> Drawn:
        vectors = tuple(replace(each, mechanism=plan.mechanisms[0]) for each in plan.vectors)
        return draw_on(replace(plan, vectors=vectors), exact)

    def selected_twice(counts: Any, mechanism: Mechanism) -> Any:
        select(counts, mechanism)
        return select(counts, mechanism)

    def searched_twice(search: Bisection, exact: Any, mechanism: Mechanism) -> Any:
        draw_search(search, exact, mechanism)
        return draw_search(search, exact, mechanism)

    planted: list[tuple[object, str, object]] = [
        (_draw, "draw_on", twice),
        (_draw, "draw_on", weaker),
    ]
    if plan.selection is not None:
        planted.append((_draw, "select", selected_twice))
    if searches:
        planted.append((Bisection, "draw", searched_twice))
        longer = property(lambda search: (search.bins - 1).bit_length() + 1)
        planted.append((Bisection, "steps", longer))
    for where, name, bug in planted:
        with monkeypatch.context() as patch:
            patch.setattr(where, name, bug)
            assert invoked(plan, patch) != charged(plan), name


@pytest.mark.parametrize("text", PLANS.values(), ids=PLANS)
def test_a_mechanism_that_is_left_out_of_the_charge_is_found(text: str) -> None:
    plan = plan_features(parse_groups(text))
    release = plan.spec.release.budget
    for left_out in range(len(plan.mechanisms)):
        fewer = [each for at, each in enumerate(plan.mechanisms) if at != left_out]
        less = release_cost(fewer, release.unit, delta=release.delta)
        with pytest.raises(AssertionError):
            charged(replace(plan, cost=less))
