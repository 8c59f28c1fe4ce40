"""`features` of entities: what its user is told before a run, of it, after it, and of mistakes."""

from __future__ import annotations

import json

import pytest

from tests.cli._project import Project
from tests.conftest import PROJECT

VISITS = """\
version: 1
table: clinic.visits
schema: {visited: timestamp, cost: int}
columns:
  patient: {protect: tokenize, alphabet: digits, domain: patient}
  visited: encrypt
  cost: encrypt
  ward: {protect: mask, show: {first: 1}}
"""
OUTCOMES = """\
version: 1
table: clinic.outcomes
schema: {decided: timestamp}
columns:
  patient: {protect: tokenize, alphabet: digits, domain: patient}
  decided: encrypt
"""
SPEC = """\
version: 1
features: clinic.activity
source: warehouse/visits
entity: patient
event_time: visited
labels: {table: warehouse/outcomes, entity: patient, time: decided}
windows: [12h, 2d]
aggregates:
  visits: count
  spend: {sum: cost}
privacy: none
columns: {spend_*: encrypt, decided: encrypt}
"""
RUN = ("features", "run", "activity.yaml", "--target", "warehouse/activity")


@pytest.fixture(scope="module")
def tables(project: Project) -> Project:
    """The project with visits of four days and two outcomes, protected; an early one in clear."""
    folder = project.folder
    visits = [
        f"10000{n},2024-03-0{day} 08:00:00,{day}0,west\n" for n in (1, 2) for day in (1, 2, 3, 4)
    ]
    (folder / "visits.csv").write_text("patient,visited,cost,ward\n" + "".join(visits))
    labels = "patient,decided\n100001,2024-03-03 08:00:00\n100002,2024-03-04 20:00:00\n"
    (folder / "outcomes.csv").write_text(labels)
    (folder / "early.csv").write_text("patient,decided\n100001,2024-03-01 08:00:00\n")
    for name, policy, source in (
        ("visits", VISITS, "visits.csv"), ("outcomes", OUTCOMES, "outcomes.csv"),
        ("early", OUTCOMES, "early.csv"),
    ):  # fmt: skip
        (folder / f"{name}.yaml").write_text(policy)
        done = project.run(
            "protect", f"{name}.yaml", "--source", source, "--target", f"warehouse/{name}"
        )
        assert done.code == 0, done
    (folder / "activity.yaml").write_text(SPEC)
    return project


def test_features_of_entities_as_their_user_sees_them(tables: Project) -> None:
    planned = tables.json("features", "plan", "activity.yaml")
    assert planned["clear"] == ["patient", "visits_12h", "visits_2d"]
    assert [each["window"] for each in planned["columns"]] == [
        "12 hour(s) before", "2 day(s) before"
    ] * 2  # fmt: skip
    told = tables.run("features", "plan", "activity.yaml")
    assert "rows: one for each row of warehouse/outcomes, as of its decided" in told.out
    assert "keys: patient (as it is stored), decided (encrypt)" in told.out
    assert "no privacy guarantee" in told.out
    assert "patient is copied as it is stored" in told.err
    assert "2 column(s) in clear: visits_12h, visits_2d" in told.err

    run = (*RUN, "--run-id", "activity-1")
    done = tables.run(*run)
    assert done.code == 0, done
    assert done.out.startswith(
        "2 row(s) of features written: ./warehouse/activity, version 0, run activity-1\n"
    )
    assert "nothing hides visits_12h, visits_2d" in done.err
    before = tables.state()
    again = tables.run(*run)
    assert (again.code, again.out.split(":")[0]) == (0, "already written")
    taken = tables.run(*RUN, "--run-id", "activity-2")
    assert (taken.code, taken.out) == (3, "")
    assert tables.state() == before
    appended = tables.json(*RUN, "--mode", "append", "--run-id", "activity-2")
    assert (appended["rows"], appended["table_version"]) == (2, 1)

    rows = tables.json("features", "show", "warehouse/activity")["runs"]
    assert [(row["run"], row["version"]) for row in rows] == [("activity-1", 0), ("activity-2", 1)]
    for row in rows:
        assert row["reads"] == "./warehouse/outcomes@0 ./warehouse/visits@0"
        assert row["spec_hash"] == planned["spec_hash"]
        assert row["key_ids"] == appended["key_ids"]
        assert len(row["key_ids"]) == 2  # of the token, and of all that is encrypted here
    assert "./warehouse/visits@0" in tables.run("features", "show", "warehouse/activity").out
    kept = next(
        each for each in tables.json("catalog", "runs")["runs"] if each["run_id"] == "activity-1"
    )
    assert json.loads(kept["reads"]) == {"./warehouse/outcomes": 0, "./warehouse/visits": 0}
    columns = tables.json("catalog", "columns", "warehouse/activity")["columns"]
    assert {each["path"]: each["protection"] for each in columns} == {
        "decided": "encrypt", "patient": "tokenize", "spend_12h": "encrypt", "spend_2d": "encrypt"
    }  # fmt: skip
    opened = tables.json(
        *("reveal", "warehouse/activity", "--columns", "patient,spend_2d", "--purpose", "a test")
    )
    figures = [(row["patient"], row["visits_2d"], row["spend_2d"]) for row in opened["rows"]]
    assert sorted(figures) == [
        ("100001", 2, 30), ("100001", 2, 30), ("100002", 2, 70), ("100002", 2, 70)
    ]  # fmt: skip


MISTAKES = (
    ("{sum: cost}", "{sum: costs}", "costs"),
    ("{sum: cost}", "{sum: ward}", "never.yaml:10 aggregates.spend: ward stands under `mask`"),
    ("entity: patient\n", "entity: ward\n", "under `mask`, which does not stand for one entity"),
    ("[12h, 2d]", "[12h, 5d]", "never.yaml:7 windows: the window 5d is longer than the history"),
    ("[12h, 2d]", "[12h, 2 d]", "never.yaml:7 windows"),
    ("outcomes", "early", "never.yaml:6 labels: 1 of 1 labels lie before all events"),
    (
        "outcomes",
        "nowhere",
        "never.yaml:6 labels: there is nothing at this path: warehouse/nowhere",
    ),
    ("time: decided", "time: patient", 'event_time: "patient" would be written twice'),
    ("privacy: none\n", "", "never.yaml"),
)


def test_a_mistake_is_told_with_its_line_and_writes_nothing(tables: Project) -> None:
    wrong = tables.folder / "never.yaml"
    before = tables.state()
    for old, new, words in MISTAKES:
        assert old in SPEC
        wrong.write_text(SPEC.replace(old, new))
        done = tables.run("features", "run", "never.yaml", "--target", "warehouse/never")
        assert (done.code, done.out) == (3, ""), (new, done)
        assert words in done.err, (new, done.err)
    wrong.write_text(SPEC)
    over = ("features", "run", "never.yaml", "--target", "warehouse/visits", "--mode", "overwrite")
    done = tables.run(*over)
    assert done.code == 3, done
    assert "the target is the source" in done.err
    assert tables.state() == before
    assert tables.run("features", "show", "warehouse/visits").code == 3


def test_the_worked_spec_is_told_without_a_project(tables: Project) -> None:
    done = tables.run("features", "plan", PROJECT / "conf/features/patient_activity.yaml")
    assert done.code == 0, done
    assert "clinic.patient_activity" in done.out
