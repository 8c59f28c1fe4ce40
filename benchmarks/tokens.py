"""Format-preserving tokens alone, value for value, beside the peers that are installed.

    python benchmarks/tokens.py [--quick]

Prints a table over alphabets and lengths, for `docs/benchmarks.md`, and exits with 1 where a bar
is missed: values of 16 digits under AES-256 and a tweak of 8 bytes, in batches of 20,000, at least
10 times as fast as `fastfpe` and 40 times as fast as `libffx`, where they can be imported; opening
at most 1.3 times sealing. Times are those of one thread on a processor, best of several.

The kernel works from one Arrow array to another. The peers' strings and tweaks are ready, and
their results are dropped: what a loop over an Arrow array costs besides is not counted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from kernels import best

from privpipe.kernels import Tokens
from privpipe.kernels._alphabets import ALPHABETS

ROWS = 20_000
FEW = 500  # rows that the slow peers are timed over
KEY, TWEAK = os.urandom(32), os.urandom(8)
BAR = "16 digits"
BARS = {"fastfpe": 10.0, "libffx": 40.0}
REVEAL = 1.3

Work = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Values over an alphabet; of each, `first` and `last` characters stay."""

    name: str
    alphabet: str
    length: int
    form: dict[str, Any] = field(default_factory=dict)

    def values(self) -> list[str]:
        draw = np.random.default_rng(7)
        letters = draw.choice([*self.alphabet], (ROWS, self.length))
        return ["".join(row) for row in letters.tolist()]

    def parts(self, values: list[str]) -> tuple[list[bytes], list[str]]:
        """What a peer encrypts of each value, and under which tweak."""
        first, last = self.form.get("first", 0), self.form.get("last", 0)
        stop = self.length - last
        inner = [value[first:stop] for value in values]
        if not first and not last:
            return [TWEAK] * len(values), inner
        return [
            TWEAK + self._sized(value[:first]) + self._sized(value[stop:]) for value in values
        ], inner

    def _sized(self, letters: str) -> bytes:
        return len(letters).to_bytes(4, "big") + bytes(map(self.alphabet.index, letters))


def cases(*, quick: bool) -> list[Case]:
    digits, base62 = ALPHABETS["digits"], ALPHABETS["base62"]
    form = {"first": 6, "last": 4}
    if quick:
        return [Case(name=BAR, alphabet=digits, length=16)]
    sizes = [
        (digits, "digits", (16, 6, 8, 9, 10, 12, 18, 19, 20, 24, 30, 36)),
        (base62, "of base62", (8, 12, 16, 20, 32)),
        (ALPHABETS["hex"], "of hex", (32, 64)),
    ]
    return [
        *(
            Case(name=f"{length} {name}", alphabet=alphabet, length=length)
            for alphabet, name, lengths in sizes
            for length in lengths
        ),
        *(
            Case(name=f"{length} digits, 6 and 4 stay", alphabet=digits, length=length, form=form)
            for length in (16, 19)
        ),
    ]


def peers(case: Case) -> dict[str, Callable[[bytes, str], str]]:
    """One call a value, of the peers that are installed."""
    found: dict[str, Callable[[bytes, str], str]] = {}
    if (fastfpe := load("fastfpe")) is not None:
        key, encrypt, alphabet = KEY.hex(), fastfpe.ff1.encrypt, case.alphabet
        found["fastfpe"] = lambda tweak, value: encrypt(key, tweak.hex(), alphabet, value)
    if (ffx := load("ffx")) is not None:
        run = ffx.FF1(KEY, alphabet=case.alphabet).encrypt
        found["libffx"] = lambda tweak, value: run(value, tweak=tweak)
    return found


def load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def measure(case: Case, times: int) -> dict[str, float]:
    kernel = Tokens(KEY, alphabet=case.alphabet, tweak=TWEAK, **case.form)
    values = case.values()
    column = pa.array(values)
    tokens = kernel.encrypt(column)
    assert kernel.decrypt(tokens).equals(column)
    works: dict[str, tuple[Work, int]] = {
        "encrypt": (lambda: kernel.encrypt(column), times),
        "decrypt": (lambda: kernel.decrypt(tokens), times),
    }
    rows = dict.fromkeys(works, ROWS)
    tweaks, inner = case.parts(values[:FEW])
    _, wanted = case.parts(tokens.slice(0, FEW).to_pylist())
    for name, call in peers(case).items():
        assert list(map(call, tweaks, inner)) == wanted, name
        works[name] = (lambda call=call: list(map(call, tweaks, inner)), 5)  # type: ignore[misc]
        rows[name] = FEW
    spent = zip(works, best([*works.values()], 1), strict=True)
    return {name: nanoseconds / rows[name] for name, nanoseconds in spent}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="only the length that the bars name")
    quick = parser.parse_args().quick
    print("\n### Tokens, ns a value\n")
    print(
        "| values | encrypt | decrypt | fastfpe | libffx | fastfpe / encrypt | libffx / encrypt |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    missed = []
    for case in cases(quick=quick):
        row = measure(case, 40 if case.name == BAR else 8)
        own = row["encrypt"]
        times = [f"{row[name]:.0f}" if name in row else "-" for name in BARS]
        ratios = [f"{row[name] / own:.1f}x" if name in row else "-" for name in BARS]
        cells = [case.name, f"{own:.0f}", f"{row['decrypt']:.0f}", *times, *ratios]
        print(f"| {' | '.join(cells)} |", flush=True)
        if case.name == BAR:
            missed = [name for name, bar in BARS.items() if name in row and row[name] < bar * own]
            missed += ["opening"] if row["decrypt"] > REVEAL * own else []
    for name, module in (("fastfpe", "fastfpe"), ("libffx", "ffx")):
        if load(module) is None:
            print(f"\n{name} is not installed: its bar was not measured")
    if missed:
        print(f"\nmissed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
