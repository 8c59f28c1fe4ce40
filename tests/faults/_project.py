"""A small project that faults happen to, and what must hold of it when all is settled."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from privpipe.keys import generate_kek
from privpipe.spark import Home, open_home

CONFIG = "version: 1\ncatalog: {catalog}\nkek: file:{kek}\n"
POLICY = """version: 1
table: {table}
columns:
  id: keep
  name: encrypt
  ssn: {{protect: encrypt_deterministic, domain: ssn}}
"""
ROWS = 200


def make_project(folder: Path, *, catalog: str = "warehouse/catalog") -> Path:
    """A project in `folder`: file, KEK, `people.csv` and the policy `people.yaml`."""
    (folder / "secrets").mkdir(parents=True)
    generate_kek(folder / "secrets" / "kek.json")
    config = folder / "privpipe.yaml"
    config.write_text(CONFIG.format(catalog=catalog, kek="secrets/kek.json"), encoding="utf-8")
    write_policy(folder, "people")
    lines = [",".join(person(n)) for n in range(ROWS)]
    (folder / "people.csv").write_text("\n".join(["id,name,ssn", *lines, ""]), encoding="utf-8")
    return folder


def write_policy(folder: Path, table: str) -> Path:
    """The policy `<table>.yaml`: one encrypted column, and one that meets others in a domain."""
    path = folder / f"{table}.yaml"
    path.write_text(POLICY.format(table=f"clinic.{table}"), encoding="utf-8")
    return path


def person(n: int) -> tuple[str, str, str]:
    """The n-th row, all text, as CSV gives it."""
    return str(n), f"name {n}", f"{n:09d}"


def people(spark: SparkSession, first: int, last: int, *, parts: int = 2) -> DataFrame:
    """Rows `first` to `last - 1` of the same people."""
    return spark.range(first, last, 1, parts).selectExpr(
        "cast(id as string) as id", "concat('name ', id) as name", "lpad(id, 9, '0') as ssn"
    )


def protect_people(home: Home, run_id: str, mode: str = "error") -> str:
    """Protects `people.csv` into `warehouse/people`; the run's state."""
    folder = home.project.path.parent
    run = home.protect(
        folder / "people.yaml",
        folder / "people.csv",
        folder / "warehouse" / "people",
        mode,  # type: ignore[arg-type]
        run_id=run_id,
    )
    return f"{run.state}, replayed" if run.replayed else run.state


def opened(home: Home, target: str | Path) -> Counter[tuple[str, ...]]:
    """Every row of `target`, revealed, and how often it is there."""
    rows = home.reveal(target, ["name", "ssn"], "a test").select("id", "name", "ssn").collect()
    return Counter(tuple(row) for row in rows)


def everyone(numbers: Iterable[int], times: int = 1) -> Counter[tuple[str, ...]]:
    """Those people, each so many times."""
    return Counter({person(n): times for n in numbers})


def is_settled(home: Home, target: Path, runs: Sequence[str], *, spare_files: bool = False) -> None:
    """`target` holds the commits of `runs`, each exactly once, and the catalog says just that.

    With `spare_files` the folder may hold data files that no version names, as a writer that was
    killed in the middle leaves them.
    """
    kept = f"./{target.relative_to(home.project.path.parent)}"
    records = [run for run in home.catalog.runs() if run.target == kept]
    assert sorted((run.run_id, run.state) for run in records) == [
        (name, "COMMITTED") for name in sorted(runs)
    ]
    assert len({run.run_uid for run in records}) == len(runs)
    signed = dict(signatures(target))
    assert sorted(signed.values()) == sorted(run.run_uid for run in records)
    assert {run.table_version: run.run_uid for run in records} == signed
    facts = Counter((fact.run_uid, fact.path) for fact in home.catalog.columns(kept))
    assert facts == Counter((run.run_uid, path) for run in records for path in ("name", "ssn"))
    keysets = Counter((each.scope, each.primitive) for each in home.catalog.keysets())
    assert set(keysets.values()) == {1}
    assert {fact.key_id for fact in home.catalog.columns(kept)} <= {
        each.key_id for each in home.catalog.keysets()
    }
    if not spare_files:
        assert data_files(target) == named_files(target)
    assert home.verify(target).ok


def signatures(target: Path) -> list[tuple[int, str]]:
    """Version and run uid of every commit that bears one."""
    found = []
    for version, action in log(target):
        metadata = action.get("commitInfo", {}).get("userMetadata")
        if metadata:
            found.append((version, json.loads(metadata)["run_uid"]))
    return found


def log(target: Path) -> list[tuple[int, dict[str, dict[str, str]]]]:
    """Every action of the table's log, with its version."""
    return [
        (int(path.stem), json.loads(line))
        for path in sorted((target / "_delta_log").glob("*.json"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def data_files(target: Path) -> set[str]:
    """The data files in the folder."""
    return {path.name for path in target.glob("*.parquet")}


def named_files(target: Path) -> set[str]:
    """The data files that some version of the table names."""
    return {action["add"]["path"] for _, action in log(target) if "add" in action}


def home_in(folder: Path, spark: SparkSession) -> Home:
    """The project of `folder` in this session."""
    return open_home(folder / "privpipe.yaml", spark)
