"""What is told of a table's risk: counts, sizes and shares, and no value of the table."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AttackRisk", "RiskReport", "SensitiveReport", "SizeBand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeBand:
    """Classes of `least` to `most` rows (no end where that is None), and the rows in them."""

    least: int
    most: int | None
    classes: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackRisk:
    """How likely an attacker names the right person: for the worst row, for the average row, and
    how many rows (and which share of them) are above the threshold."""

    highest: float
    average: float
    rows_above: int
    share_above: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitiveReport:
    """What a class tells of its members' values in one sensitive column, where it tells most.

    `values`: the distinct ones of the table. `distinct`: of the class with the fewest (distinct
    l-diversity). `entropy`: e to the least entropy of a class (entropy l-diversity is this l).
    `recursive`: the table is recursively (c, `recursive_l`)-diverse for every c above this;
    infinite where a class has fewer than that many values. `told_rows`: those in classes of one
    value, which is told of whoever is known to be in the table. `closeness`: the t of
    t-closeness, by the `ordered` distance of numbers, dates and times or the `equal` one.
    """

    column: str
    values: int
    distinct: int
    entropy: float
    recursive: float
    recursive_l: int
    told_rows: int
    closeness: float
    distance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskReport:
    """How well the rows of a table hide among those that share their quasi-identifiers.

    A class is the rows with one combination of these; `k` is the smallest class's size. `sizes`
    tells how many classes of which size there are. The prosecutor knows that a person is in the
    table, the journalist only that it was drawn from `population_rows` people (without a
    population table: knows as much as the prosecutor, and `population_rows` is None), the marketer
    goes for as many right names as possible: `marketer` is the share that is expected.
    `cautions` says why figures may mislead.
    """

    quasi: tuple[str, ...]
    rows: int
    classes: int
    k: int
    unique_rows: int
    unique_share: float
    sizes: tuple[SizeBand, ...]
    threshold: float
    prosecutor: AttackRisk
    journalist: AttackRisk
    marketer: float
    population_rows: int | None
    sensitive: tuple[SensitiveReport, ...]
    cautions: tuple[str, ...] = ()
