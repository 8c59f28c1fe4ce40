"""A driver that leaks in every way that the search must find. Started like `_driver`."""

from __future__ import annotations

import base64
import logging
import traceback
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import StringType

from privpipe.spark import open_home
from tests.leaks._driver import dumps
from tests.leaks._scene import KEYS, VALUES


def fails(column: pa.Array) -> pa.Array:
    """A UDF that tells the value it stumbled on."""
    raise ValueError(f"cannot take {column[7]}")


def main() -> None:
    logging.basicConfig(filename="logs/python.log", level=logging.INFO)
    with open_home("privpipe.yaml") as home:
        source = home.spark.read.parquet("source/people.parquet")
        assert source.where(F.col("name") == F.lit(VALUES["name"])).count() == 12

        jvm: Any = home.spark.sparkContext._jvm
        library = jvm.org.apache.logging.log4j.LogManager.getLogger("a library")
        library.debug("opened with {}", KEYS["the KEK"].hex())
        key = KEYS["the table's random key"]
        logging.getLogger("a job").info("its key is %s", base64.b64encode(b"k=" + key).decode())
        Path("out/closure.pickle").write_bytes(dumps(lambda: key))

        log4j = jvm.org.apache.logging.log4j
        # As in a session that privpipe did not build.
        log4j.core.config.Configurator.setLevel("org.apache.spark.sql.delta", log4j.Level.INFO)
        source.select("ssn", "mail").coalesce(1).write.format("delta").save("warehouse/clear")
        spilled = source.repartition(2, "pin").sortWithinPartitions("pin")
        spilled.write.format("noop").mode("overwrite").save()

        failing: Any = arrow_udf(fails, StringType())  # type: ignore[call-overload]
        try:
            source.select(failing("secret")).collect()
        except PySparkException:
            traceback.print_exc()


if __name__ == "__main__":
    main()
