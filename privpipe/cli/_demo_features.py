"""`privpipe demo --chapter features`: figures of a census that hide everyone in it, told."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from privpipe.cli._demo_data import (
    SHORT_JOBS,
    PeopleTable,
    fresh_folder,
    read_census,
    worked_features,
    worked_policy,
    write_people,
)
from privpipe.cli._init import make_project
from privpipe.cli._output import Output
from privpipe.cli._project import spark_home
from privpipe.cli._story import Story

if TYPE_CHECKING:
    from privpipe.features import Spec

__all__ = ["tell_features"]


def tell_features(out: Output, folder: Path | None) -> None:
    """Protects the census, releases figures of it, and holds them against the exact ones."""
    from privpipe.features import parse_features, plan_features

    # First, since without the extra `dp` there is no story.
    spec = parse_features(worked_features("census"), name="features/census.yaml")
    planned = plan_features(cast("Spec", spec))
    place = fresh_folder(folder)
    with out.working("reading the census"):
        census = read_census()
    story = Story(out)
    _begin(story, place, census)

    from privpipe.cli._demo_release import FeaturesDemo
    from privpipe.policy import load_project

    with out.working("starting Spark"):
        home = spark_home(load_project(place / "privpipe.yaml"))
    # So that the commands it tells are the ones that would work.
    with home, contextlib.chdir(place):
        work = FeaturesDemo(story=story, home=home, census=census, planned=planned)
        work.protect()
        work.open_budget()
        work.plan()
        work.release()
        work.compare()
        work.overspend()
        work.repeat()
        work.attack()
        work.look_up()
    _end(story, place)


def _begin(story: Story, place: Path, census: PeopleTable) -> None:
    story.chapter("A project, and a census")
    story.tell(
        f"{len(census.rows):,} people were asked in 1994 and 1995; five of their answers are used. "
        "We want to publish how many weeks a year people work, by education and sex, and nobody "
        "shall be able to tell from it who was asked."
    )
    story.command(f"privpipe init {place}")
    made = make_project(place, {"census": worked_policy("census")}, SHORT_JOBS)
    spec = place / "features" / "census.yaml"
    spec.parent.mkdir()
    spec.write_text(worked_features("census"), encoding="utf-8")
    data = place / "data" / "census.csv"
    write_people(census, data)
    for path in (*made, spec, data):
        story.line(f"made {path}")
    story.claim(
        "the key that opens all others is readable by its owner alone",
        holds=(place / "secrets" / "kek.json").stat().st_mode & 0o777 == 0o600,
        folder=str(place),
    )


def _end(story: Story, place: Path) -> None:
    story.chapter("What to try next")
    story.line(f"cd {place}")
    for text in (
        "privpipe features show warehouse/work",
        "privpipe reveal warehouse/work --columns gains --purpose 'trying it'",
        "privpipe features plan features/census.yaml     # with epsilon: 0.5 in it, say",
        "privpipe features run features/census.yaml --target warehouse/again",
    ):
        story.command(text)
    story.line("What is guaranteed, and what is not, is in docs/features.md.")
    story.end()
