"""Specs of exact figures under k-anonymity: what they mean, and every fault with its line."""

from __future__ import annotations

from fractions import Fraction

import pytest

from privpipe.errors import SpecError
from privpipe.features import EXACT_KINDS, ExactSpec, exact_aggregate, parse_features
from tests.features._specs import TEXT as NOISY

TEXT = """\
version: 1
features: census.wages
source: warehouse/people
unit: person
groups: {edu: select, sex: [f, m]}
aggregates:
  people: units
  rows: count
  firms: {distinct: firm}
  total: {sum: wage}
  avg: {mean: wage}
  var: {variance: wage}
  med: {quantile: age, low: 0, high: 100, bins: 10, at: 0.5}
  parts: {quantile: tenure, low: 0, high: 100, bins: 10, at: [0.25, 0.75]}
  hist: {histogram: wage, edges: [0, 10, 50, 100]}
  least: {min: wage}
  most: {max: wage}
  jobs: {top: job, most: 3}
privacy: {k_anonymity: 10, l_diversity: {job: 3}}
columns: {total: encrypt}
"""


def parse_exact(text: str) -> ExactSpec:
    spec = parse_features(text, name="f.yaml")
    assert isinstance(spec, ExactSpec)
    return spec


def test_what_a_spec_means() -> None:
    spec = parse_exact(TEXT)
    assert (spec.k, spec.diversity, spec.null_units) == (10, (("job", 3),), "drop")
    assert spec.columns == ("person", "edu", "sex", "firm", "wage", "age", "tenure", "job")
    assert {each.kind for each in spec.aggregates} == set(EXACT_KINDS)
    assert dict(spec.protections)["total"] == '"encrypt"'
    assert list(spec.protections) == ["edu", "sex", *(each.name for each in spec.aggregates)]
    figures = {each.name: each for each in spec.aggregates}
    assert (figures["jobs"].most, figures["jobs"].line) == (3, 18)
    assert figures["parts"].at == (Fraction(1, 4), Fraction(3, 4))
    assert "10 units (person), and 3 values of job" in spec.hides
    for each in spec.aggregates:
        made, columns = exact_aggregate(each, spec)
        alone = {"quantile", "histogram", "min", "max", "top"}
        assert (getattr(made, "k", None) == 10) == (each.kind in alone), each.name
        assert ("person" in columns) == (each.kind in alone | {"units"}), each.name
    rows = parse_exact(TEXT.replace("unit: person", "unit: row"))
    assert all("person" not in exact_aggregate(each, rows)[1] for each in rows.aggregates)


def test_the_canonical_text_is_a_spec_of_the_same_hash() -> None:
    spec = parse_exact(TEXT)
    again = parse_exact(spec.canonical_text)
    assert again.canonical_text == spec.canonical_text
    assert again.hash == spec.hash
    same = TEXT.replace("bins: 10", "bins: 1e1") + "# of the census\n"
    assert parse_exact(same).hash == spec.hash
    for old, new in (("y: 10", "y: 11"), ("job: 3", "job: 4"), ("most: 3", "most: 4")):
        assert parse_exact(TEXT.replace(old, new)).hash != spec.hash


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("k_anonymity: 10", "k_anonymity: 1", ":19 privacy.k_anonymity", "whole number from 2 to"),
        ("k_anonymity: 10", "k_anonymity: 2.5", ":19 privacy.k_anonymity", "from 2 to"),
        ("k_anonymity: 10, ", "", " privacy.k_anonymity", "no key k_anonymity"),
        ("k_anonymity: 10", "k_anonymity: 10, budget: census", ":19 privacy.budget",
         "no budget pays for them"),
        ("k_anonymity: 10", "k_anonymity: 10, epsilon: 1", ":19 privacy.epsilon", "exact"),
        ("k_anonymity: 10", "k_anonymity: 10, floor: 5", ":19 privacy.floor", "exact"),
        ("k_anonymity: 10", "k_anonymity: 10, t_closeness: 1", ":19 privacy.t_close",
         "allowed: k_"),
        ("{job: 3}", "{job: 1}", ":19 privacy.l_diversity.job", "from 2 to"),
        ("{job: 3}", "3", ":19 privacy.l_diversity", "by column"),
        ("{job: 3}", "{Edu: 3}", ":19 privacy.l_diversity", "one value in each group"),
        ("unit: person\n", "unit: person\nbounds: {groups: 1, rows: 1}\n", ":5 bounds",
         "all rows of a unit"),
        ("{sum: wage}", "{sum: wage, low: 0, high: 9}", ":10 aggregates.total.low",
         "what noise is fitted to"),
        ("{mean: wage}", "{mean: wage, weight: 2}", ":11 aggregates.avg.weight", "has none"),
        ("rows: count", "rows: average", ":8 aggregates.rows", "unknown figure"),
        ("rows: count", "rows: max", ":8 aggregates.rows", "max of which column"),
        ("{min: wage}", "{min: wage, max: wage}", ":16 aggregates.least", "found min and max"),
        ("{top: job, most: 3}", "{top: job, most: 0}", ":18 aggregates.jobs.most", "from 1 to"),
        ("{top: job, most: 3}", "{top: job, k: 3}", ":18 aggregates.jobs.k", 'unknown key "k"'),
        ("bins: 10, at: 0.5", "at: 0.5", "aggregates.med.bins", "no key bins"),
        ("sex: [f, m]", "sex: all", ":5 groups.sex", "which groups exist would tell"),
        ("{top: job, most: 3}", "{top: Wage}", ":18 aggregates.jobs", "hist counts values of Wage"),
        ("{quantile: tenure", "{quantile: age", ":14 aggregates.parts", "med counts values of age"),
        ("rows: count", "total: count", ":10 aggregates.total", "given twice"),
        ("{total: encrypt}", "{total_low: encrypt}", ":20 columns.total_low", 'nearest: "total"'),
    ],
)  # fmt: skip
def test_a_fault_has_its_line(old: str, new: str, where: str, words: str) -> None:
    assert old in TEXT
    with pytest.raises(SpecError) as caught:
        parse_features(TEXT.replace(old, new, 1), name="f.yaml")
    assert where in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("figure", ["{min: wage}", "{max: wage, low: 0}", "{top: firm}", "top"])
def test_what_is_of_single_rows_has_no_noisy_form(figure: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_features(NOISY.replace("rows: count", f"rows: {figure}"), name="f.yaml")
    assert ":9 aggregates.rows: " in str(caught.value)
    assert "no noise that hides one leaves anything of it" in str(caught.value)
    assert "k_anonymity: 10" in str(caught.value)
    assert "the weaker thing" in str(caught.value)
