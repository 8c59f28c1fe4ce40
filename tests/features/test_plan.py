"""The plan: noise that the budget pays for, and errors as they are told."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from privpipe.dp import Budget, release_cost
from privpipe.errors import BudgetError, FixedOverflow
from privpipe.features import (
    FeaturePlan,
    GroupSums,
    Vector,
    draw,
    figure_columns,
    figure_type,
    pass_measures,
    plan_features,
)
from tests.features._alike import sums_of
from tests.features._specs import EASY, SELECTED, TEXT, parse_groups

pytest.importorskip("opendp", reason="the extra `dp` is not installed")


@pytest.fixture(scope="module")
def plan() -> FeaturePlan:
    return plan_features(parse_groups(TEXT))


def test_what_two_figures_are_made_of_is_paid_for_once(plan: FeaturePlan) -> None:
    kinds = [measure.kind for measure in pass_measures(plan)]
    wanted = "units rows total values centred centred squares bins bins distinct"
    assert sorted(kinds) == sorted(wanted.split())
    assert plan.cost.charge.amount <= 1
    assert plan.cost.charge.amount > Fraction(999, 1000), "the budget is used"
    assert plan.cost == release_cost(plan.mechanisms, "epsilon", delta="1e-8")
    assert plan.cost.naive.amount > 2


def test_each_budget_pays_for_its_own_noise() -> None:
    pure = plan_features(parse_groups(TEXT.replace(", delta: 1e-8", "")))
    assert pure.cost.charge == Budget.of_epsilon(1) or pure.cost.charge.amount <= 1
    assert {mechanism.noise for mechanism in pure.mechanisms} == {"laplace"}
    zcdp = plan_features(parse_groups(TEXT.replace("epsilon: 1, delta: 1e-8", "rho: 0.1")))
    assert zcdp.cost.charge.unit == "rho"
    assert zcdp.cost.charge.amount <= Fraction(1, 10)
    assert {mechanism.noise for mechanism in zcdp.mechanisms} == {"gaussian"}


def test_the_noise_is_whichever_errs_less() -> None:
    """Laplace for a unit of one group, Gaussian for one of many; and what is asked for is done."""
    one = "bounds: {groups: 1, rows: 1}\naggregates: {people: units}\n"
    text = TEXT[: TEXT.index("bounds")] + one + TEXT[TEXT.index("privacy") : TEXT.index("columns")]
    text = text.replace("edu: [a, b, c]", f"edu: {list(range(50))}")
    for groups, noise in ((1, "laplace"), (60, "gaussian")):
        written = text.replace("groups: 1, rows", f"groups: {groups}, rows")
        plans = {
            asked: plan_features(parse_groups(written.replace("1e-8}", f"1e-8{asked}}}")))
            for asked in ("", ", noise: laplace", ", noise: gaussian")
        }
        errors = {asked: plan.expected[0].error for asked, plan in plans.items()}
        assert errors[""] == min(errors.values()) < max(errors.values()), groups
        assert plans[""].mechanisms[0].noise == noise
        assert plans[", noise: gaussian"].mechanisms[0].noise == "gaussian"


def test_quantiles_are_searched_where_that_errs_less() -> None:
    fine = "  med: {quantile: wage, low: 0, high: 100, bins: 90, at: [0.25, 0.5, 0.75]}\n"
    head, tail = TEXT[: TEXT.index("  people")], TEXT[TEXT.index("privacy") : TEXT.index("columns")]
    shared = "  hist: {histogram: wage, low: 0, high: 100, bins: 90}\n"
    tail = tail.replace("1e-8}", "1e-8, noise: gaussian}")
    for other in (head + fine + shared + tail, TEXT, head + fine + tail.replace("gauss", "lapl")):
        read = plan_features(parse_groups(other.replace("laplian", "laplace")))
        assert not any(each.searched for each in read.spec.aggregates)
    spec = parse_groups(head + fine + tail)
    plan = plan_features(spec)
    assert [each.searched for each in plan.spec.aggregates] == [True]
    assert plan.spec.hash == spec.hash
    many = 1000
    counts = np.tile(np.arange(90, dtype=np.int64) * 10, (many, 1))
    sums = GroupSums(groups=np.arange(many), sums=counts, pairs=())
    drawn = draw(plan, sums, many)
    told = figure_columns(plan, drawn.noisy)
    assert told["med"].type == figure_type(spec.aggregates[0])
    found = np.array(told["med"].to_pylist())
    for at, quantile in enumerate((0.25, 0.5, 0.75)):
        running = np.concatenate([[0], np.cumsum(counts[0])])
        rank = np.interp(found[:, at] * 0.9, np.arange(91), running) - quantile * running[-1]
        rms = float(np.sqrt((rank**2).mean()))
        assert rms < 1.3 * (plan.expected[0].error + 900)
        assert rms > 10
        low, high = (np.array(told[f"med_{end}"].to_pylist())[:, at] for end in ("low", "high"))
        true = np.interp(quantile * running[-1], running, np.arange(91)) / 0.9
        assert float(((low <= true) & (true <= high)).mean()) > 0.93


def test_what_has_no_room_is_told_with_its_line_and_what_would_do() -> None:
    wide = TEXT.replace("rows: 4", "rows: 1000000").replace(
        "total: {sum: wage, low: 0, high: 100, step: 0.5",
        "total: {sum: wage, low: 0, high: 9e15, step: 1",
    )
    var, far = "{variance: wage, low: 0, high: 100}", "{variance: wage, low: 0, high: 1e9, step: 1}"
    many = TEXT.replace("rows: 4", "rows: 1000000").replace(var, far)
    few = wide.replace("9e15", "1e12").replace("rows: 1000000", "rows: 10000000")
    for text, line, high in (
        (wide, ":10 aggregates.total", "9e15"),
        (many, ":12 aggregates.var", "1e9"),
        (few, ":10 aggregates.total", "1e12"),
    ):
        with pytest.raises(FixedOverflow, match="a unit could add more") as caught:
            plan_features(parse_groups(text, name="f.yaml"))
        assert caught.value.where == f"f.yaml{line}"
        told = str(caught.value.hint)
        step, times = re.findall(r"step of (\d+)|(\d[\d,]*) times", told)
        before, after = text.split(f"high: {high}, step: 1")
        least = int(float(high)) // int(times[1].replace(",", ""))
        mended = [f"high: {high}, step: {step[0]}", f"high: {least}, step: 1"]
        for each in mended:
            assert plan_features(parse_groups(before + each + after)).vectors, told
        rows = re.search(r"rows of at most ([\d,]+)", told)
        assert (rows is not None) == (text is few), "one row alone is too much of the others"
        if rows:
            least_rows = rows[1].replace(",", "")
            fewer = text.replace("rows: 10000000", f"rows: {least_rows}")
            assert plan_features(parse_groups(fewer)).vectors, told


def test_a_selection_is_charged_and_is_the_count_of_units() -> None:
    plan = plan_features(parse_groups(SELECTED))
    assert plan.selection is not None
    assert [measure.kind for measure in pass_measures(plan)].count("units") == 1
    assert 0 < plan.cost.charge.delta <= Fraction(1, 10**8)
    many = draw(plan, sums_of(plan, [100_000, 1, 0]), 3)
    assert many.groups.tolist() == [0], "nobody alone is shown, and nothing that is not there"
    told = figure_columns(plan, many.noisy)
    assert abs(told["people"][0].as_py() - 100_000) < 2000


def test_the_chance_that_two_units_are_one_is_taken_from_delta() -> None:
    spec = parse_groups(TEXT)
    plan = plan_features(spec, collisions=Fraction(1, 10**9))
    assert plan.cost.charge.delta == spec.release.budget.delta
    assert plan.mechanisms[0].scale > plan_features(spec).mechanisms[0].scale
    with pytest.raises(BudgetError, match="two units have one token"):
        plan_features(spec, collisions=Fraction(1, 10**8))


def test_without_noise_the_figures_are_exact() -> None:
    plan = plan_features(parse_groups(EASY))
    drawn = draw(plan, sums_of(plan, [400, 0, 1000]), 3)
    told = figure_columns(plan, drawn.noisy)
    for aggregate in plan.spec.aggregates:
        for name in aggregate.columns:
            assert told[name].type == figure_type(aggregate)
    found = {name: column.to_pylist() for name, column in told.items()}
    assert found["people"] == found["rows"] == [400, 0, 1000]
    assert [float(each) for each in found["total"]] == [8000, 0, 20_000]
    assert found["avg"][::2] == [20, 20]
    assert found["var"][::2] == pytest.approx([0, 0], abs=0.1)
    assert found["hist"] == [[0, 400, 0], [0, 0, 0], [0, 1000, 0]]
    assert found["firms"] == [3, 0, 3]
    assert found["med"][1] == 50, "the middle, where nothing is there"
    assert all(20 <= each <= 30 for each in found["med"][::2])
    assert [len(each) for each in found["parts"]] == [2, 2, 2]


@pytest.mark.parametrize("text", [TEXT, TEXT.replace(", delta: 1e-8", "")])
def test_errors_are_as_they_were_told(text: str) -> None:
    plan = plan_features(parse_groups(text))
    many = 2000
    drawn = draw(plan, sums_of(plan, [1000] * many), many)
    told = figure_columns(plan, drawn.noisy)
    expected = {each.name: each.error for each in plan.expected}
    for name, exact in (("people", 1000), ("rows", 1000), ("total", 20_000)):
        off = np.array([float(each) for each in told[name].to_pylist()]) - exact
        rms = float(np.sqrt((off**2).mean()))
        # 2000 draws tell a deviation to 1.6 % (Gaussian), 2.5 % (Laplace): five of them
        assert 0.87 < rms / expected[name] < 1.13
    means = np.array(told["avg"].to_pylist()) - 20
    assert float(np.sqrt((means**2).mean())) < 1.13 * expected["avg"]


def test_a_sum_of_what_is_never_below_0_is_not_either() -> None:
    def least(text: str) -> list[float]:
        plan = plan_features(parse_groups(text))
        told = figure_columns(plan, draw(plan, sums_of(plan, [0] * 200), 200).noisy)
        return [float(min(told[f"total{end}"].to_pylist())) for end in ("", "_low", "_high")]

    value, low, high = least(TEXT)
    assert value == low == 0 <= high
    either = least(TEXT.replace("wage, low: 0, high: 100, step", "wage, low: -1, high: 100, step"))
    assert max(either[:2]) < 0, "unbiased, where values may be below 0"


COUNTED = (("people", 1000), ("rows", 1000), ("total", 20_000))


def coverage(plan: FeaturePlan, by: FeaturePlan, many: int) -> dict[str, float]:
    """How often the intervals of `plan` hold the exact number of draws of `by`."""
    told = figure_columns(plan, draw(by, sums_of(by, [1000] * many), many).noisy)
    held = {}
    for name, exact in COUNTED:
        low, high = (np.array(told[f"{name}_{end}"].to_pylist(), float) for end in ("low", "high"))
        held[name] = float(((low <= exact) & (exact <= high)).mean())
    return held


def of_scale(plan: FeaturePlan, part: Fraction) -> FeaturePlan:
    """The plan with that part of its noise."""

    def other(each: Vector) -> Vector:
        scale = Fraction(float(each.mechanism.scale * part))
        return replace(each, mechanism=replace(each.mechanism, scale=scale))

    return replace(plan, vectors=tuple(map(other, plan.vectors)))


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_intervals_of_counts_and_sums_hold_95_percent_to_a_hundredth(noise: str) -> None:
    """Neither less nor more: of 40,000 draws a hundredth is nine deviations, of which half a one
    is that noise is of integers."""
    head, tail = TEXT[: TEXT.index("  avg")], TEXT[TEXT.index("privacy") : TEXT.index("columns")]
    pay = f"0.1, delta: 1e-8, noise: {noise}}}"
    plan = plan_features(parse_groups(head + tail.replace("1, delta: 1e-8}", pay)))
    assert {each.noise for each in plan.mechanisms} == {noise}
    held = coverage(plan, plan, 40_000)
    assert all(abs(each - 0.95) < 0.01 for each in held.values()), held
    for off in (Fraction(3, 4), Fraction(4, 3)):
        planted = coverage(plan, of_scale(plan, off), 10_000)
        assert all(abs(each - 0.95) > 0.01 for each in planted.values()), planted


def test_intervals_of_what_is_made_of_several_hold_at_least_as_often(plan: FeaturePlan) -> None:
    """Means, variances and quantiles: conservative, and so bounded from below alone."""
    many = 4000
    told = figure_columns(plan, draw(plan, sums_of(plan, [1000] * many), many).noisy)
    for name, exact in (("avg", 20), ("var", 0), ("med", 20)):
        low, high = (np.array(told[f"{name}_{end}"].to_pylist(), float) for end in ("low", "high"))
        held = float(((low <= exact) & (exact <= high)).mean())
        assert held > 0.93, "0.95, less five deviations"
