"""A catalog that cannot be read or written: one coded error that says why, and nothing changed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.catalog import memory_catalog, open_folder
from privpipe.errors import CatalogAccess, PrivpipeError
from privpipe.spark._catalog import delta_catalog
from tests.catalog._facts import keyset, run


def refusal(spark: SparkSession, location: str) -> PrivpipeError:
    with pytest.raises(PrivpipeError) as caught:
        delta_catalog(spark, location).add_keysets([keyset("table:t")])
    return caught.value


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Path]:
    """A folder that not even root may write to."""
    folder = tmp_path / "frozen"
    folder.mkdir()
    yield folder
    subprocess.run(["chattr", "-R", "-i", str(folder)], check=False, capture_output=True)


def freeze(folder: Path) -> None:
    if shutil.which("chattr") is None:
        pytest.skip("this machine has no chattr")
    done = subprocess.run(["chattr", "-R", "+i", str(folder)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("no file can be made immutable here")


def test_a_folder_that_may_not_be_written(spark: SparkSession, frozen: Path) -> None:
    freeze(frozen)
    error = refusal(spark, str(frozen))
    assert isinstance(error, CatalogAccess)
    assert "may not write there" in error.message
    assert error.where == str(frozen / "keysets")
    assert error.hint
    assert list(frozen.iterdir()) == []


def test_tables_that_may_not_be_written_are_still_read(spark: SparkSession, frozen: Path) -> None:
    store = delta_catalog(spark, str(frozen))
    first = store.begin_run(run("a"))
    freeze(frozen)
    for step in (
        lambda: store.begin_run(run("b")),
        lambda: store.update_run(first, held_by=None),
        lambda: store.add_keysets([keyset("table:t")]),
    ):
        with pytest.raises(CatalogAccess, match="may not write there"):
            step()
    assert store.runs() == open_folder(frozen).runs() == (first,)


def test_a_file_where_the_folder_must_be(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "catalog").write_text("mine")
    for place in ("catalog", "catalog/below"):
        error = refusal(spark, str(tmp_path / place))
        assert isinstance(error, CatalogAccess)
        assert "a file stands where its folder must be" in error.message
    assert (tmp_path / "catalog").read_text() == "mine"


def test_another_table_where_its_own_must_be(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(1).write.format("delta").save(str(tmp_path / "delta" / "keysets"))
    spark.range(1).write.parquet(str(tmp_path / "parquet" / "keysets"))
    for kind in ("delta", "parquet"):
        error = refusal(spark, str(tmp_path / kind))
        assert isinstance(error, CatalogAccess)
        assert "another table lies there" in error.message
    with pytest.raises(CatalogAccess, match="keysets is another table"):
        open_folder(tmp_path / "delta").keysets()


def test_a_log_that_is_damaged_is_not_empty(spark: SparkSession, tmp_path: Path) -> None:
    delta_catalog(spark, str(tmp_path / "a")).add_keysets([keyset("table:t")])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    log = tmp_path / "b" / "keysets" / "_delta_log"
    for entry in log.glob("*.json"):
        entry.write_text("1234-5678{")
    for entry in [*log.glob("*.crc")]:
        entry.unlink()
    for store in (delta_catalog(spark, str(tmp_path / "b")), open_folder(tmp_path / "b")):
        with pytest.raises(PrivpipeError) as caught:
            store.keysets()
        assert "1234" not in str(caught.value)


def test_no_such_catalog_of_sparks(spark: SparkSession) -> None:
    error = refusal(spark, "schema:nowhere.privacy")
    assert isinstance(error, CatalogAccess)
    assert "no catalog of that name" in error.message


def test_no_such_file_system(spark: SparkSession) -> None:
    error = refusal(spark, "nowhere://bucket/catalog")
    assert isinstance(error, CatalogAccess)
    assert "no file system for this scheme" in error.message


def test_an_in_memory_catalog_that_forgot_its_tables(spark: SparkSession) -> None:
    delta_catalog(spark, "schema:privpipe_forgot").add_keysets([keyset("table:t")])
    location = spark.sql("DESCRIBE DETAIL privpipe_forgot.keysets").collect()[0]["location"]
    copy = Path(location.removeprefix("file:")).with_name("copy")
    shutil.copytree(location.removeprefix("file:"), copy)
    spark.sql("DROP TABLE privpipe_forgot.keysets")
    shutil.copytree(copy, location.removeprefix("file:"))
    error = refusal(spark, "schema:privpipe_forgot")
    assert isinstance(error, CatalogAccess)
    assert "files are there, of no table" in error.message
    assert error.hint
    assert "metastore" in error.hint


def test_a_memory_catalog_needs_no_access() -> None:
    assert memory_catalog().location == "memory:"
