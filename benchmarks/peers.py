"""Private count and sum, and a median, beside Tumult Analytics and PipelineDP.

    python benchmarks/peers.py --tumult PYTHON --pipelinedp PYTHON [--rows 1000000] [--rounds 3]

Each peer runs in its own environment, whose interpreter is given (docs/benchmarks.md tells how to
make it), on the Spark that it allows, as a process that stays; one that is not given is left out.
All read the same Parquet files on `local[2]`: 1,000 public groups, ten rows a unit, of which at
most 10 groups and 10 rows in each count; units are UUIDs. Epsilon and delta are the same. Cases run
in turn, and the first round does not count. Ours is all of a release: its charge in the ledger, the
run's records, the draw, the Delta table; a peer's is what its figures take to reach the driver.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from _beside import Peer, add_options, peers
from _budgets import rho_within
from _jobs import project, seconds
from features import GROUPS, TWO, spec, table

from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.spark import Home, open_home

EPSILON, DELTA = 1.0, 1e-9  # as the spec of `features` has them
MEDIAN = "  m: {quantile: v0, low: 0, high: 1000, bins: 100, at: 0.5}\n"
SUMS = [
    {"kind": "count"},
    {"kind": "sum", "column": "v0", "low": 0, "high": 1000},
]
QUANTILE = [{"kind": "quantile", "column": "v0", "low": 0, "high": 1000, "at": 0.5}]
HOW = {"Tumult": "zcdp", "PipelineDP": "gaussian naive"}
PROMISED = {"Tumult": 2, "PipelineDP": 5}
Jobs = dict[str, Callable[[], object]]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--median-rounds", type=int, default=1, help="0: no median")
    add_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_home(project(Path(folder))) as home:
        ledger.open_budget(home.catalog, "bench", Budget.of_epsilon(1000, delta="1e-6"))
        source = table(home, Path(folder) / "rows", options.rows)
        with peers(options, Path(folder)) as found:
            runs = count()
            for case, text, figures, rounds in (
                ("count and sum", TWO, SUMS, options.rounds),
                ("median", MEDIAN, QUANTILE, options.median_rounds),
            ):
                if not rounds:
                    continue
                jobs: Jobs = {"privpipe": partial(release, home, Path(folder), source, text, runs)}
                for name, peer in found.items():
                    jobs[name] = asked(peer, source, figures)
                show(f"{case}, {options.rows:,} rows", raced(jobs, rounds))


def release(home: Home, folder: Path, source: str, text: str, runs: count[int]) -> None:
    home.features(spec(source, text), str(folder / f"out{next(runs)}"))


def asked(peer: Peer, source: str, figures: list[dict[str, Any]]) -> Callable[[], object]:
    task = {
        "source": source, "unit": "person", "group": "g", "keys": list(range(GROUPS)),
        "groups": 10, "rows": 10, "epsilon": EPSILON, "delta": DELTA, "figures": figures,
        "rho": rho_within(EPSILON, DELTA), "how": HOW[peer.name],
    }  # fmt: skip

    def ask() -> None:
        told = peer.ask(task)
        assert len(told["rows"]) == GROUPS
        assert all(len(each) == len(figures) for each in told["rows"].values())

    return ask


def raced(jobs: Jobs, rounds: int) -> dict[str, list[float]]:
    """Of each job the seconds of all rounds but the first."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            took = seconds(job)
            print(f"round {turn}: {name}: {took:.2f} s", file=sys.stderr)
            if turn:
                times[name].append(took)
    return times


def show(title: str, times: Mapping[str, list[float]]) -> None:
    ours = times["privpipe"]
    print(f"| {title} | best, seconds | median | best, to privpipe's | promised |")
    print("|---|---:|---:|---:|---:|")
    for name, each in times.items():
        promised = f">= {PROMISED[name]}" if "count" in title and name in PROMISED else ""
        print(
            f"| {name} | {min(each):.2f} | {statistics.median(each):.2f} "
            f"| {min(each) / min(ours):.1f} | {promised} |"
        )
    print()


if __name__ == "__main__":
    main()
