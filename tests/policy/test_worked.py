"""The policies and the project file that ship in `conf`."""

from __future__ import annotations

from pathlib import Path

import pytest

from privpipe.policy import load_policy, load_project, plan_table
from tests.policy._build import field, table

PROJECT = Path(__file__).resolve().parent.parent.parent
POLICIES = PROJECT / "conf" / "policies"

# The columns of FEBRL's dataset 4, which a CSV gives as strings.
FEBRL = [
    "rec_id",
    "given_name",
    "surname",
    "street_number",
    "address_1",
    "address_2",
    "suburb",
    "postcode",
    "state",
    "date_of_birth",
    "soc_sec_id",
]


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_worked_policy_loads(path: Path) -> None:
    assert load_policy(path).rules


@pytest.mark.parametrize(("name", "people"), [("people", "people.a"), ("people_b", "people.b")])
def test_the_people_tables_are_planned_whole(name: str, people: str) -> None:
    plan = plan_table(
        load_policy(POLICIES / f"{name}.yaml"), table(**dict.fromkeys(FEBRL, "string"))
    )
    assert plan.table == people
    assert [c.name for c in plan.columns if c.action == "keep"] == ["rec_id", "postcode", "state"]
    assert [warning.split(": ")[1] for warning in plan.warnings] == [
        "a token does not say that it was altered",
    ]
    assert plan.undecided == ()


def test_the_people_tables_join() -> None:
    contexts: dict[str, set[object]] = {"soc_sec_id": set(), "date_of_birth": set()}
    for name in ("people", "people_b"):
        policy = load_policy(POLICIES / f"{name}.yaml")
        plan = plan_table(policy, table(**dict.fromkeys(FEBRL, "string")))
        for leaf in plan.leaves:
            if leaf.path[0] in contexts:
                contexts[str(leaf.path[0])].add((leaf.scope, leaf.primitive, leaf.context))
    assert contexts == {
        "soc_sec_id": {("domain:soc_sec_id", "HKDF_SHA256_PRF", "pp1:d:soc_sec_id:text")},
        "date_of_birth": {
            ("domain:date_of_birth", "AES_CMAC_PRF", "pp1:d:date_of_birth:text"),
        },
    }


def test_the_visits_are_planned_inside() -> None:
    schema = table(
        patient_id="bigint",
        card="struct<number:string,bank:string>",
        visits="array<struct<at:timestamp,note:string,codes:array<int>>>",
        attrs="map<string,string>",
        insurance="struct<company:string,number:bigint>",
        weight="decimal(5,2)",
        referral="string",
        new_column="string",
    )
    odd = field("blood.type", "struct<rh`factor:string>")
    plan = plan_table(
        load_policy(POLICIES / "visits.yaml"),
        type(schema)(fields=(*schema.fields, odd)),
    )
    assert [leaf.context for leaf in plan.leaves] == [
        "pp1:d:patient:integer",
        "pp1:c:clinic.visits/card.number:string",
        "pp1:c:clinic.visits/visits.[].note:string",
        "pp1:c:clinic.visits/visits.[].codes.[]:int",
        "pp1:c:clinic.visits/attrs.{}:string",
        "pp1:c:clinic.visits/insurance:struct<company:string,number:bigint>",
        "pp1:c:clinic.visits/weight:decimal(5,2)",
        "referrals/v1",
        "pp1:c:clinic.visits/blood%2Etype.rh%60factor:string",
    ]
    assert [c.name for c in plan.columns if c.action == "drop"] == ["new_column"]


def test_the_worked_project_file_loads() -> None:
    project = load_project(PROJECT / "conf" / "privpipe.yaml")
    assert project.catalog == str(PROJECT / "warehouse" / "catalog")
    assert project.kek == f"file:{PROJECT / 'secrets' / 'kek.json'}"
    assert dict(project.spark) == {}
