"""A release that died is repeated on a source that has grown: as it was, or under a new run id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.errors import EngineError, SourceError
from privpipe.features import Spec, parse_features
from privpipe.spark.features import _run
from privpipe.spark.features._source import find_source
from tests.spark._project import make_home, policy_text

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = """\
version: 1
features: x.people
source: {source}
unit: person
bounds: {{groups: 1, rows: 1}}
aggregates: {{people: units}}
privacy: {{budget: people, epsilon: 20, delta: 2e-9, noise: gaussian}}
"""


def test_an_int64_unit_whose_noise_follows_from_the_rows(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chance that two pseudonyms meet, and with it the noise, grows with the rows."""
    home = make_home(tmp_path / "home", spark)
    ledger.open_budget(home.catalog, "people", Budget.of_epsilon(10**6, delta="1e-6"))
    rule = "{protect: pseudonymize, output: int64}"
    policy = parse_policy(policy_text("x.people", {"person": rule}))
    source = tmp_path / "people"
    spec = parse_features(SPEC.format(source=source))

    def failing(*_: Any, **__: Any) -> Any:
        raise EngineError("the disk is full")

    def dies(run_id: str, where: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(_run, where, failing)
            with pytest.raises(EngineError):
                home.features(spec, tmp_path / run_id, run_id=run_id)

    def people(first: int, last: int) -> DataFrame:
        return spark.sql(f"select concat('p', id) as person from range({first}, {last})")

    def shown(run_id: str) -> int:
        home.features(spec, tmp_path / run_id, run_id=run_id)
        [row] = spark.read.format("delta").load(str(tmp_path / run_id)).collect()
        return int(row["people"])

    def told(run_id: str) -> list[tuple[str, int | None]]:
        releases = ledger.attempts(home.catalog, run_id)
        return [(each.state, next(iter(each.sources.values()))) for each in releases]

    home.protect(policy, people(0, 1000), source)
    dies("drawn", "figure_columns")
    dies("back", "group_sums")
    home.protect(policy, people(1000, 200_000), source, "append")

    assert shown("drawn") == pytest.approx(1000, abs=20), "the version that was read first"
    assert told("drawn") == [("drawn", 0), ("published", 0)]
    assert [shown("back"), shown("new")] == [pytest.approx(200_000, abs=20)] * 2
    assert told("back") == [("cancelled", 0), ("published", 1)]
    noises = {ledger.attempts(home.catalog, run)[0].mechanisms for run in ("drawn", "new")}
    assert len(noises) == 2, "else nothing was tried here"

    assert isinstance(spec, Spec)
    find_source(home._work, spec, str(source), 1)
    with pytest.raises(SourceError, match="version 2, which this run read first") as gone:
        find_source(home._work, spec, str(source), 2)
    assert "another --run-id" in str(gone.value.hint)
