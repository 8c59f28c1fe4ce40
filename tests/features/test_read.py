"""Feature specs: what they mean, and every fault with its line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from privpipe.dp import Bounds, Budget, FixedPoint
from privpipe.errors import PolicyError, SpecError
from privpipe.features import ROW, Spec, load_features, written_policy
from tests.features._specs import SELECTED, TEXT, parse_groups


def test_what_a_spec_means(tmp_path: Path) -> None:
    file = tmp_path / "wages.yaml"
    file.write_text(TEXT)
    spec = load_features(file)
    assert isinstance(spec, Spec)
    assert (spec.name, spec.unit, spec.null_units) == ("census.wages", "person", "drop")
    assert spec.bounds == Bounds(groups=2, rows=4)
    wide = parse_groups(TEXT.replace("groups: 2", "groups: 70"))
    assert wide.bounds.groups == 6, "nobody is in more groups than there are"
    assert spec.release.budget == Budget.of_epsilon(1, delta="1e-8")
    assert (spec.release.noise, spec.release.level) == ("least", Fraction(19, 20))
    assert not spec.selected
    assert spec.columns == ("person", "edu", "sex", "wage", "firm")
    figures = {each.name: each for each in spec.aggregates}
    assert figures["total"].fixed == FixedPoint.of(low=0, high=100, step="0.5")
    assert figures["med"].edges == tuple(Fraction(10 * at) for at in range(11))
    assert figures["med"].at == (Fraction(1, 2),)
    assert figures["parts"].several
    assert figures["hist"].line == 15
    assert spec.protect == (("total", '{"protect": "encrypt_deterministic", "domain": "money"}'),)


def test_the_canonical_text_is_a_spec_of_the_same_hash() -> None:
    for text in (TEXT, SELECTED):
        spec = parse_groups(text)
        again = parse_groups(spec.canonical_text)
        assert again.canonical_text == spec.canonical_text
        assert again.hash == spec.hash
    assert parse_groups(TEXT).hash != parse_groups(SELECTED).hash
    spelt = TEXT.replace("epsilon: 1,", "epsilon: 1.0,").replace("step: 0.5", "step: 1/2")
    assert parse_groups(spelt + "# of the census\n").hash == parse_groups(TEXT).hash


def test_what_a_spec_says_is_kept_to_the_letter() -> None:
    """However long it is, and of characters that YAML takes for the end of a line."""
    odd = "a\x7f\x85 \u2028 \u2029b\ufffe"
    text = TEXT.replace("[f, m]", '["a\\x7f\\x85 \\u2028 \\u2029b\\ufffe", m]')
    spec = parse_groups(text)
    assert spec.groups[1].values == (odd, "m")
    again = parse_groups(spec.canonical_text)
    assert {each.column: each.values for each in again.groups}["sex"] == (odd, "m")
    assert again.hash == spec.hash
    domain = "d" * 90
    long = parse_groups(TEXT.replace("domain: money", f"domain: {domain}"))
    rule = next(each for each in written_policy(long).rules if each.path == ("total",))
    assert rule.domain == domain


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("version: 1\n", "version: 2\n", ":1 version", 'found the number "2"'),
        ("features:", "feature:", ":2 feature", 'nearest: "features"'),
        ("unit: person", "unit: [a]", ":4 unit", "found a list"),
        ("[f, m]", "all", ":5 groups.sex", "which groups exist would tell"),
        ("[f, m]", "[]", ":5 groups.sex", "which groups exist would tell"),
        ("[f, m]", "[f, f]", ":5 groups.sex", '"f" is given twice'),
        ("sex: [f", "Edu: [f", ":5 groups.Edu", "given twice, but for its case"),
        ("bounds: {groups: 2, rows: 4}\n", "", " bounds", "how much of a unit is kept"),
        ("groups: 2", "groups: 0", ":6 bounds.groups", "from 1 to 2,147,483,648"),
        ("rows: 4}", "rows: 0.5}", ":6 bounds.rows", "from 1 to 2,147,483,648"),
        ("unit: person", "unit: row", ":6 bounds", "a row counts once"),
        ("people: units", "people: unit", ":8 aggregates.people", 'nearest: "units"'),
        ("rows: count", "rows: mean", ":9 aggregates.rows", "mean of which column is not said"),
        ("rows: count", "rows: {}", ":9 aggregates.rows", "one figure a name"),
        ("{sum: wage,", "{sum: wage, mean: wage,", ":10 aggregates.total", "found sum and mean"),
        ("low: 0, high: 100, step: 0.5}\n  avg", "high: 100}\n  avg", ".low", "no key low"),
        ("high: 100, step: 0.5}\n  avg", "high: -1}\n  avg", ":10 ", "not below the upper"),
        ("step: 0.5}\n  avg", "step: 1/3}\n  avg", ":10 ", "a step that is no decimal"),
        ("step: 0.5}\n  avg", "step: 0.3}\n  avg", ":10 ", "no step of a grid"),
        ("var: {variance: wage, low: 0, high: 100}", "var: {variance: wage, low: 0, high: 1e12}",
         ":12 aggregates.var", "64 bits"),
        ("at: 0.5}", "at: 1}", ":13 aggregates.med.at", "no quantile"),
        ("at: 0.5}", "}", ":13 aggregates.med.at", "which quantile is not said"),
        ("bins: 10, at: 0.5", "bins: 10001, at: 0.5", ":13 ", "at most 10,000"),
        ("[0, 10, 50, 100]", "[0, 10, 10]", ":15 aggregates.hist.edges", "ascend"),
        ("[0, 10, 50, 100]", "[0, x]", ":15 aggregates.hist.edges", "wanted a number"),
        ("firms: {distinct: firm}", "firms: {distinct: }", ":16 ", "wanted a column's name"),
        ("firms: {distinct: firm}", "total_low: {distinct: firm}", ":16 ", "written twice"),
        ("epsilon: 1,", "epsilon: 0,", ":17 privacy", "epsilon is 0"),
        ("epsilon: 1,", "epsilon: 1, rho: 1,", ":17 privacy", "epsilon or rho, and not both"),
        (", delta: 1e-8", ", noise: gaussian", ":17 privacy.noise", "no pure epsilon"),
        ("budget: census, ", "", " privacy.budget", "no key budget"),
        ("columns: {total:", "columns: {totals:", ":18 columns.totals", 'nearest: "total"'),
    ],
)  # fmt: skip
def test_a_fault_has_its_line(old: str, new: str, where: str, words: str) -> None:
    assert old in TEXT
    with pytest.raises(SpecError) as caught:
        parse_groups(TEXT.replace(old, new, 1), name="f.yaml")
    assert "f.yaml" + where in str(caught.value) or where in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.code == "PP-POL-02"


def test_groups_that_are_selected_need_a_delta() -> None:
    text = SELECTED.replace(", delta: 1e-8", "")
    with pytest.raises(SpecError, match="groups by `select` need a delta"):
        parse_groups(text)


def test_all_faults_are_told_at_once_and_a_broken_file_too() -> None:
    with pytest.raises(SpecError, match="4 faults"):
        parse_groups("version: 1\nfeatures: x\naggregates: {n: count}\n")
    for text in ("", "- a", "a: [", "features: !python/object:os.system x"):
        with pytest.raises(SpecError):
            parse_groups(text)
    with pytest.raises(SpecError, match="no such file"):
        load_features("nowhere.yaml")


def test_a_row_may_be_the_unit() -> None:
    text = TEXT.replace("unit: person", "unit: row").replace("bounds: {groups: 2, rows: 4}\n", "")
    spec = parse_groups(text)
    assert (spec.unit, spec.bounds) == (ROW, Bounds(groups=1, rows=1))
    assert "person" not in spec.columns


def test_what_protects_a_column_has_the_line_that_says_so() -> None:
    """Of figures over windows too, that a beginning names; the ends of an interval with them."""
    over = "event_time: at\nas_of: 2024-07-01\nwindows: [7d, 30d]\ngroups:"
    text = TEXT.split("columns:")[0].replace("groups:", over, 1)
    said = "columns:\n  sex: encrypt\n  total: encrypt\n  'avg_3*': encrypt\n"
    policy = written_policy(parse_groups(text + said, name="f.yaml"))
    assert policy.name == "f.yaml"
    lines = {name: rule.line for name, rule in policy.columns.items() if rule.line}
    assert lines == {
        "sex": 22,
        **dict.fromkeys((f"total_{each}{end}" for each in ("7d", "30d") for end in ENDS), 23),
        **dict.fromkeys((f"avg_30d{end}" for end in ENDS), 24),
    }
    for old, new, where, words in (
        ("sex: encrypt", "sex: encryptt", "f.yaml:22 columns.sex.protect", 'nearest: "encrypt"'),
        (
            "total: encrypt",
            "total: {protect: mask, show: 1}",
            "f.yaml",
            "f.yaml:23 columns.total_7d",
        ),
        ("3*': encrypt", "3*': [x]", "f.yaml", "f.yaml:24 columns.avg_30d_high"),
    ):
        with pytest.raises(PolicyError) as caught:
            written_policy(parse_groups(text + said.replace(old, new), name="f.yaml"))
        assert caught.value.where == where
        assert words in str(caught.value)
        assert "privpipe check" not in str(caught.value.hint)


ENDS = ("", "_low", "_high")
