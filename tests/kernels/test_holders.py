"""Whatever holds a key, or its subkeys and tables, refuses to be pickled or copied."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from privpipe.errors import SecretTravels
from privpipe.kernels import AesGcm, AesSiv
from privpipe.kernels._ghash import Ghash
from privpipe.kernels._row_hash import row_seeds

TRAVELS: dict[str, Callable[[Any], object]] = {
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", TRAVELS)
@pytest.mark.parametrize("kernel", [AesGcm(bytes(range(32))), AesSiv(bytes(range(64)))], ids=repr)
def test_no_part_of_a_kernel_travels(kernel: AesGcm | AesSiv, way: str) -> None:
    parts = [kernel, *_parts(kernel)]
    assert len(parts) >= 3
    for part in parts:
        with pytest.raises(SecretTravels):
            TRAVELS[way](part)


@pytest.mark.parametrize("way", TRAVELS)
def test_the_tables_of_a_head_do_not_travel(way: str) -> None:
    seeds = row_seeds(Ghash(bytes(range(16))), b"", 4)
    with pytest.raises(SecretTravels):
        TRAVELS[way](seeds)
    assert "\\x" not in repr(seeds)


def _parts(holder: object) -> list[object]:
    """The objects of ours that hang on it."""
    found: list[object] = []
    for part in gc.get_referents(holder):
        if type(part).__module__.startswith("privpipe.kernels") and not isinstance(part, type):
            found += [part, *_parts(part)]
    return found
