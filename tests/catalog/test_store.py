"""The store in memory keeps the laws of every store."""

from __future__ import annotations

import pytest

from privpipe.catalog import memory_catalog
from tests.catalog._laws import LAWS, Law, is_empty


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_memory(law: Law) -> None:
    law(memory_catalog())


def test_memory_begins_empty() -> None:
    is_empty(memory_catalog())
