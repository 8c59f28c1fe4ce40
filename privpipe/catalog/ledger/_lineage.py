"""What a release reads by lineage: its sources, and all that they were made from.

A place that lies within another is the same data in part, so the two are taken for one.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping

from privpipe.catalog._records import DATAFRAME, RunRecord

__all__ = ["lineage", "may_have_written", "read_by", "same_data"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/+")
_PATTERN = re.compile(r"[*?\[{]")
_ALIKE = {"s3": "s3a", "s3n": "s3a", "abfs": "abfss", "wasb": "wasbs"}
# What a run fails with that may have committed for all that, as its table's history will tell.
_PERHAPS = ("PP-ENG", "PP-ERR", "PP-INT")


def lineage(
    runs: Iterable[RunRecord],
    sources: Iterable[str],
    same: Callable[[str], str] = str,
) -> tuple[str, ...]:
    """`sources` and whatever they were made from at last, by all runs of the catalog, sorted.

    All runs that may have written a table count, since its earlier versions can be read, and one
    that was taken for dead may have committed. What names no files ends the line: rows of a
    session, a name of another database, and one that an earlier version kept and nothing has now.
    What was revealed begins a line. `same` gives the one name of a place that has several.
    """
    made = [
        (same(run.target), same(source))
        for run in runs
        if may_have_written(run)
        for source in read_by(run)
    ]
    found = {same(source) for source in sources}
    waiting = list(found)
    while waiting:
        place = waiting.pop()
        for target, source in made:
            if source not in found and same_data(place, target):
                found.add(source)
                waiting.append(source)
    return tuple(sorted(found))


def read_by(run: RunRecord) -> Mapping[str, int | None]:
    """The places that a run read, of features those of labels and others too, each with its
    version; None where that is not known."""
    reads = {} if run.reads is None else json.loads(run.reads)
    return {place: at for place, at in {run.source: None, **reads}.items() if place != DATAFRAME}


def may_have_written(run: RunRecord) -> bool:
    """Whether the run's rows may stand in some version of its target."""
    refused = run.error_code is not None and not run.error_code.startswith(_PERHAPS)
    return not (run.state == "FAILED" and refused)


def same_data(one: str, other: str) -> bool:
    """Whether two places, as the catalog keeps them, are one, or one lies within the other.

    >>> same_data("./people", "./people/country=DE"), same_data("./people", "./people2")
    (True, False)
    """
    first, second = _parts(one), _parts(other)
    short = min(len(first), len(second))
    return first[:short] == second[:short]


def _parts(place: str) -> tuple[str, ...]:
    """A place as the parts of its path. A pattern stands for the folder that it is looked for in;
    a name of Spark's catalog is one part, in whatever case."""
    scheme = _SCHEME.match(place)
    if scheme is None and not place.startswith(("/", "./", "../")):
        return ("name", place.casefold().replace("`", ""))
    if scheme is not None:
        name = scheme.group(1).lower()
        root, path = _ALIKE.get(name, name), place[scheme.end() :]
    else:
        root, path = ("/" if place.startswith("/") else "."), place
    if root == "file":
        root = "/"
    clean = posixpath.normpath("/" + path.lstrip("/")) if root != "." else posixpath.normpath(path)
    parts = [part for part in clean.split("/") if part not in ("", ".")]
    for at, part in enumerate(parts):
        if _PATTERN.search(part):
            parts = parts[:at]
            break
    return (root, *parts)
