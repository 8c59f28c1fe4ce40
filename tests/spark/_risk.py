"""What the figures of a table's risk are by definition: rows in lists, no Spark, no ranks."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Classes = dict[tuple[Any, ...], list[Row]]

SEED = 20070415


def classes_of(rows: Iterable[Row], quasi: Sequence[str]) -> Classes:
    """Rows by what they have in the quasi columns; None is a value as any other."""
    found: Classes = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in quasi)].append(row)
    return found


def people(count: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Rows of a few numbers, texts, dates (as text) and nulls."""
    draw = random.Random(seed)
    return [
        {
            "id": at,
            "age": draw.choice([None, *range(20, 60, draw.choice([1, 2, 3]))]),
            "zip": draw.choice([None, "02134", "02135", "10117", "60601", "A, b", ""]),
            "sex": draw.choice("fm"),
            "pay": draw.choice([None, *map(float, range(10))])
            if at % 3
            else draw.randrange(4) * 1.5,
            "ill": draw.choice([None, "flu", "gout", "cold", "cold"]),
        }
        for at in range(count)
    ]


def distribution(rows: Sequence[Row], column: str) -> Counter[Any]:
    return Counter(row[column] for row in rows)


def equal_distance(own: Counter[Any], whole: Counter[Any]) -> float:
    """Half of what the two shares of each value differ by."""
    n, total = own.total(), whole.total()
    return sum(abs(own[value] / n - whole[value] / total) for value in whole) / 2


def ordered_distance(own: Counter[Any], whole: Counter[Any]) -> float:
    """Mass that is carried over each step between neighbours; None lies below all."""
    order = sorted(whole, key=lambda value: (value is not None, value))
    if len(order) < 2:
        return 0.0
    n, total, carried, work = own.total(), whole.total(), 0.0, 0.0
    for value in order:
        carried += own[value] / n - whole[value] / total
        work += abs(carried)
    return work / (len(order) - 1)


def entropy(own: Counter[Any]) -> float:
    n = own.total()
    return -sum(count / n * math.log(count / n) for count in own.values())


def recursive(own: Counter[Any], l_: int) -> float:
    counts = sorted(own.values(), reverse=True)
    rest = sum(counts[l_ - 1 :])
    return counts[0] / rest if rest else math.inf


def diversity(classes: Classes, column: str, l_: int, *, ordered: bool) -> dict[str, Any]:
    """The figures of a sensitive column, each of the class that has the worst."""
    owns = [distribution(rows, column) for rows in classes.values()]
    whole = sum(owns, Counter())
    distance = ordered_distance if ordered else equal_distance
    return {
        "column": column,
        "values": len(whole),
        "distinct": min(len(own) for own in owns),
        "entropy": math.exp(min(map(entropy, owns))),
        "recursive": max(recursive(own, l_) for own in owns),
        "recursive_l": l_,
        "told_rows": sum(own.total() for own in owns if len(own) == 1),
        "closeness": max(distance(own, whole) for own in owns),
        "distance": "ordered" if ordered else "equal",
    }


def attack(classes: Classes, sizes: Mapping[tuple[Any, ...], int], above: float) -> dict[str, Any]:
    """Each row's risk is one to `sizes` of its class."""
    risks = [1 / sizes[key] for key, rows in classes.items() for _ in rows]
    over = [risk for risk in risks if risk > above]
    return {
        "highest": max(risks),
        "average": sum(risks) / len(risks),
        "rows_above": len(over),
        "share_above": len(over) / len(risks),
    }
