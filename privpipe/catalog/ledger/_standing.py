"""How the budgets stand: what is left, what each release cost, and what the whole tells."""

from __future__ import annotations

from fractions import Fraction

from privpipe.catalog._store import Catalog
from privpipe.catalog.ledger._book import Book, read_book
from privpipe.catalog.ledger._facts import Opened, Release, Standing
from privpipe.catalog.ledger._mechanisms import mechanisms_from_text
from privpipe.dp import Budget, epsilon_at, total_budget
from privpipe.errors import BudgetError, MissingExtra

__all__ = ["budgets", "standing", "standings"]

# At which delta a budget without one is told by loss distributions.
_TOLD_AT = Fraction(1, 10**6)


def budgets(catalog: Catalog) -> tuple[Opened, ...]:
    """All budgets that were opened, by name."""
    found = read_book(catalog.budget_events()).budgets
    return tuple(found[name] for name in sorted(found))


def standing(catalog: Catalog, name: str) -> Standing:
    """How the budget `name` stands. Raises UnknownBudget, which lists those there are."""
    return _standing(read_book(catalog.budget_events()), name)


def standings(catalog: Catalog) -> tuple[Standing, ...]:
    """How all budgets stand, by name."""
    book = read_book(catalog.budget_events())
    return tuple(_standing(book, name) for name in sorted(book.budgets))


def _standing(book: Book, name: str) -> Standing:
    budget = book.budget(name)
    total = budget.total
    spent = total_budget(book.charges(name), total.unit)
    releases = book.of_budget(name)
    return Standing(
        name=name,
        total=total,
        spent=spent,
        left=total.minus(spent),
        opened_at=budget.opened_at,
        note=budget.note,
        releases=releases,
        composed=_composed(releases, total.delta or _TOLD_AT),
    )


def _composed(releases: tuple[Release, ...], delta: Fraction) -> Budget | None:
    """All that counts, as if it had been fixed beforehand."""
    texts = [each.mechanisms for each in releases if each.counts]
    mechanisms = [made for text in texts for made in mechanisms_from_text(text)]
    if not mechanisms:
        return None
    try:
        amount = epsilon_at(mechanisms, delta)
    except (BudgetError, MissingExtra):
        # Thresholds that need the whole delta, or a machine that only looks.
        return None
    return Budget(unit="epsilon", amount=amount, delta=delta)
