"""A protected table that was made once must be read by every later version."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from privpipe import arrow, load_policy
from privpipe.catalog import current_columns, open_folder
from privpipe.catalog.ledger import open_budget, standings
from privpipe.dp import Budget
from privpipe.keys import KeyRef, open_ref
from privpipe.spark import Home, open_home
from tests.golden.make import POLICY, RUN_ID, TABLE, rendered, source

HERE = Path(__file__).resolve().parent
EXPECTED: Mapping[str, Any] = json.loads((HERE / "expected.json").read_text("utf-8"))
KEPT = f"./{TABLE}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy, somewhere else than where it was made, with the one mode that git does not keep."""
    folder = tmp_path / "project"
    shutil.copytree(HERE / "project", folder)
    (folder / "secrets" / "kek.json").chmod(0o600)
    return folder


@pytest.fixture
def home(project: Path, spark: SparkSession) -> Home:
    return open_home(project / "privpipe.yaml", spark)


def test_it_is_small() -> None:
    files = [path for path in (HERE / "project").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000


def test_it_is_revealed_as_it_was(home: Home, project: Path) -> None:
    stored = home.spark.read.format("delta").load(str(project / TABLE))
    assert dict(stored.dtypes) == EXPECTED["stored"]
    opened = sorted({path.partition(".")[0].rstrip("[]{}") for path in EXPECTED["contexts"]})
    people = home.reveal(project / TABLE, opened, "the golden test")
    assert dict(people.dtypes) == EXPECTED["types"]
    assert rendered(people) == EXPECTED["rows"]
    report = home.verify(project / TABLE)
    assert report.ok
    assert report.values > 2 * len(EXPECTED["contexts"]) - 10


def test_it_grows_under_the_same_policy(home: Home, project: Path) -> None:
    target = str(project / TABLE)
    equal = [name for name in EXPECTED["types"] if name.startswith("d_")] + ["mail", "badge"]
    table = home.spark.read.format("delta").load(target)
    before = table.select(*(F.count_distinct(name) for name in equal)).first()
    run = home.protect(project / POLICY, source(home.spark), target, mode="append")
    assert list(run.key_ids) == EXPECTED["key_ids"]
    table = home.spark.read.format("delta").load(target)
    # The same bytes for equal values as then, or old rows and new would never meet.
    assert table.select(*(F.count_distinct(name) for name in equal)).first() == before
    people = home.reveal(target, [*equal, "r_text"], "the golden test")
    assert people.count() == 6
    doubled = rendered(people.select("id", *equal, "r_text"))
    for name, values in doubled.items():
        assert values == [value for value in EXPECTED["rows"][name] for _ in (1, 2)]


def test_its_run_is_known(home: Home, project: Path) -> None:
    """The same policy, the same hash: a run id that was used then is known now."""
    assert load_policy(project / POLICY).hash == EXPECTED["policy_hash"]
    again = home.protect(project / POLICY, source(home.spark), str(project / TABLE), run_id=RUN_ID)
    assert again.replayed
    assert list(again.key_ids) == EXPECTED["key_ids"]


PLAIN = {
    "r_text": pa.string(),
    "r_whole": pa.int32(),
    "r_double": pa.float64(),
    "d_text": pa.string(),
    "d_day": pa.date32(),
    "mail": pa.string(),
    "badge": pa.int32(),
}


def test_it_is_opened_without_spark(project: Path) -> None:
    """By its catalog through delta-rs, its files through Arrow, its keys through the keys room."""
    catalog = open_folder(project / "warehouse" / "catalog")
    facts = {fact.path: fact for fact in current_columns(catalog, KEPT)}
    assert {path: fact.context for path, fact in facts.items()} == EXPECTED["contexts"]
    keysets = {(each.scope, each.primitive): each for each in catalog.keysets()}
    (file,) = (project / TABLE).glob("*.parquet")
    table = pq.read_table(file, columns=["id", *PLAIN]).sort_by("id")
    for name, kind in PLAIN.items():
        fact = facts[name]
        record = keysets[fact.scope, fact.primitive]
        ref = KeyRef(
            scope=record.scope,
            primitive=record.primitive,
            wrapped=record.wrapped,
            kek_uri=f"file:{project / 'secrets' / 'kek.json'}",
            key_id=record.key_id,
        )
        opened = open_ref(ref).decrypt(table[name].combine_chunks(), fact.context.encode())
        values = arrow.decode(opened, kind).to_pylist()
        told = [json.loads(text or "{}").get(name) for text in EXPECTED["rows"][name]]
        assert [str(value) for value in values] == [str(_value(each)) for each in told]


def test_its_catalog_learns_of_budgets(home: Home, project: Path) -> None:
    """It was made before there were any: none are there, until the first is opened."""
    look = open_folder(project / "warehouse" / "catalog")
    assert standings(look) == standings(home.catalog) == ()
    opened = open_budget(home.catalog, "patients", Budget.of_epsilon("0.3"))
    assert [(each.name, each.left) for each in standings(look)] == [("patients", opened.total)]


def _value(told: Any) -> Any:
    return float("nan") if told == "NaN" else told


def test_its_catalog_is_listed_without_a_jvm(project: Path) -> None:
    script = (
        "import sys; from privpipe.cli import main; code = main(sys.argv[1:]);"
        "assert not {'pyspark', 'py4j'} & {name.partition('.')[0] for name in sys.modules};"
        "sys.exit(code)"
    )
    for command in ("columns", "keys", "runs", "tables"):
        words = ["catalog", command, "--json", "--config", str(project / "privpipe.yaml")]
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        assert RUN_ID in done.stdout or command in ("keys", "tables")
