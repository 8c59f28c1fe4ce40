"""Many byte strings looked for in one go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["HEAD", "Needles"]

HEAD = 8
_BLOCK = 1 << 18  # what stays in the processor's cache
_ODD = np.uint64(0x9E37_79B9_7F4A_7C15)
_REST = np.uint64(48)

T = TypeVar("T")


class Needles(Generic[T]):
    """Byte strings of at least 8 bytes, each with what it stands for.

    `bytes.find` reads the content once a needle, and there are hundreds. This reads it once for the
    first eight bytes of all of them, and then once for each needle whose own were there.

    >>> found = Needles([(b"Zyxwvutsky", "a name"), (b"Zyxwvuts!!", "another")])
    >>> list(found.inside(b"a row of Zyxwvutsky"))
    ['a name']
    """

    def __init__(self, needles: Iterable[tuple[bytes, T]]) -> None:
        self._needles = tuple(needles)
        self._by_head: dict[int, list[int]] = {}
        for place, (needle, _) in enumerate(self._needles):
            if len(needle) < HEAD:
                raise ValueError(f"a needle has {len(needle)} bytes, and {HEAD} are needed")
            head = int.from_bytes(needle[:HEAD], "little")
            self._by_head.setdefault(head, []).append(place)
        self._marked = np.zeros(1 << 16, dtype=bool)
        self._marked[_places(np.array(list(self._by_head), dtype=np.uint64))] = True

    def inside(self, content: bytes) -> Iterator[T]:
        """What the needles that are in `content` stand for, in their order."""
        for place in sorted(at for head in self._heads_in(content) for at in self._by_head[head]):
            needle, meaning = self._needles[place]
            if needle in content:
                yield meaning

    def _heads_in(self, content: bytes) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(content), _BLOCK):
            for at in range(start, start + HEAD):
                count = min(_BLOCK, len(content) - at) // HEAD
                if count < 1:
                    break
                words = np.frombuffer(content, "<u8", count=count, offset=at)
                likely = words[self._marked[_places(words)]]
                found.update(head for head in likely.tolist() if head in self._by_head)
        return found


def _places(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return (words * _ODD) >> _REST
