"""`privpipe demo`: the whole way on real data, told as a story that checks what it says."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Literal

import typer

from privpipe.cli._demo_data import (
    SHORT_JOBS,
    PeopleTable,
    fresh_folder,
    read_people,
    worked_policy,
    write_people,
)
from privpipe.cli._demo_features import tell_features
from privpipe.cli._init import make_project
from privpipe.cli._output import Output
from privpipe.cli._pair import make_pair
from privpipe.cli._project import spark_home
from privpipe.cli._story import Story

__all__ = ["demo"]

# So that a search of the files sees all that is in them.
_SEARCHED = "  spark.sql.parquet.compression.codec: uncompressed    # to search the files\n"


def demo(
    out: Output,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", show_default=False, help="A new folder to work in."),
    ] = None,
    chapter: Annotated[
        Literal["features"] | None,
        typer.Option("--chapter", show_default=False, help="Another way: private figures."),
    ] = None,
) -> None:
    """The whole way on the data of 10,000 people, told.

    It protects, steals, joins, reveals, unseals and forges; or with `--chapter features`, it
    publishes private figures of a census. In two minutes at most: it works in a new folder, checks
    everything that it says, and fails where that does not hold.
    """
    if chapter == "features":
        tell_features(out, folder)
        return
    tables = {"people": read_people("dataset4a"), "people_b": read_people("dataset4b")}
    policies = {name: worked_policy(name) for name in tables}
    place = fresh_folder(folder)
    story = Story(out)
    _begin(story, place, tables, policies)

    from privpipe.cli._demo_steps import Demo
    from privpipe.policy import load_project

    with out.working("starting Spark"):
        home = spark_home(load_project(place / "privpipe.yaml"))
    # So that the commands it tells are the ones that would work.
    with home, contextlib.chdir(place):
        work = Demo(story=story, home=home, tables=tables)
        work.plan()
        work.protect()
        work.steal()
        work.join()
        work.reveal()
        work.unseal()
        work.tamper()
        work.look_up()
    _end(story, place)


def _begin(
    story: Story, place: Path, tables: dict[str, PeopleTable], policies: dict[str, str]
) -> None:
    story.chapter("A project of its own")
    people = tables["people"]
    story.tell(
        f"Two tables of people: {len(people.rows):,} with names, addresses, birth dates and social "
        "security ids (synthetic, from FEBRL), and the same people once more as another office "
        "typed them, errors included."
    )
    story.command(f"privpipe init {place}")
    made = make_project(place, policies, SHORT_JOBS + _SEARCHED)
    for name, table in tables.items():
        path = place / "data" / f"{name}.csv"
        write_people(table, path)
        made.append(path)
    for path in made:
        story.line(f"made {path}")
    story.command("privpipe keys pair secrets/archive; mv secrets/archive.public.pem policies/")
    own, shared = make_pair(place / "secrets" / "archive", "x25519")
    shared.rename(place / "policies" / shared.name)
    modes = {path.stat().st_mode & 0o777 for path in (place / "secrets" / "kek.json", own)}
    story.claim(
        "the key that opens all others, and the archive's own, are readable by their owner alone",
        holds=modes == {0o600},
        folder=str(place),
    )


def _end(story: Story, place: Path) -> None:
    story.chapter("What to try next")
    story.line(f"cd {place}")
    for text in (
        "privpipe doctor",
        "privpipe keys backup /somewhere/safe/keysets.json",
        "privpipe reveal warehouse/people --columns surname --purpose 'trying it' --limit 5",
        "privpipe verify warehouse/people",
        "privpipe demo --chapter features        # figures of a census that hide everyone in it",
        "chmod 644 secrets/kek.json; privpipe doctor        # what a mistake looks like",
    ):
        story.command(text)
    story.line("policies/people.yaml is the file to read; change it, and `privpipe check` it.")
    story.end()
