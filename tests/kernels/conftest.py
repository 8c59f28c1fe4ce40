"""Each law holds in batches, by the library's own calls, and as shipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernels.kernels import KERNELS, Law, alone, always_in_batches


@pytest.fixture(params=KERNELS, ids=lambda law: law.name)
def law(request: pytest.FixtureRequest) -> Law:
    found: Law = request.param
    return found


@pytest.fixture(params=["shipped", "batched", "alone"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Which code does the work."""
    modes = {law.mode for law in KERNELS}
    if request.param == "batched":
        with always_in_batches(*modes):
            yield request.param
        return
    if request.param == "alone":
        for mode in modes:
            monkeypatch.setattr(mode, "cost", alone(mode.cost))
    yield request.param
