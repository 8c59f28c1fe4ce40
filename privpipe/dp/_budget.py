"""Budgets: epsilon, (epsilon, delta) and zCDP's rho, exact, added and compared without rounding.

Two units do not compare: a loss told in rho is no loss told in epsilon until a delta is chosen,
and choosing it is the analyst's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self

from privpipe.dp._exact import Written, parse_exact, shown
from privpipe.errors import BudgetError

__all__ = ["Budget", "Unit", "parse_budget", "total_budget"]

Unit = Literal["epsilon", "rho"]
_KEYS = ("epsilon", "rho", "delta")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """An amount of privacy loss: what may be spent, was spent, or one release costs.

    `unit` is `epsilon` (pure where `delta` is 0, Dwork and Roth 2014) or `rho` (zero-concentrated,
    Bun and Steinke 2016; with a `delta`, their delta-approximate form in section 8). Both parts are
    exact and add up on their own.

    Raises: `BudgetError` for a negative amount, or a delta outside [0, 1).

    >>> half = Budget.of_epsilon("0.1", delta="1e-6").split([1, 1])[0]
    >>> print(half + half, half.kind)
    epsilon 0.1, delta 1e-06 approximate
    """

    unit: Unit
    amount: Fraction
    delta: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if self.unit not in ("epsilon", "rho"):
            raise BudgetError(f"no unit of privacy loss: {self.unit!r}", hint="epsilon or rho")
        if not all(isinstance(part, Fraction) for part in (self.amount, self.delta)):
            raise BudgetError("a budget is made of exact fractions", hint="see parse_budget")
        if self.amount < 0:
            raise BudgetError(f"{self.unit} is negative")
        if not 0 <= self.delta < 1:
            raise BudgetError("delta is outside [0, 1)", hint="far below one over the row count")

    @classmethod
    def of_epsilon(cls, epsilon: Written, *, delta: Written = 0) -> Self:
        """Pure epsilon, or (epsilon, delta)."""
        return cls(unit="epsilon", amount=parse_exact(epsilon), delta=parse_exact(delta))

    @classmethod
    def of_rho(cls, rho: Written, *, delta: Written = 0) -> Self:
        """zCDP's rho; a delta is wanted by private selection alone."""
        return cls(unit="rho", amount=parse_exact(rho), delta=parse_exact(delta))

    @property
    def kind(self) -> Literal["pure", "approximate", "zcdp"]:
        """Which definition of differential privacy the amount is of."""
        if self.unit == "rho":
            return "zcdp"
        return "approximate" if self.delta else "pure"

    def __add__(self, other: Budget) -> Budget:
        self._like(other)
        return Budget(
            unit=self.unit, amount=self.amount + other.amount, delta=self.delta + other.delta
        )

    def holds(self, charge: Budget) -> bool:
        """Whether `charge` fits, in both parts."""
        self._like(charge)
        return charge.amount <= self.amount and charge.delta <= self.delta

    def minus(self, spent: Budget) -> Budget:
        """What is left.

        Raises: `BudgetError` where `spent` does not fit.
        """
        if not self.holds(spent):
            raise BudgetError(f"{spent} is more than {self}")
        return Budget(
            unit=self.unit, amount=self.amount - spent.amount, delta=self.delta - spent.delta
        )

    def split(self, weights: Sequence[Written]) -> tuple[Budget, ...]:
        """Shares in proportion to `weights`, which add up to the whole exactly."""
        exact = [parse_exact(weight) for weight in weights]
        if not exact or min(exact) <= 0:
            raise BudgetError("a budget is split by weights above 0")
        whole = sum(exact, Fraction(0))
        return tuple(
            Budget(
                unit=self.unit, amount=self.amount * each / whole, delta=self.delta * each / whole
            )
            for each in exact
        )

    def as_record(self) -> dict[str, str]:
        """Exact text for a ledger; `parse_budget` reads it back."""
        return {self.unit: str(self.amount), "delta": str(self.delta)}

    def __str__(self) -> str:
        tail = f", delta {shown(self.delta)}" if self.delta else ""
        return f"{self.unit} {shown(self.amount)}{tail}"

    def _like(self, other: Budget) -> None:
        if self.unit != other.unit:
            raise BudgetError(
                f"{self.unit} and {other.unit} do not compare",
                hint="charge every release of a budget in the budget's own unit",
            )


def parse_budget(written: Mapping[str, Written], where: str | None = None) -> Budget:
    """The budget that a policy or a ledger wrote: `epsilon` or `rho`, and perhaps `delta`.

    Raises: `BudgetError`, with `where`, for an unknown or missing key and a number that is none.

    >>> parse_budget({"epsilon": 0.1, "delta": "1e-6"}).amount
    Fraction(1, 10)
    """
    unknown = sorted(set(written) - set(_KEYS))
    if unknown:
        raise BudgetError(
            f"unknown in a budget: {', '.join(unknown)}", where=where, hint=", ".join(_KEYS)
        )
    if ("epsilon" in written) == ("rho" in written):
        raise BudgetError("a budget has epsilon or rho, and not both", where=where)
    unit: Unit = "epsilon" if "epsilon" in written else "rho"
    amount = parse_exact(written[unit], where)
    delta = parse_exact(written.get("delta", 0), where)
    try:
        return Budget(unit=unit, amount=amount, delta=delta)
    except BudgetError as error:
        raise BudgetError(error.message, where=where, hint=error.hint) from None


def total_budget(charges: Iterable[Budget], unit: Unit) -> Budget:
    """The sum of `charges`, which are of `unit`: basic composition, whatever order they came in."""
    whole = Budget(unit=unit, amount=Fraction(0))
    for charge in charges:
        whole += charge
    return whole
