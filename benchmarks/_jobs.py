"""What the benchmarks of whole Spark jobs share: a project, a race, and UDFs that do nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from cryptography.fernet import Fernet
from pyspark.sql import Column, DataFrame
from pyspark.sql.functions import pandas_udf
from pyspark.sql.pandas.functions import arrow_udf

from privpipe.keys import generate_kek


def project(folder: Path) -> Path:
    """A project of one's own in `folder`; returns its file."""
    generate_kek(folder / "kek.json")
    config = folder / "privpipe.yaml"
    config.write_text(
        "version: 1\ncatalog: catalog\nkek: file:kek.json\n"
        "spark: {spark.master: 'local[2]', spark.driver.memory: 4g}\n"
    )
    return config


def race(jobs: Mapping[str, DataFrame], rounds: int) -> dict[str, float]:
    """The best time of each job, in seconds, of `rounds` turns after one that does not count."""
    return race_calls({name: partial(sink, df) for name, df in jobs.items()}, rounds)


def sink(df: DataFrame) -> None:
    """Computes every row, and keeps none."""
    df.write.format("noop").mode("overwrite").save()


def race_calls(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """As `race`, of whatever can be called."""
    best = dict.fromkeys(jobs, float("inf"))
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            took = seconds(job)
            print(f"round {turn}: {name}: {took:.2f} s", file=sys.stderr)
            if turn:
                best[name] = min(best[name], took)
    return best


def seconds(job: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def identity_udf(returns: str = "string") -> Callable[[Column], Column]:
    """The transport to Python and back, alone."""

    def identity(array: pa.Array) -> pa.Array:
        return array

    return arrow_udf(identity, returns).asNondeterministic()


def null_udf(width: int, returns: str = "binary") -> Callable[[Column], Column]:
    """As many bytes out as a kernel gives, and no work: `binary` or `string` of `width` bytes."""
    kind = pa.string() if returns == "string" else pa.binary()

    def null_kernel(array: pa.Array) -> pa.Array:
        offsets = np.arange(len(array) + 1, dtype=np.int32) * width
        data = np.full(len(array) * width, ord("0"), dtype=np.uint8)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(kind, len(array), buffers)

    return arrow_udf(null_kernel, returns).asNondeterministic()


def fernet_udf() -> Callable[[Column], Column]:
    """What many tutorials leave behind."""
    key = Fernet.generate_key()

    def fernet(values: pd.Series) -> pd.Series:
        cipher = Fernet(key)
        return values.map(lambda value: cipher.encrypt(value.encode()))

    return pandas_udf(fernet, "binary").asNondeterministic()
