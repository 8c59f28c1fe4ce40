"""`privpipe risk`: what it prints of a table, and what it does not."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from privpipe.cli._demo_data import read_people, write_people
from tests.cli._project import Done, Project

TOWNS = ("Bonn-canary", "Jena-canary", "Trier-canary")
BAND = ("11 or more", "2", "29", "96.67 %")


@pytest.fixture(scope="module")
def people(project: Project) -> Project:
    """A table of 30 rows: 15 and 14 of two towns and sexes, and one row alone."""
    draw = random.Random(7)
    rows = [(at, TOWNS[at % 2] if at else TOWNS[2], at % 2, draw.randrange(3)) for at in range(30)]
    for name, kept in (("crowd.csv", rows), ("some.csv", rows[1:9]), ("none.csv", rows[:0])):
        with (project.folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("id", "town", "sex", "illness, today"), *kept])
    return project


def cells(done: Done, head: str) -> tuple[str, ...]:
    """The cells of the line that begins so."""
    [line] = [line for line in done.out.splitlines() if line.startswith(head)]
    return tuple(cell.strip() for cell in line.split("  ") if cell.strip())


def test_what_is_printed(people: Project) -> None:
    asked = ("risk", "crowd.csv", "--quasi", "town, sex", "--sensitive", "`illness, today`")
    before = sorted(people.folder.iterdir())
    done = people.run(*asked, "--k", "5")
    assert done.code == 3
    assert "k = 5 is NOT met: the smallest class has 1 row(s)" in done.out
    assert cells(done, "classes ")[1] == "3"
    assert cells(done, "unique rows")[1] == "1 (3.33 %)"
    assert cells(done, "11 or more") == BAND
    assert cells(done, "prosecutor")[:4] == ("prosecutor", "100 %", "10 %", "1 (3.33 %)")
    assert cells(done, "journalist")[4] == "no population given: as the prosecutor"
    assert cells(done, "distinct l-diversity")[1] == "1"
    assert "canary" not in done.out + done.err
    assert sorted(people.folder.iterdir()) == before
    assert people.run(*asked, "--k", "1").code == 0
    document = people.json(*asked, "--threshold", "0.05")
    assert (document["rows"], document["k"], document["wanted_k"]) == (30, 1, None)
    assert document["sizes"][5] == {"least": 11, "most": None, "classes": 2, "rows": 29}
    assert document["prosecutor"]["rows_above"] == 30
    [sensitive] = document["sensitive"]
    assert (sensitive["column"], sensitive["recursive"]) == ("illness, today", "inf")
    assert "canary" not in str(document)


def test_a_population(people: Project) -> None:
    done = people.run("risk", "some.csv", "--quasi", "town,sex", "--population", "crowd.csv")
    assert cells(done, "prosecutor")[1:3] == ("25 %", "25 %")
    assert cells(done, "journalist")[1] == "7.14 %"
    assert cells(done, "journalist")[4] == "drawn from 30 rows"
    other = people.run("risk", "crowd.csv", "--quasi", "town,sex", "--population", "some.csv")
    assert (other.code, "fewer rows of: 3" in other.err) == (3, True)


def test_ciphertext_is_warned_of(people: Project) -> None:
    quasi = ("--quasi", "surname,ssn,zip", "--sensitive", "born")
    done = people.run("risk", "warehouse/people", *quasi)
    assert done.code == 0
    [first, second] = done.err.splitlines()
    assert first.startswith("warning: surname is encrypted (AES256_GCM)")
    assert "measure the table in clear" in first
    assert second.startswith("warning: born is encrypted")
    document = people.json("risk", "warehouse/people", *quasi)
    assert [text.split()[0] for text in document["cautions"]] == ["surname", "born"]


def test_the_page_shows_what_is_printed(people: Project) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "anonymity.md").read_text("utf-8")
    shown = page.split("```text\n$ privpipe ")[1].split("\n```")[0]
    command, _, output = shown.partition("\n")
    write_people(read_people("dataset4a"), people.folder / "data" / "people.csv")
    done = people.run(*command.split())
    assert (done.code, done.out) == (3, output + "\n")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("crowd.csv",), 2, "missing option"),
        (("crowd.csv", "--quasi", "town,,sex"), 2, "an empty name between commas"),
        (("crowd.csv", "--quasi", " "), 2, "quasi is empty"),
        (("crowd.csv", "--quasi", "twn"), 3, "no quasi column twn"),
        (("crowd.csv", "--quasi", "town,sex", "--sensitive", "SEX"), 2, "both quasi and sens"),
        (("crowd.csv", "--quasi", "town,town"), 2, "town is named twice"),
        (("crowd.csv", "--quasi", "town", "--k", "0"), 2, "--k"),
        (("crowd.csv", "--quasi", "town", "--threshold", "2"), 2, "a threshold of 2.0"),
        (("none.csv", "--quasi", "town"), 3, "no rows"),
        (("nowhere.csv", "--quasi", "town"), 3, "nothing at"),
        (("crowd.csv", "--quasi", "town", "--population", "no.csv"), 3, "nothing at"),
    ],
)
def test_mistakes(people: Project, arguments: tuple[str, ...], code: int, text: str) -> None:
    done = people.run("risk", *arguments)
    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert Path(people.folder / "crowd.csv").exists()
