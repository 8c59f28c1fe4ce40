"""What Spark wrote, read with no JVM: the same facts, in well under a second."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.catalog import Catalog, current_columns, open_folder
from privpipe.errors import CatalogAccess
from privpipe.spark import _catalog
from privpipe.spark._catalog import delta_catalog
from tests.catalog._facts import AWKWARD, HIGHEST_KEY_ID, NOW, column, event, keyset, run
from tests.catalog._laws import is_empty

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    store = delta_catalog(spark, str(tmp_path_factory.mktemp("folder") / "a cata'log ü"))
    of = run("r" + AWKWARD, state="COMMITTED", table_version=0, rows=3, finished_at=NOW)
    store.add_keysets([keyset(AWKWARD, key_id=HIGHEST_KEY_ID), keyset("b", family="text")])
    store.begin_run(of)
    store.begin_run(run("other", target=AWKWARD))
    store.add_columns([column(of, "b"), column(of, "a", domain="d"), column(run("x"), "c")])
    store.add_budget_event(event(1, note=AWKWARD))
    store.add_budget_event(event(2, event="reserve", target_version=3))
    return store


def test_both_readers_agree(
    written: Catalog, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_catalog, "_is_local", lambda *_: False)
    written = _catalog.delta_catalog(spark, written.location)  # which reads through Spark now
    for location in (written.location, f"file:{written.location}", f"file://{written.location}"):
        look = open_folder(location)
        assert look.location == location
        assert look.keysets() == written.keysets()
        assert look.runs() == written.runs()
        assert look.columns() == written.columns()
        assert look.budget_events() == written.budget_events()
        assert len(look.budget_events()) == 2
    look = open_folder(Path(written.location))
    assert look.columns(AWKWARD) == written.columns(AWKWARD) == ()
    assert look.run("other") == written.run("other") is not None
    assert look.run("none") is None
    target = "./warehouse/people"
    assert current_columns(look, target) == current_columns(written, target)
    assert [fact.path for fact in current_columns(look, target)] == ["a", "b"]


def test_a_folder_or_table_that_is_not_there_is_empty(spark: SparkSession, tmp_path: Path) -> None:
    is_empty(open_folder(tmp_path / "nothing"))
    (tmp_path / "bare").mkdir()
    is_empty(open_folder(tmp_path / "bare"))
    delta_catalog(spark, str(tmp_path / "half")).add_keysets([keyset("s")])
    half = open_folder(tmp_path / "half")
    assert len(half.keysets()) == 1
    assert (half.runs(), half.columns(), half.budget_events()) == ((), (), ())
    assert not (tmp_path / "nothing").exists()


def test_a_path_that_delta_rs_would_read_otherwise(written: Catalog, tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()  # what a decoded percent sign would lead to
    for name in ("a%20b", "tab\t", "line\n", "back\\slash", "100%25"):
        place = tmp_path / name / "catalog"
        is_empty(open_folder(place))
        shutil.copytree(written.location, place)
        # As the file of a commit under way, which is renamed before it is copied.
        (place / "keysets" / "_delta_log" / ".9.json.tmp").symlink_to(tmp_path / "gone")
        for location in (place, f"file:{place}"):
            assert open_folder(location).runs() == open_folder(written.location).runs()
            assert len(open_folder(location).keysets()) == 2
    assert list((tmp_path / "a b").iterdir()) == []


def test_a_folder_that_may_not_be_entered_is_not_empty(
    written: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("privpipe.catalog._deltars.os.scandir", scandir)
    with pytest.raises(CatalogAccess):
        open_folder(written.location).runs()


def test_it_only_looks(written: Catalog) -> None:
    look = open_folder(written.location)
    for step in (
        lambda: look.add_keysets([keyset("s")]),
        lambda: look.add_columns([]),
        lambda: look.begin_run(run("r")),
        lambda: look.add_budget_event(event(1)),
        lambda: look.update_run(run("r"), held_by=None),
    ):
        with pytest.raises(CatalogAccess, match="to look at only") as caught:
            step()
        assert caught.value.where == written.location


def test_a_catalog_in_a_schema_needs_spark() -> None:
    with pytest.raises(CatalogAccess, match="read through Spark") as caught:
        open_folder("schema:privacy")
    assert caught.value.hint


def test_a_look_takes_well_under_a_second_and_no_jvm(written: Catalog) -> None:
    code = (
        "import sys; from privpipe.catalog import open_folder\n"
        f"look = open_folder({written.location!r})\n"
        "print(len(look.keysets()), len(look.runs()), len(look.columns()))\n"
        "assert not {'pyspark', 'delta', 'py4j', 'pandas'} & set(sys.modules)\n"
    )

    def look() -> float:
        """Seconds of processor time, which the machine's other work does not lengthen."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True
        )
        assert done.stdout.split() == ["2", "2", "3"]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(look() for _ in range(3)) < 0.8
