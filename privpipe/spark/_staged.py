"""A new place is whole or not there: it is written beside itself, and renamed at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from privpipe.errors import TargetError
from privpipe.spark._names import is_path

__all__ = ["staged"]


@contextmanager
def staged(target: str) -> Iterator[str]:
    """Where to write what shall stand at `target` once the block ends; nothing where it fails.

    Only a local folder can be renamed in one step; another file system, or a name of Spark's
    catalog, is written to as it is. Raises TargetError where the target was made meanwhile.
    """
    if not (is_path(target) and target.startswith("/")):
        yield target
        return
    place = Path(target)
    # The ending says in which format it is written.
    beside = place.with_name(f"{place.stem}-privpipe-{uuid4().hex}{place.suffix}")
    try:
        yield str(beside)
        _move(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _move(beside: Path, place: Path) -> None:
    try:
        beside.rename(place)  # over an empty folder at most
    except OSError:
        raise TargetError(
            "another job made the target meanwhile",
            where=str(place),
            hint="choose another target, or take that one away first",
        ) from None
