"""What a plan permits and a reviewer should still see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from privpipe.arrow import Step
from privpipe.documents import Fault, quote
from privpipe.policy._model import Policy
from privpipe.policy._paths import format_path
from privpipe.policy._plan import ColumnPlan, LeafPlan
from privpipe.policy._settings import Tokenize
from privpipe.policy._vocabulary import PROTECTIONS
from privpipe.policy._warnings_told import told

__all__ = ["leaf_warning", "warnings"]

# Types whose every value can be listed: equality alone then tells the values by their counts.
_FEW_VALUES = {"boolean": 2, "tinyint": 256}


def warnings(
    policy: Policy, columns: tuple[ColumnPlan, ...], unlisted: Iterable[str]
) -> tuple[str, ...]:
    """The warnings of a plan, each with the policy's line, in the order of the lines."""
    leaves = [leaf for column in columns for leaf in column.leaves]
    found = [
        *_few_values(leaves),
        *_clear_keys(leaves),
        *_contexts(leaves),
        *told(leaves),
        *_set_aside(leaves),
        *_in_clear(policy, tuple(unlisted)),
    ]
    if not leaves:
        found.append(Fault(line=0, place="columns", text="nothing is protected"))
    found.sort(key=lambda warning: warning.line)
    return tuple(_told(policy.name, warning) for warning in found)


def leaf_warning(policy_name: str, leaf: LeafPlan, text: str) -> str:
    """A warning of a plan's leaf, in the form of the others."""
    return _told(policy_name, Fault(line=leaf.line, place=_place(leaf), text=text))


def _told(policy_name: str, warning: Fault) -> str:
    return f"{warning.where(policy_name)}: {warning.text}"


def _place(leaf: LeafPlan) -> str:
    return f"columns.{format_path(leaf.path)}"


def _few_values(leaves: list[LeafPlan]) -> Iterator[Fault]:
    for leaf in leaves:
        count = _FEW_VALUES.get(leaf.type)
        equal = "equality" in leaf.reveals
        if equal and count is not None:
            yield Fault(
                line=leaf.line,
                place=_place(leaf),
                text=f"a {leaf.type} has {count} values at most, so counting equal {_what(leaf)} "
                "tells them apart; use encrypt unless it must join",
            )


def _what(leaf: LeafPlan) -> str:
    return "ciphertexts" if PROTECTIONS[leaf.protection].authenticated else "stand-ins"


def _clear_keys(leaves: list[LeafPlan]) -> Iterator[Fault]:
    for leaf in leaves:
        if Step.VALUES in leaf.path:
            yield Fault(
                line=leaf.line,
                place=_place(leaf),
                text="the keys of the map stay in clear; encrypt the whole map to hide them",
            )


def _set_aside(leaves: list[LeafPlan]) -> Iterator[Fault]:
    """Rows that are set aside can be read whole, what has no way back in the table among it."""
    lossy = [leaf for leaf in leaves if not PROTECTIONS[leaf.protection].reversible]
    names = ", ".join(format_path(leaf.path) for leaf in lossy)
    for leaf in leaves:
        apart = isinstance(leaf.settings, Tokenize) and leaf.settings.on_invalid == "quarantine"
        if apart and lossy:
            yield Fault(
                line=leaf.line,
                place=_place(leaf),
                text=f"rows set aside are encrypted whole, and so hold {names} in full for whoever "
                "may reveal them; drop such rows in the source if that must not be",
            )


def _contexts(leaves: list[LeafPlan]) -> Iterator[Fault]:
    sharing: dict[tuple[object, str], list[LeafPlan]] = defaultdict(list)
    for leaf in leaves:
        key = leaf.keyset or (leaf.file and leaf.file.digest)
        # Only what is authenticated is bound to a place, and Fernet knows none.
        bound = PROTECTIONS[leaf.protection].authenticated and leaf.protection != "fernet"
        if bound or _joins_by_context(leaf):
            sharing[key, leaf.context].append(leaf)
        if bound and not leaf.context:
            yield Fault(
                line=leaf.line,
                place=_place(leaf),
                text="an empty context binds its values to no place",
            )
    for first, *others in sharing.values():
        for other in others:
            yield Fault(
                line=other.line,
                place=_place(other),
                text=f"shares key and context {quote(other.context)} with "
                f"{format_path(first.path)}: {_shared(other)}",
            )


def _joins_by_context(leaf: LeafPlan) -> bool:
    """In a domain, that is what was asked for."""
    return leaf.protection in {"pseudonymize", "tokenize"} and leaf.domain is None


def _shared(leaf: LeafPlan) -> str:
    if _joins_by_context(leaf):
        return f"equal values of the two have equal {_what(leaf)}"
    return "values swapped between them go unnoticed"


def _in_clear(policy: Policy, unlisted: tuple[str, ...]) -> Iterator[Fault]:
    if unlisted:
        shown = ", ".join(unlisted[:10]) + (f" and {len(unlisted) - 10} more") * (
            len(unlisted) > 10
        )
        yield Fault(
            line=policy.line,
            place="unlisted",
            text=f"not listed and so kept in clear: {shown}",
        )
