"""A kernel's docstring is its contract, and its examples run."""

from __future__ import annotations

import doctest
import inspect
import re

import pytest

from privpipe import kernels

HEADINGS = [
    "Input",
    "Output",
    "Nulls",
    "Associated data",
    "Reveals",
    "Limits",
    "Raises",
    "Source",
]

# The rest are small functions around them, and what a kernel hands out.
HANDED_OUT = {"SealedKey"}
CONTRACTS = [
    name
    for name in kernels.__all__
    if inspect.isclass(getattr(kernels, name)) and name not in HANDED_OUT
]


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_headings_are_there_in_order(name: str) -> None:
    text = inspect.getdoc(getattr(kernels, name)) or ""
    assert re.findall(r"^([A-Z][a-z ]+): \S", text, flags=re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_example_runs(name: str) -> None:
    kernel = getattr(kernels, name)
    found = doctest.DocTestFinder(recurse=False).find(kernel, name, globs={name: kernel})
    assert found
    assert found[0].examples
    assert doctest.DocTestRunner().run(found[0]).failed == 0
