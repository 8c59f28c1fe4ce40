"""The steps of the features' story, each of which checks what it says against the census."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privpipe.cli._budget import draw_standings
from privpipe.cli._cells import cell
from privpipe.cli._demo_data import PeopleTable
from privpipe.cli._demo_exact import Compared, compare, rms, strip, within
from privpipe.cli._errors import coded
from privpipe.cli._feature_views import draw_attacks, draw_plan, run_lines
from privpipe.cli._output import table
from privpipe.cli._story import Story
from privpipe.errors import BudgetSpent, PrivpipeError

if TYPE_CHECKING:
    from privpipe.catalog.ledger import Standing
    from privpipe.features import FeaturePlan
    from privpipe.spark import Home, Run

__all__ = ["FeaturesDemo"]

_POLICY = "policies/census.yaml"
_DATA = "data/census.csv"
_CENSUS = "warehouse/census"
_SPEC = "features/census.yaml"
_WORK = "warehouse/work"
_RUN = "work-1995"
_BUDGET = "census"
_EPSILON, _DELTA = "1.5", "1e-8"
_SHOWN = 8
# Of 34 intervals of 95 % fewer hold once in ten million runs; and so rarely are the errors of 34
# groups together, of Laplace noise, further from what is stated than by these factors.
_LEAST = 22
_FACTORS = 0.25, 3.0


@dataclass(kw_only=True)
class FeaturesDemo:
    """The story at work, in the project's folder."""

    story: Story
    home: Home
    census: PeopleTable
    planned: FeaturePlan

    def protect(self) -> None:
        """Protects the census."""
        story = self.story
        story.chapter("Protected first")
        story.tell(
            "Each person gets a pseudonym, and what is told of them is encrypted. The pseudonym "
            "is the privacy unit: a release hides whoever bears it, with all their rows."
        )
        story.command(f"privpipe protect {_POLICY} --source {_DATA} --target {_CENSUS}")
        run = self.home.protect(_POLICY, source=_DATA, target=_CENSUS)
        stored = self._read(_CENSUS).limit(1).collect()[0].asDict()
        shown = [(name, cell(value)) for name, value in stored.items()]
        story.draw(lambda console: table(console, ["column", "as stored"], shown))
        story.claim(
            f"{run.rows:,} rows; nobody's number, age, weeks or gains in clear",
            holds=run.rows == len(self.census.rows)
            and len(stored["person"]) == 36
            and all(isinstance(stored[name], bytes) for name in ("age", "weeks_worked")),
            rows=run.rows,
        )

    def _read(self, place: str) -> Any:
        return self.home.spark.read.format("delta").load(str(Path(place).absolute()))

    def open_budget(self) -> None:
        """Opens the budget that pays for all that is told of the census."""
        from privpipe.catalog.ledger import open_budget
        from privpipe.dp import Budget

        story = self.story
        story.chapter("A budget")
        story.tell(
            "Epsilon bounds how much likelier anything that is published becomes because you are "
            "in the data: by a factor of e^epsilon. Every release adds to it. So one budget pays "
            "for the whole table, opened once, and for good."
        )
        story.command(f"privpipe budget open {_BUDGET} --epsilon {_EPSILON} --delta {_DELTA}")
        total = Budget.of_epsilon(_EPSILON, delta=_DELTA)
        opened = open_budget(self.home.catalog, _BUDGET, total)
        story.claim(f"opened: {opened.total}", holds=self._standing().left == total)

    def _standing(self) -> Standing:
        from privpipe.catalog.ledger import standing

        return standing(self.home.catalog, _BUDGET)

    def plan(self) -> None:
        """Tells the price, and the errors, from the spec alone."""
        story = self.story
        story.chapter("The price, before a row is read")
        story.command(f"privpipe features plan {_SPEC}")
        before = self._standing()
        story.draw(lambda console: draw_plan(console, self.planned, before))
        story.claim(
            "all of it from the spec; nothing is charged for a plan",
            holds=not before.releases and before.left.holds(self.planned.cost.charge),
        )

    def release(self) -> None:
        """Releases the figures."""
        story = self.story
        story.chapter("Released, once")
        story.command(f"privpipe features run {_SPEC} --target {_WORK} --run-id {_RUN}")
        run = self._run()
        self._tell(run)
        [release] = self._standing().releases
        story.claim(
            "what the plan said is what was charged",
            holds=release.charge == self.planned.cost.charge and release.state == "published",
            groups=run.rows,
        )

    def _run(self) -> Run:
        return self.home.features(_SPEC, _WORK, run_id=_RUN)

    def _tell(self, run: Run) -> None:
        stands = self._standing()
        for line in run_lines(run, str(stands.releases[-1].charge), stands):
            self.story.line(line)

    def compare(self) -> None:
        """Holds the private figures against the exact ones."""
        story = self.story
        story.chapter("Exact against private")
        story.tell(
            "We have the census in clear, so we may look. Each interval is drawn around the exact "
            "mean |, with the private one at o: wide for few people, narrow for many."
        )
        groups = compare(self.census, [row.asDict() for row in self._read(_WORK).collect()])
        chosen = [groups[at * (len(groups) - 1) // (_SHOWN - 1)] for at in range(_SHOWN)]
        reach = max(each.reach("weeks") for each in chosen)
        heads = ["education", "sex", "people", "private", "weeks", "private", "95 % interval", ""]
        rows = [_row(each, reach) for each in chosen]
        story.draw(lambda console: table(console, heads, rows))
        for figure in ("people", "weeks"):
            held = within(groups, figure)
            story.claim(
                f"{figure}: {held} of {len(groups)} intervals hold what is exact",
                holds=len(groups) == 34 and held >= _LEAST,
                **{f"{figure}_held": held},
            )
        errors = {each.name: each.error for each in self.planned.expected}
        people = rms([each.off("people") for each in groups])
        weeks = rms([each.off("weeks") * each.people / 1000 for each in groups])
        low, high = _FACTORS
        story.claim(
            f"people are off by {people:.3g}, root mean square; stated {errors['people']:.3g}",
            holds=low < people / errors["people"] < high,
            people_error=people,
        )
        story.claim(
            f"weeks by {weeks:.3g}, in a group of 1,000; stated {errors['weeks']:.3g} at most",
            holds=weeks / errors["weeks"] < high,
            weeks_error=weeks,
        )

    def overspend(self) -> None:
        """Asks for more than is left."""
        story = self.story
        story.chapter("What the budget does not hold")
        story.tell("The same figures once more, with new noise: both together would tell more.")
        story.command(f"privpipe features run {_SPEC} --target warehouse/again")
        before = self._standing()
        refusal = self._refusal()
        for line in str(refusal).splitlines():
            story.line(line)
        story.claim(
            "refused with exit code 3; nothing drawn, nothing written, nothing charged",
            holds=isinstance(refusal, BudgetSpent)
            and refusal.exit_code == 3
            and self._standing() == before
            and not Path("warehouse/again").exists(),
            refused=None if refusal is None else refusal.code,
        )

    def _refusal(self) -> PrivpipeError | None:
        try:
            self.home.features(_SPEC, "warehouse/again")
        except Exception as error:  # noqa: BLE001 (it is looked at, whatever it is)
            return coded(error)
        return None

    def repeat(self) -> None:
        """Runs the same run again."""
        story = self.story
        story.chapter("The same run again")
        story.tell("A job that is repeated must not draw anew: the mean of two draws tells more.")
        story.command(f"privpipe features run {_SPEC} --target {_WORK} --run-id {_RUN}")
        before, rows = self._standing(), self._rows()
        run = self._run()
        self._tell(run)
        story.claim(
            "no noise drawn, nothing charged; the figures are the same",
            holds=run.replayed and self._standing() == before and self._rows() == rows,
        )

    def _rows(self) -> list[tuple[Any, ...]]:
        rows = self._read(_WORK).select("education", "sex", "people", "weeks").collect()
        return sorted(tuple(row) for row in rows)

    def attack(self) -> None:
        """Attacks the release."""
        story = self.story
        story.chapter("An attack on it")
        story.tell(
            "One person is taken out, and the release is drawn thousands of times with and without "
            "them. The best test there is shows at least so much epsilon. That proves nothing, but "
            "a claim that is badly wrong would be found out."
        )
        story.command(f"privpipe audit-release {_SPEC} --units 1")
        found = self.home.attack(_SPEC, units=1)
        story.draw(lambda console: draw_attacks(console, found))
        story.claim(
            "it shows no more than is claimed; and no figure, and it charges nothing",
            holds=all(each.holds for each in found) and len(self._standing().releases) == 1,
            epsilon_shown=statistics.fmean(each.shown for each in found),
        )

    def look_up(self) -> None:
        """What is left."""
        story = self.story
        story.chapter("The budget, burned")
        story.command(f"privpipe budget show {_BUDGET}")
        stands = self._standing()
        story.draw(lambda console: draw_standings(console, [stands]))
        spent = stands.total.minus(stands.left)
        story.claim(
            "one release, on record: what it read, what it wrote, and what it cost for good",
            holds=[each.charge for each in stands.releases] == [spent],
            left=float(stands.left.amount),
        )


def _row(each: Compared, reach: float) -> tuple[str, ...]:
    told = each.told
    return (
        each.group[0].partition("(")[0].strip(),
        each.group[1],
        f"{each.people:,}",
        f"{told['people']:,}",
        f"{each.weeks:.2f}",
        f"{told['weeks']:.2f}",
        f"{told['weeks_low']:.2f} to {told['weeks_high']:.2f}",
        strip(each, "weeks", reach),
    )
