"""The extra `dp`: loaded where it is used, and named where it is missing."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import privpipe.dp
from privpipe.dp import _libraries as libraries
from privpipe.errors import MissingExtra


def test_importing_the_room_loads_neither() -> None:
    code = (
        "import sys, privpipe, privpipe.dp;"
        "print([m for m in ('opendp', 'dp_accounting', 'pyspark') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("hidden", "code"),
    [
        (
            "opendp",
            "from privpipe.dp import add_noise;"
            "add_noise(np.zeros(1, np.int64), make_laplace(counts, Budget.of_epsilon(1)))",
        ),
        (
            "dp_accounting",
            "from privpipe.dp import release_cost;"
            "release_cost([make_gaussian(counts, Budget.of_rho(1))], 'epsilon', delta='1e-6')",
        ),
    ],
)
def test_a_missing_library_is_named(hidden: str, code: str) -> None:
    """In a process where it cannot be imported: what needs none of it still works."""
    start = (
        f"import sys; sys.modules[{hidden!r}] = None; import numpy as np;"
        "from privpipe.dp import Bounds, Budget, make_gaussian, make_laplace;"
        "counts = Bounds(groups=1, rows=1).counts();"
        "print(make_gaussian(counts, Budget.of_rho(1)).deviation > 0);"
    )
    done = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "True"
    assert "[PP-USE-03]" in done.stderr
    assert "hint: pip install 'privpipe[dp]'" in done.stderr


def test_both_are_here() -> None:
    assert libraries.opendp().__name__ == "opendp.prelude"
    assert hasattr(libraries.accounting(), "PrivacyLossDistribution")
    assert issubclass(MissingExtra, Exception)


@pytest.mark.parametrize(
    "name", [found.name for found in pkgutil.iter_modules(privpipe.dp.__path__, "privpipe.dp.")]
)
def test_the_examples_in_docstrings(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0
