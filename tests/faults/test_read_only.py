"""A catalog that can be read and not written: refused before the target is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.errors import CatalogAccess
from tests.faults._disk import small_disk
from tests.faults._project import (
    ROWS,
    everyone,
    home_in,
    is_settled,
    log,
    make_project,
    opened,
    protect_people,
    write_policy,
)


def test_nothing_is_written_under_a_read_only_catalog(spark: SparkSession, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project", catalog="small/catalog")
    target = folder / "warehouse" / "people"
    with small_disk(folder / "small", "8m") as disk:
        disk.remount("ro")
        with pytest.raises(CatalogAccess, match="may not write"):
            protect_people(home_in(folder, spark), "first")
        assert not target.exists()

        disk.remount("rw")
        home = home_in(folder, spark)
        assert protect_people(home, "first") == "COMMITTED"
        before = log(target)
        disk.remount("ro")
        # Its keysets are there, so that the run's own row is what cannot be written.
        with pytest.raises(CatalogAccess, match="may not write"):
            protect_people(home, "second", "append")
        other = write_policy(folder, "other")
        with pytest.raises(CatalogAccess, match="may not write"):
            home.protect(other, folder / "people.csv", folder / "warehouse" / "other")
        assert log(target) == before
        assert not (folder / "warehouse" / "other").exists()
        assert home.repair() == ()
        # Who only reads needs no more.
        assert opened(home, target) == everyone(range(ROWS))

        disk.remount("rw")
        assert protect_people(home, "second", "append") == "COMMITTED"
        is_settled(home, target, ["first", "second"])
        assert opened(home, target) == everyone(range(ROWS), 2)
