"""A disk that is full, under the target or under the catalog, and then freed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from privpipe.errors import EngineError
from privpipe.spark import Run, _release
from tests.faults._disk import Disk, small_disk
from tests.faults._project import (
    ROWS,
    everyone,
    home_in,
    is_settled,
    make_project,
    opened,
    people,
    protect_people,
)

MANY = 30_000  # some 2 MB of ciphertext, which nothing compresses


def test_under_the_target(spark: SparkSession, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    home = home_in(folder, spark)
    target = folder / "small" / "people"

    def protect() -> Run:
        frame = people(spark, 0, MANY)
        return home.protect(folder / "people.yaml", frame, target, run_id="nightly")

    with small_disk(folder / "small", "1m") as disk:
        with pytest.raises(EngineError, match="the disk is full") as caught:
            protect()
        assert "name 1" not in str(caught.value)
        found = home.catalog.run("nightly")
        assert found is not None
        assert (found.state, found.error_code) == ("FAILED", EngineError.code)
        assert not list(target.glob("_delta_log/*.json"))
        assert home.repair() == ()

        disk.remount("size=64m")
        assert protect().state == "COMMITTED"
        is_settled(home, target, ["nightly"], spare_files=True)
        assert opened(home, target) == everyone(range(MANY))
        assert protect().replayed


# Where the disk fills up: a name that `privpipe.spark._release` calls, and whether before or after.
MOMENTS = {
    "before keysets": ("_decide", None),
    "after keysets": ("_make_keys", None),
    "after PENDING": ("_begin", "PENDING"),
    "after the data": ("commit", "PENDING"),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("first", [True, False], ids=["new catalog", "catalog in use"])
def test_under_the_catalog(
    moment: str,
    first: bool,
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make_project(tmp_path / "project", catalog="small/catalog")
    target = folder / "warehouse" / "people"
    name, state = MOMENTS[moment]
    with small_disk(folder / "small", "8m") as disk:
        home = home_in(folder, spark)
        if not first:
            frame = people(spark, 0, 3)
            home.protect(folder / "people.yaml", frame, folder / "warehouse" / "other")
        with monkeypatch.context() as patch:
            patch.setattr(_release, name, filled_after(getattr(_release, name), disk))
            with pytest.raises(EngineError, match="the disk is full"):
                protect_people(home, "nightly")
        # Some states can be read from a full disk, and none was lost.
        found = home.catalog.run("nightly")
        assert (found and found.state) == state
        written = moment == "after the data"
        assert target.exists() == written

        disk.free()
        said = protect_people(home, "nightly")
        assert said == ("COMMITTED, replayed" if written else "COMMITTED")
        is_settled(home, target, ["nightly"])
        assert opened(home, target) == everyone(range(ROWS))


def filled_after(step: Callable[..., Any], disk: Disk) -> Callable[..., Any]:
    def stepped(*args: Any, **options: Any) -> Any:
        done = step(*args, **options)
        disk.fill()
        return done

    return stepped
