"""The loop of a peer's process: a task a line comes in, and an answer a line goes out.

It runs in the peer's own environment, so it knows nothing of privpipe, nor of any peer. A task is
a JSON object: `source` (Parquet files), `unit`, `group`, `keys` (null: they are selected), `groups`
and `rows` (the bounds of a unit), `epsilon`, `delta`, `rho` (which meets both), `how` (a
configuration of the peer's) and `figures`. The answer has `seconds` and `rows`: by key, figures.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

Task = dict[str, Any]
Rows = dict[str, list[float]]


def serve(start: Callable[[], Any], release: Callable[[Any, Task], Rows]) -> None:
    """Answers tasks until its input ends. What the peer prints goes where errors go."""
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    spark = start()
    print(json.dumps({"ready": True}), file=told)
    for line in sys.stdin:
        begun = time.perf_counter()
        try:
            rows = release(spark, json.loads(line))
            answer = {"seconds": time.perf_counter() - begun, "rows": rows}
        except Exception as error:  # noqa: BLE001 (the benchmark says what a peer cannot do)
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=told)
    spark.stop()


def session() -> Any:
    """Spark as the benchmark's own, of the version that this environment has."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", "4g")
    builder = builder.config("spark.ui.enabled", "false")
    for name, value in json.loads(os.environ.get("BESIDE_SPARK", "{}")).items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
