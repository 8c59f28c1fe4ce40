"""A shell with a real Spark, and a project in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli._project import POLICY, Project, Shell, hasten, write_people


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The command line, with whatever Spark it needs."""
    started = Shell(tmp_path_factory.mktemp("shell") / "noise.txt")
    yield started
    started.end()


@pytest.fixture(scope="session")
def project(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose table `warehouse/people` was protected by run `first`."""
    folder = tmp_path_factory.mktemp("project")
    made = Project(folder=folder, shell=shell)
    write_people(folder / "people.csv")
    assert made.run("init", ".").code == 0
    hasten(folder)
    (folder / "people.yaml").write_text(POLICY)
    done = made.run(
        *("protect", "people.yaml", "--source", "people.csv"),
        *("--target", "warehouse/people", "--run-id", "first"),
    )
    assert done.code == 0, done
    return made
