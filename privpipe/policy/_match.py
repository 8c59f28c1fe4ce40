"""Which rule of a policy reaches which column or field of a table."""

from __future__ import annotations

from dataclasses import dataclass, field

from privpipe.arrow import Path, Step
from privpipe.documents import Faults, nearest, quote
from privpipe.policy._model import Policy, Rule
from privpipe.policy._paths import format_path
from privpipe.policy._types import Field

__all__ = ["Branch", "match", "place_of"]


def place_of(rule: Rule) -> str:
    """Where in the policy the rule stands, for a fault."""
    return f"columns.{format_path(rule.path)}"


@dataclass(slots=True, kw_only=True)
class Branch:
    """The rules from one place in the table down: its own, or those inside, by the next step."""

    rule: Rule | None = None
    inside: dict[str | Step, Branch] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: Policy) -> Branch:
        """All rules of a policy."""
        root = cls()
        for rule in policy.rules:
            branch = root
            for step in rule.path:
                branch = branch.inside.setdefault(step, cls())
            branch.rule = rule
        return root

    def rules(self) -> list[Rule]:
        """Every rule from here down."""
        here = [] if self.rule is None else [self.rule]
        return here + [rule for branch in self.inside.values() for rule in branch.rules()]


def match(
    branch: Branch, fields: tuple[Field, ...], path: Path, faults: Faults, *, case_sensitive: bool
) -> tuple[Branch | None, ...]:
    """For each field at `path` the rules that reach it, or None where it is not listed.

    Names that no field has, that meet a field twice, or that the source has twice, are noted as
    faults.
    """
    places = _places(fields, path, faults, case_sensitive=case_sensitive)
    found: list[Branch | None] = [None] * len(fields)
    for step, below in branch.inside.items():
        at = places.get(_fold(step, case_sensitive)) if isinstance(step, str) else None
        if at is None:
            _missing(step, below, path, fields, faults)
            continue
        first = found[at]
        found[at] = below if first is None else _together(first, below, faults)
    return tuple(found)


def _together(first: Branch, second: Branch, faults: Faults) -> Branch:
    """Two branches into one place, spelt in two cases: fine where their rules are apart."""
    if first.rule is None and second.rule is None:
        inside = dict(first.inside)
        for step, below in second.inside.items():
            inside[step] = _together(inside[step], below, faults) if step in inside else below
        return Branch(inside=inside)
    line = first.rules()[0].line
    for rule in second.rules():
        text = f"the place of line {line} again, or one inside it: only case differs"
        faults.add(rule.line, place_of(rule), text, "list it once")
    return first


def _fold(name: str, case_sensitive: bool) -> str:
    # lower() as Spark and the JVM do, and not casefold(), under which ß would equal ss.
    return name if case_sensitive else name.lower()


def _places(
    fields: tuple[Field, ...], path: Path, faults: Faults, *, case_sensitive: bool
) -> dict[str, int]:
    places: dict[str, int] = {}
    for at, part in enumerate(fields):
        first = places.setdefault(_fold(part.name, case_sensitive), at)
        if first == at:
            continue
        other, name = (format_path((*path, fields[i].name)) for i in (first, at))
        same = "twice" if other == name else f"also as {quote(other)}: only case differs"
        text = f"the source has it {same}"
        faults.add(0, f"columns.{name}", text, "rename one of them in the source")
    return places


def _missing(
    step: str | Step, below: Branch, path: Path, fields: tuple[Field, ...], faults: Faults
) -> None:
    names = [part.name for part in fields]
    near = nearest(step, names) if isinstance(step, str) else None
    owner = f"{quote(format_path(path))} has no such field" if path else "no such column"
    text = f"{owner} in the source"
    if near is not None:
        text += f"; nearest: {quote(format_path((*path, near)))}"
    more = ", …" if len(names) > 20 else ""
    hint = f"it has: {', '.join(format_path((name,)) for name in names[:20])}{more}"
    for rule in below.rules():
        faults.add(rule.line, place_of(rule), text, hint)
