"""A project opened: the common way into the room."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from privpipe.policy import load_project
from privpipe.spark._home import Home
from privpipe.spark._session import build_session

__all__ = ["open_home"]


def open_home(config: str | Path = "privpipe.yaml", spark: SparkSession | None = None) -> Home:
    """Opens the project whose file is `config`, in the session given or in one built for it.

    Raises ConfigError where there is no such file or it is wrong.
    """
    project = load_project(Path(config))
    session = build_session(project.spark) if spark is None else spark
    return Home(project, session, owns_session=spark is None)
