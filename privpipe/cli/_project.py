"""The project a command works in: found, loaded, opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from privpipe.cli._output import Output
from privpipe.errors import ConfigError

if TYPE_CHECKING:
    from privpipe.catalog import Catalog
    from privpipe.policy import Project
    from privpipe.spark import Home

__all__ = ["catalog_of", "home_of", "home_or_none", "load", "spark_home"]


def load(out: Output) -> Project:
    """The project that `--config`, the environment or the folder names. Raises ConfigError."""
    from privpipe.policy import find_project, load_project

    return load_project(find_project(out.settings.config, os.environ, Path.cwd()))


@contextmanager
def home_or_none(out: Output) -> Iterator[Home | None]:
    """The project opened, or None where none is named and none is there: for what needs none."""
    from privpipe.policy import find_project, load_project

    try:
        path = find_project(out.settings.config, os.environ, Path.cwd())
    except ConfigError:
        if out.settings.config is not None or os.environ.get("PRIVPIPE_CONFIG"):
            raise
        yield None
        return
    with home_of(out, load_project(path)) as home:
        yield home


def spark_home(project: Project) -> Home:
    """The project opened in a Spark session: a context manager, which ends the session."""
    from privpipe.spark import open_home

    return open_home(project.path)


@contextmanager
def home_of(out: Output, project: Project | None = None) -> Iterator[Home]:
    """The same with a spinner; the project is found unless given."""
    project = project or load(out)
    with out.working("starting Spark"):
        home = spark_home(project)
    with home as opened:
        yield opened


@contextmanager
def catalog_of(out: Output, project: Project) -> Iterator[Catalog]:
    """The project's catalog to look at: a folder's with no JVM, a schema's through Spark."""
    from privpipe.catalog import open_folder

    if not project.catalog.startswith("schema:"):
        yield open_folder(project.catalog)
        return
    if not out.settings.json:
        out.warn(f"the catalog is in Spark's own ({project.catalog}): starting Spark to read it")
    with home_of(out, project) as home:
        yield home.catalog
