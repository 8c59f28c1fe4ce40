"""`features` and `audit-release`: what is said of a release, before, while and after."""

from __future__ import annotations

import json
import re
from fractions import Fraction

import pytest

from privpipe.cli import main
from tests.cli._project import Project
from tests.conftest import PROJECT

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = """\
version: 1
features: clinic.zips
source: warehouse/people
unit: ssn
groups: {zip: ["02134", "00501", "99999"]}
bounds: {groups: 1, rows: 2}
aggregates:
  patients: units
  names: {distinct: surname}
privacy: {budget: clinic, epsilon: 1, delta: 1e-6}
columns: {names: encrypt}
"""


def a_release_is_attacked(project: Project) -> None:
    attacked = project.json("audit-release", "zips.yaml", "--units", "1", "--draws", "300")
    assert attacked["attacks"][0]["holds"]
    assert attacked["attacks"][0]["claimed"] <= 1
    assert 2 < attacked["attacks"][0]["most"] < 3, "what 300 draws can show"


def another_spec_is_told(project: Project, run: tuple[str, ...]) -> None:
    (project.folder / "zips.yaml").write_text(SPEC.replace("rows: 2", "rows: 3"))
    assert "used before with another spec" in project.run(*run).err
    (project.folder / "zips.yaml").write_text(SPEC)


def other_unit_and_a_large_delta_are_told(project: Project) -> None:
    other = SPEC.replace("epsilon: 1, delta: 1e-6", "rho: 0.1, delta: 0.4")
    (project.folder / "other.yaml").write_text(other)
    warned = project.run("features", "plan", "other.yaml").err
    assert "budget clinic is in epsilon, and this release costs rho" in warned
    assert "other.yaml:10 privacy.delta: a delta is the chance to hide nothing" in warned


def test_a_plan_tells_the_window_of_each_figure(project: Project) -> None:
    over = "event_time: at\nas_of: 2024-07-01\nwindows: [7d, 1month]\ngroups:"
    (project.folder / "windows.yaml").write_text(SPEC.replace("groups:", over, 1))
    by_window = project.json("features", "plan", "windows.yaml")
    assert [(figure["name"], figure["window"]) for figure in by_window["figures"]][1:3] == [
        ("patients_1month", "1 calendar month(s) before"), ("names_7d", "7 day(s) before")
    ]  # fmt: skip


def test_a_release_as_its_user_sees_it(project: Project) -> None:
    (project.folder / "zips.yaml").write_text(SPEC)
    run = ("features", "run", "zips.yaml", "--target", "warehouse/zips", "--run-id", "zips-1")

    (project.folder / "totals.yaml").write_text(SPEC + "totals: []\n")
    by_total = project.json("features", "plan", "totals.yaml")
    planned = project.json("features", "plan", "zips.yaml")
    assert [figure["measure"] for figure in by_total["figures"]][2:] == ["the total"]
    assert by_total["charge"] == planned["charge"]
    assert "totals cost nothing" in project.run("features", "plan", "totals.yaml").out
    assert (planned["budget"], planned["left"], planned["unit"]) == ("clinic", None, "ssn")
    assert [figure["kind"] for figure in planned["figures"]] == ["units", "distinct"]
    told = project.run("features", "plan", "zips.yaml").out
    assert "costs epsilon about 0.99" in told
    assert "not opened yet: privpipe budget open clinic --epsilon 1 --delta 1e-06" in told

    before = project.state()
    refused = project.run(*run)
    assert (refused.code, refused.out) == (3, "")
    no_budget = "zips.yaml:10 privacy.budget, budget clinic: no budget of this name was opened"
    assert refused.err.startswith(f"[PP-BUD-02] {no_budget}\n")
    assert not (project.folder / "warehouse/zips").exists()
    assert project.state().keys() == before.keys()

    assert project.run("budget", "open", "clinic", "--epsilon", "1.5", "--delta", "1e-5").code == 0
    done = project.run(*run)
    assert done.code == 0, done
    assert done.out.startswith("3 group(s) released: ./warehouse/zips, version 0, run zips-1\n")
    assert "epsilon about 0.5" in done.out.splitlines()[1]
    assert "nothing is protected" not in done.err
    again = project.json(*run)
    assert again["replayed"]
    another_spec_is_told(project, run)
    assert Fraction(1, 2) <= Fraction(again["left"]["epsilon"]) < Fraction(51, 100)

    [shown] = project.json("features", "show", "warehouse/zips")["releases"]
    assert shown["features"] == "clinic.zips"
    assert (shown["state"], shown["version"], shown["unit"]) == ("published", 0, "ssn")
    assert shown["reads"] == "./warehouse/people@0"
    [kept] = [
        each for each in project.json("catalog", "runs")["runs"] if each["run_id"] == "zips-1"
    ]
    assert kept["reads"] == '{"./warehouse/people": 0}'
    assert re.fullmatch(r"[0-9a-f-]{36}", shown["ledger_id"])
    assert (shown["spec_hash"], shown["key_ids"]) == (kept["policy_hash"], again["key_ids"])
    assert (shown["spec_hash"], len(shown["key_ids"])) == (planned["spec_hash"], 1)
    assert project.run("features", "show", "warehouse/people").code == 3

    # What is left does not pay for another.
    twice = project.run(*run[:-1], "zips-2", "--mode", "overwrite")
    assert twice.code == 3
    assert twice.err.startswith("[PP-BUD-01]")
    warned = project.run("features", "plan", "zips.yaml")
    assert "zips.yaml:10 privacy.budget: budget clinic does not hold this release" in warned.err
    other_unit_and_a_large_delta_are_told(project)
    opened = project.json(
        *("reveal", "warehouse/zips", "--columns", "names", "--purpose", "a test")
    )
    assert [row["zip"] for row in opened["rows"]] == ["02134", "00501", "99999"]
    assert all(isinstance(row["names"], int) for row in opened["rows"])

    a_release_is_attacked(project)


EXACT = """\
version: 1
features: clinic.public
source: warehouse/people
unit: ssn
groups: {zip: select}
aggregates:
  patients: units
  names: {distinct: surname}
privacy: {k_anonymity: 2}
"""


def test_exact_figures_are_named_as_the_weaker_thing(project: Project) -> None:
    (project.folder / "public.yaml").write_text(EXACT)
    planned = project.json("features", "plan", "public.yaml")
    assert planned["privacy"] == {"k_anonymity": 2, "l_diversity": {}}
    assert (planned["differential_privacy"], planned["cost"]) == (False, None)
    told = project.run("features", "plan", "public.yaml").out
    for words in (
        "shows groups of at least 2 units (ssn); costs no budget",
        "exact figures, no differential privacy",
        "differences between two releases can tell of one person",
        "no totals are shown that would tell of them",
    ):
        assert words in told
    run = ("features", "run", "public.yaml", "--target", "warehouse/public", "--run-id", "pub-1")
    done = project.run(*run)
    assert done.code == 0, done
    assert "group(s) written: ./warehouse/public, version 0, run pub-1" in done.out
    assert "no differential privacy, and nothing charged" in done.out
    assert "what two releases differ in may be one person" in done.err
    assert project.json(*run)["replayed"]
    [shown] = project.json("features", "show", "warehouse/public")["runs"]
    assert shown["reads"] == "./warehouse/people@0"
    assert (shown["privacy"], shown["run"]) == ("k-anonymity", "pub-1")
    runs = project.json("catalog", "runs")["runs"]
    reads = {each["run_id"]: each["reads"] for each in runs}["pub-1"]
    assert json.loads(reads) == {"./warehouse/people": 0}
    attacked = project.run("audit-release", "public.yaml")
    assert "there is nothing to attack" in attacked.err


def test_periods_are_told_by_the_plan(project: Project) -> None:
    """A plan reads no data: that there is no such column is told by the run."""
    by_year = SPEC.replace(
        '{zip: ["02134"', '{born: {by: year, from: 1990, to: 1992}, zip: ["02134"'
    )
    (project.folder / "years.yaml").write_text(by_year)
    planned = project.json("features", "plan", "years.yaml")
    assert planned["groups"]["born"] == {"by": "year", "from": "1990-01-01", "to": "1992-01-01"}
    told = project.run("features", "plan", "years.yaml").out
    assert "groups born by year: 3, from that of 1990-01-01 to that of 1992-01-01\n" in told
    exact = EXACT.replace("{zip: select}", "{born: {by: week, values: select}}")
    (project.folder / "weeks.yaml").write_text(exact)
    told = project.run("features", "plan", "weeks.yaml").out
    assert "groups born by week: those that enough units have\n" in told
    listed = exact.replace("values: select", "values: [2024-01-08, 2024-01-01]")
    (project.folder / "weeks.yaml").write_text(listed)
    assert (
        "groups born by week: 2 that are listed\n"
        in project.run("features", "plan", "weeks.yaml").out
    )
    assert project.json("features", "plan", "weeks.yaml")["groups"]["born"]["by"] == "week"


def test_mistakes_are_told_with_their_line(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = project.folder / "wrong.yaml"
    by_name = SPEC.replace("groups: {zip:", "groups: {surname:")
    wrong.write_text(by_name.replace("unit: ssn", "unit: zip"))
    done = project.run("features", "run", "wrong.yaml", "--target", "warehouse/never")
    assert done.code == 3
    assert "the unit zip stands in clear in the source" in done.err
    assert "pseudonymize" in done.err
    wrong.write_text(SPEC.replace("units", "unit"))
    done = project.run("features", "plan", "wrong.yaml")
    assert done.code == 3
    assert 'wrong.yaml:8 aggregates.patients: unknown figure "unit"; nearest: "units"' in done.err
    assert not (project.folder / "warehouse/never").exists()
    assert main(["features", "plan", str(PROJECT / "conf/features/census.yaml")]) == 0
    assert "hides one person" in capsys.readouterr().out
