"""A KEK in a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from privpipe.keys import generate_kek


@pytest.fixture
def kek(tmp_path: Path) -> str:
    """The URI of a fresh KEK."""
    return generate_kek(tmp_path / "secrets" / "kek.json")
