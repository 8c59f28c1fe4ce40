"""A policy applied to a table's columns."""

from __future__ import annotations

from dataclasses import dataclass, field

from privpipe.arrow import Path, Step
from privpipe.documents import Faults, quote
from privpipe.policy._alike import refuse_alike
from privpipe.policy._becomes import becomes
from privpipe.policy._beside import BESIDE, names_beside
from privpipe.policy._context import column_context, domain_context, subject_context
from privpipe.policy._families import family, refusal, reveals
from privpipe.policy._key_column import refuse_taken_names
from privpipe.policy._match import Branch, match, place_of
from privpipe.policy._model import Policy, Rule
from privpipe.policy._paths import format_path
from privpipe.policy._plan import Action, ColumnPlan, LeafPlan, Plan
from privpipe.policy._settings import Fernet, Replace, Shift
from privpipe.policy._types import Field, TableSchema, Type
from privpipe.policy._vocabulary import PROTECTIONS
from privpipe.policy._warnings import warnings

__all__ = ["plan_table"]


def plan_table(policy: Policy, schema: TableSchema, *, case_sensitive: bool = False) -> Plan:
    """What `policy` makes of a table with these columns. Writes nothing and needs no keys.

    Names match without regard to case, as Spark's do, unless `case_sensitive`.

    Raises:
        PolicyError: every column that is missing, not listed, ambiguous or of a type that its
            protection cannot take, each with the policy's line.
    """
    faults = Faults(name=policy.name, advice="mend the policy, or the source, and plan again")
    planner = _Planner(policy=policy, faults=faults, case_sensitive=case_sensitive)
    columns = planner.columns(schema.fields)
    written = (column.name for column in columns if column.action != "drop")
    refuse_taken_names(policy.rules, written, faults)
    refuse_alike(columns, faults)
    _domains(columns, faults)
    if columns and not faults.found and all(column.action == "drop" for column in columns):
        hint = "keep or protect at least one"
        faults.add(policy.line, "columns", "every column is dropped: no table is left", hint)
    faults.settle()
    return Plan(
        table=policy.table,
        policy_hash=policy.hash,
        policy_json=policy.canonical_json,
        policy_name=policy.name,
        columns=columns,
        undecided=tuple(planner.undecided),
        warnings=warnings(policy, columns, planner.unlisted),
    )


@dataclass(slots=True, kw_only=True)
class _Inside:
    """What the rules do inside one column, as far as they have been followed."""

    leaves: list[LeafPlan] = field(default_factory=list)
    drops: list[Path] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Planner:
    policy: Policy
    faults: Faults
    case_sensitive: bool
    undecided: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    fields: tuple[Field, ...] = ()

    def columns(self, fields: tuple[Field, ...]) -> tuple[ColumnPlan, ...]:
        self.fields = fields
        return tuple(
            self._column(part, branch)
            for part, branch in zip(
                fields, self._match(Branch.of(self.policy), fields, ()), strict=True
            )
        )

    def _column(self, part: Field, branch: Branch | None) -> ColumnPlan:
        inside = _Inside()
        line = self.policy.line
        if branch is None:
            self._not_listed((part.name,), inside)
        else:
            line = min(rule.line for rule in branch.rules())
            self._walk(part.type, branch, (part.name,), inside)
        dropped = (part.name,) in inside.drops
        action: Action = "drop" if dropped else "protect" if inside.leaves else "keep"
        self.undecided += inside.undecided
        return ColumnPlan(
            name=part.name,
            action="undecided" if inside.undecided else action,
            type=part.type,
            nullable=part.nullable,
            leaves=tuple(inside.leaves),
            line=line,
            drops=() if dropped else tuple(inside.drops),
        )

    def _match(
        self, branch: Branch, fields: tuple[Field, ...], path: Path
    ) -> tuple[Branch | None, ...]:
        return match(branch, fields, path, self.faults, case_sensitive=self.case_sensitive)

    def _walk(self, kind: Type, branch: Branch, path: Path, inside: _Inside) -> None:
        """Follows the rules of `branch` into a value of type `kind`, found at `path`."""
        if branch.rule is not None:
            self._apply(branch.rule, kind, path, inside)
        elif kind.kind == "struct":
            self._struct(kind, branch, path, inside)
        else:
            ways = {"array": (Step.ELEMENT, kind.element), "map": (Step.VALUES, kind.value)}
            only, inner = ways.get(kind.kind, (None, None))
            for step, below in branch.inside.items():
                if step is only and inner is not None:
                    self._walk(inner, below, (*path, step), inside)
                else:
                    self._astray(kind, below, path, only)

    def _struct(self, kind: Type, branch: Branch, path: Path, inside: _Inside) -> None:
        places = [(*path, part.name) for part in kind.fields]
        matched = self._match(branch, kind.fields, path)
        for part, place, below in zip(kind.fields, places, matched, strict=True):
            if below is None:
                self._not_listed(place, inside)
            else:
                self._walk(part.type, below, place, inside)
        if set(places) <= set(inside.drops):
            for rule in branch.rules():
                text = f"every field of {quote(format_path(path))} is dropped"
                self.faults.add(rule.line, place_of(rule), text, "drop it as a whole")

    def _apply(self, rule: Rule, kind: Type, path: Path, inside: _Inside) -> None:
        protection = PROTECTIONS[rule.protect]
        if protection.action == "drop":
            inside.drops.append(path)
        elif protection.action == "undecided":
            inside.undecided.append(format_path(path))
        elif protection.action == "protect":
            why_not = refusal(protection, kind, rule.allow, rule.settings)
            if why_not is None and rule.protect == "vault" and len(path) > 1:
                why_not = "a vault is for whole columns", "lift the field out in the source"
            if why_not is None:
                subject = self._subject(rule)
                inside.leaves.append(_leaf(self.policy.table, rule, kind, path, subject))
            else:
                self.faults.add(rule.line, place_of(rule), *why_not)

    def _subject(self, rule: Rule) -> Type | None:
        """The type of a shift's subject; the columns that stand beside a value must be there."""
        subject = None
        for name in names_beside(rule):
            alike = [part for part in self.fields if part.name.lower() == name.lower()]
            there = [part for part in alike if not self.case_sensitive or part.name == name]
            if len(alike) > 1:
                # Spark may read either one, as each session is set: the values would hang on that.
                both = " and ".join(quote(part.name) for part in alike)
                text = f"{quote(name)} stands beside this one, and the source has {both}"
                hint = "only case differs: rename one of them in the source"
                self.faults.add(rule.line, place_of(rule), text, hint)
            elif not there:
                text = f"the source has no column {quote(name)}, which stands beside this one"
                self.faults.add(rule.line, place_of(rule), text)
            elif there[0].type.kind not in BESIDE:
                text = f"{quote(name)} is {there[0].type.text}, which cannot stand beside"
                self.faults.add(rule.line, place_of(rule), text, "take a column of single values")
            elif isinstance(rule.settings, Shift):
                subject = there[0].type
        return subject

    def _not_listed(self, path: Path, inside: _Inside) -> None:
        if self.policy.unlisted == "keep":
            self.unlisted.append(format_path(path))
        elif self.policy.unlisted == "drop":
            inside.drops.append(path)
        else:
            what = "field" if len(path) > 1 else "column"
            self.faults.add(
                self.policy.line,
                f"columns.{format_path(path)}",
                f"the source has this {what}, and the policy does not list it",
                "list it, or set `unlisted:` to keep or drop",
            )

    def _astray(self, kind: Type, below: Branch, path: Path, only: Step | None) -> None:
        here = quote(format_path(path))
        if only is None:
            text, hint = f"{here} is {kind.text}, and nothing lies inside it", None
        else:
            text = f"{here} is {'an' if kind.kind == 'array' else 'a'} {kind.kind}"
            hint = f"what lies inside it is spelt {quote(format_path((*path, only)))}"
        for rule in below.rules():
            self.faults.add(rule.line, place_of(rule), text, hint)


def _leaf(table: str, rule: Rule, kind: Type, path: Path, subject: Type | None) -> LeafPlan:
    protection = PROTECTIONS[rule.protect]
    primitive = protection.primitive_for(rule.settings)
    if isinstance(rule.settings, Replace) and rule.settings.dictionary is None:
        primitive = None
    if isinstance(rule.settings, Fernet) and rule.settings.key is not None:
        primitive = "FERNET"
    values = family(kind if subject is None else subject) if rule.domain is not None else None
    if isinstance(rule.settings, Shift):
        context = subject_context(table, rule.domain)
    elif rule.domain is not None and values is not None:
        context = domain_context(rule.domain, values)
    elif rule.context is not None:
        context = rule.context
    else:
        context = column_context(table, rule.path, kind.text)
    return LeafPlan(
        path=path,
        protection=rule.protect,
        primitive=primitive,
        scope=None if primitive is None else rule.scope(table),
        context=context,
        type=kind.text,
        family=values,
        domain=rule.domain,
        deterministic=protection.deterministic,
        line=rule.line,
        reveals=reveals(protection, kind, path[1:], rule.domain, rule.settings),
        becomes=becomes(rule.protect, kind, rule.settings),
        settings=rule.settings,
        file=rule.file,
        beside=names_beside(rule),
    )


def _domains(columns: tuple[ColumnPlan, ...], faults: Faults) -> None:
    """A domain has one family of values: equal values of two families could never meet."""
    first: dict[str, LeafPlan] = {}
    for leaf in (leaf for column in columns for leaf in column.leaves):
        if leaf.domain is None:
            continue
        other = first.setdefault(leaf.domain, leaf)
        if other.family != leaf.family:
            faults.add(
                leaf.line,
                f"columns.{format_path(leaf.path)}.domain",
                f"{leaf.type} is of the family {leaf.family}, and {format_path(other.path)} on "
                f"line {other.line} gives the domain {quote(leaf.domain)} the family "
                f"{other.family}",
                "cast one of them in the source, or give it a domain of its own",
            )
