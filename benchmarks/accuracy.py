"""How far private figures err, beside Tumult Analytics and PipelineDP, at one epsilon and delta.

    python benchmarks/accuracy.py --tumult PYTHON --pipelinedp PYTHON [--draws 400]

Root mean square errors over groups and draws, of the census (one row a person), of the panel of
visits (five rows a person, each in a group of its own) and of a synthetic table (ten). Bounds are
the same for all and cut nothing away, and neighbours differ by one unit with all its rows. Each
task has the whole budget for itself, and each peer is asked in every configuration that it has.
Draws go on until a configuration has shown so many figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from _accuracy_data import Table, tables
from _beside import Peer, add_options, peers
from _budgets import rho_within
from _jobs import project

from privpipe.features import (
    Spec,
    draw,
    figure_columns,
    parse_features,
    pass_measures,
    plan_features,
)  # fmt: skip
from privpipe.spark import Home, open_home
from privpipe.spark.features import group_sums
from privpipe.spark.features._groups import find_groups

EPSILON, DELTA = 1.0, 1e-9
OURS = 200  # draws of ours, which cost little
HOW = {
    "Tumult": {"figures": ["approximate", "zcdp"], "selection": ["approximate"]},
    "PipelineDP": {
        "figures": ["laplace naive", "laplace pld", "gaussian naive", "gaussian pld"],
        "selection": [
            "- truncated_geometric", "- laplace_thresholding", "- gaussian_thresholding",
        ],
    },
}  # fmt: skip
Errors = dict[str, list[float]]
Rows = dict[str, list[float]]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=400, help="figures of each configuration")
    parser.add_argument("--table", help="this one alone")
    parser.add_argument("--task", help="this one alone")
    add_options(parser)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_home(project(Path(folder))) as home,
        peers(options, Path(folder)) as found,
    ):
        print("| table | task | by | root mean square error | to privpipe's |")
        print("|---|---|---|---:|---:|")
        for table in tables():
            if options.table in (None, table.name):
                show(home, table, found, Path(folder), options)


def show(
    home: Home, table: Table, found: dict[str, Peer], folder: Path, options: argparse.Namespace
) -> None:
    place = folder / table.name.replace(" ", "_")
    place.mkdir()
    table.rows.to_parquet(place / "rows.parquet", index=False)
    for task, figures in table.tasks.items():
        if options.task not in (None, task):
            continue
        told = {"privpipe": ours(home, table, str(place), figures)}
        for name, peer in found.items():
            for how in HOW[name]["figures" if figures else "selection"]:
                ask = asked(peer, table, str(place), figures, how)
                errors = measured(table, figures, ask, options.draws)
                if errors is not None:
                    told[f"{name}, {how.replace('- ', '')}"] = errors
        for by, errors in told.items():
            measure = ["groups"] if not figures else [each["kind"] for each in figures]
            shown = ", ".join(f"{kind} {e:,.4g}" for kind, e in zip(measure, errors, strict=True))
            ratios = ", ".join(
                f"{e / o:.2f}" for e, o in zip(errors, told["privpipe"], strict=True)
            )
            print(f"| {table.name} | {task} | {by} | {shown} | {ratios} |", flush=True)


def measured(
    table: Table, figures: list[dict[str, Any]], ask: Callable[[], Rows], draws: int
) -> list[float] | None:
    """The errors of a peer's draws; None where it cannot, which is said."""
    rounds = max(1, -(-draws // len(table.keys))) if figures else 1
    begun = time.perf_counter()
    try:
        return errors_of(table, figures, (ask() for _ in range(rounds)))
    except RuntimeError as error:
        print(str(error)[:300], file=sys.stderr)
        return None
    finally:
        print(f"{table.name}: {rounds} in {time.perf_counter() - begun:.0f} s", file=sys.stderr)


def errors_of(table: Table, figures: list[dict[str, Any]], draws: Iterator[Rows]) -> list[float]:
    """Of each figure the root mean square error; of a selection how many true groups are shown."""
    every = list(draws)
    if not figures:
        true = {str(key) for key in table.rows["g"].unique()}
        return [float(np.mean([len(true & set(each)) for each in every]))]
    right = exact(table, figures)
    off = [[np.array(each[str(key)]) - right[key] for key in table.keys] for each in every]
    told: npt.NDArray[np.float64] = np.sqrt(np.mean(np.square(off), axis=(0, 1)))
    return [float(each) for each in told]


def exact(table: Table, figures: list[dict[str, Any]]) -> dict[int, npt.NDArray[np.float64]]:
    grouped = table.rows.groupby("g")
    columns = [
        grouped.size() if each["kind"] == "count" else
        grouped[each["column"]].agg("median" if each["kind"] == "quantile" else each["kind"])
        for each in figures
    ]  # fmt: skip
    whole = pd.concat(columns, axis=1)
    return {int(key): row for key, row in zip(whole.index, whole.to_numpy(float), strict=True)}


def asked(
    peer: Peer, table: Table, source: str, figures: list[dict[str, Any]], how: str
) -> Callable[[], Rows]:
    task = {
        "source": source, "unit": "unit", "group": "g", "groups": table.groups, "rows": 1,
        "keys": table.keys if figures else None, "epsilon": EPSILON, "delta": DELTA,
        "rho": rho_within(EPSILON, DELTA), "how": how, "figures": figures,
    }  # fmt: skip
    return lambda: peer.ask(task)["rows"]


def ours(home: Home, table: Table, source: str, figures: list[dict[str, Any]]) -> list[float]:
    """One pass over the rows, and many draws of what a release draws."""
    spec = parse_features(text_of(table, source, figures))
    assert isinstance(spec, Spec)
    plan = plan_features(spec)
    df = home.spark.read.parquet(source)
    groups = find_groups(df, spec)
    sums = group_sums(
        groups.placed(df.select(*spec.columns)), list(pass_measures(plan)), spec.bounds,
        unit="unit", groups=groups.names, rows=len(table.rows), salt="salt",
    )  # fmt: skip
    names = [str(key) for key in groups.values.column(0).to_pylist()]

    def once() -> Rows:
        drawn = draw(plan, sums, len(groups))
        columns = figure_columns(plan, drawn.noisy)
        told = [columns[each.name].to_pylist() for each in spec.aggregates]
        return {
            names[at]: [float(column[row]) for column in told]
            for row, at in enumerate(drawn.groups)
        }

    return errors_of(table, figures, (once() for _ in range(OURS)))


def text_of(table: Table, source: str, figures: list[dict[str, Any]]) -> str:
    keys = "select" if not figures else str(table.keys)
    lines = [f"  f{at}: {_figure(each)}" for at, each in enumerate(figures)] or ["  n: units"]
    return (
        f"version: 1\nfeatures: bench.accuracy\nsource: {source}\nunit: unit\n"
        f"groups: {{g: {keys}}}\nbounds: {{groups: {table.groups}, rows: 1}}\n"
        f"privacy: {{budget: bench, epsilon: {EPSILON:g}, delta: {DELTA:g}}}\n"
        "aggregates:\n" + "\n".join(lines) + "\n"
    )


def _figure(each: dict[str, Any]) -> str:
    if each["kind"] == "count":
        return "count"
    low, high = each["low"], each["high"]
    told = {each["kind"]: each["column"], "low": low, "high": high, "step": 0.1}
    if each["kind"] == "quantile":
        # Whole numbers, in the middle of their bins.
        told |= {"low": low - 0.5, "high": high + 0.5, "bins": each["bins"] + 1, "at": each["at"]}
        del told["step"]
    return "{" + ", ".join(f"{key}: {value}" for key, value in told.items()) + "}"


if __name__ == "__main__":
    main()
