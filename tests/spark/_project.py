"""A project of one's own for a test: project file, KEK and a Home over the one session."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from privpipe.keys import generate_kek
from privpipe.spark import Home, open_home

CONFIG = "version: 1\ncatalog: warehouse/catalog\nkek: file:secrets/kek.json\n"


def make_home(folder: Path, spark: SparkSession) -> Home:
    """A Home whose project lies in `folder`."""
    (folder / "secrets").mkdir(parents=True)
    generate_kek(folder / "secrets" / "kek.json")
    config = folder / "privpipe.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    return open_home(config, spark)


def policy_text(table: str, columns: dict[str, str], head: str = "") -> str:
    """A policy, one line a column; `columns` gives the YAML behind each name."""
    lines = "".join(f"  {name}: {rule}\n" for name, rule in columns.items())
    return f"version: 1\ntable: {table}\n{head}columns:\n{lines}"
