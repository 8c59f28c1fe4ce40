"""Tables go to Spark by no file, so that none is left where a driver is killed."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyspark.core import context
from pyspark.sql import SparkSession

from privpipe.spark._handed import handed


def test_no_file_is_written(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file")

    monkeypatch.setattr(context, "NamedTemporaryFile", refuse)
    table = pa.table({"a": [1, None, 3], "b": ["x", "y", None]})
    assert handed(spark, table).toArrow().to_pylist() == table.to_pylist()
    assert not spark.sparkContext._encryption_enabled
    assert handed(spark, table.slice(0, 0)).count() == 0
    with pytest.raises(AssertionError, match="a file"):  # what is kept from happening
        spark.createDataFrame(table)
