"""`privpipe demo`: the whole way on real data, told as a story that checks what it says."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from privpipe.cli._demo_data import (
    PeopleTable,
    fresh_folder,
    read_people,
    worked_policy,
    write_people,
)
from privpipe.cli._init import make_project
from privpipe.cli._output import Output
from privpipe.cli._pair import make_pair
from privpipe.cli._project import spark_home
from privpipe.cli._story import Story

__all__ = ["demo"]

# Uncompressed, so that a search of the files sees all that is in them; and the JVM compiles less,
# which a job of hours would want and one of seconds pays for. (With C1 alone it would keep 48 MB
# for compiled code, which a session of some minutes fills; what comes then is interpreted.)
_PROJECT = """\
version: 1
catalog: warehouse/catalog
kek: file:secrets/kek.json
spark:
  spark.sql.parquet.compression.codec: uncompressed    # so that the demo can search the files
  spark.driver.extraJavaOptions:                       # for short jobs
    -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC
  spark.sql.shuffle.partitions: 2                      # for small tables
"""


def demo(
    out: Output,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", show_default=False, help="A new folder to work in."),
    ] = None,
) -> None:
    """The whole way on the data of 10,000 people, told.

    It protects, steals, joins, reveals, unseals and forges, in two minutes at most. It works in a
    new folder, checks everything that it says, and fails where that does not hold.
    """
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
    made = make_project(place, policies, _PROJECT)
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
        "chmod 644 secrets/kek.json; privpipe doctor        # what a mistake looks like",
    ):
        story.command(text)
    story.line("policies/people.yaml is the file to read; change it, and `privpipe check` it.")
    story.end()
