"""What a reviewer should see of the settings of a plan's columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from privpipe.documents import Fault
from privpipe.policy._paths import format_path
from privpipe.policy._plan import LeafPlan
from privpipe.policy._settings import (
    EncryptDeterministic,
    Generalize,
    Mask,
    Pseudonymize,
    Tokenize,
)

__all__ = ["told"]

_SHOWN = 4  # characters: of digits, ten thousand ways
_VALUES = 1_000_000
_ABOUT = ("111 km", "11 km", "1 km", "110 m", "11 m", "1 m", "10 cm", "1 cm", "1 mm")


def told(leaves: list[LeafPlan]) -> Iterator[Fault]:
    """One sentence each, where the settings give rise to it; what holds for a protection as such
    is said once, with all its columns."""
    for leaf in leaves:
        text = "".join(_said(leaf))
        if text:
            yield Fault(line=leaf.line, place=f"columns.{format_path(leaf.path)}", text=text)
    for protection, text in (
        ("fernet", "a Fernet token is bound to no place: moved to another row or column, it opens"),
        ("tokenize", "a token does not say that it was altered: it opens, to another value"),
    ):
        yield from _once([leaf for leaf in leaves if leaf.protection == protection], text)


def _once(leaves: list[LeafPlan], text: str) -> Iterable[Fault]:
    names = ", ".join(format_path(leaf.path) for leaf in leaves)
    return [Fault(line=leaf.line, place="columns", text=f"{text} ({names})") for leaf in leaves[:1]]


def _said(leaf: LeafPlan) -> Iterator[str]:
    settings = leaf.settings
    if isinstance(settings, Tokenize):
        yield "; ".join(_tokens(leaf, settings))
    elif isinstance(settings, EncryptDeterministic) and settings.bind:
        yield (
            f"equal values meet only where {' and '.join(settings.bind)} are equal too: bound, it "
            "no longer joins by itself"
        )
    elif isinstance(settings, Pseudonymize) and settings.output == "int64":
        count = settings.distinct or _VALUES
        more = "" if settings.distinct else "; say `distinct:` where there are more"
        risk = f"{count**2 / 2**65:.1e}"
        yield f"two of {count:,} values meet in an int64 with a probability of up to {risk}{more}"
    elif isinstance(settings, Mask):
        yield from _mask(settings)
    elif isinstance(settings, Generalize):
        yield from _generalize(settings)


def _tokens(leaf: LeafPlan, settings: Tokenize) -> Iterator[str]:
    if settings.tweak is not None:
        yield (
            f"its tokens hang on {settings.tweak} as well: where that is edited later, they come "
            "back as another value"
        )
    if leaf.key_column is not None:
        yield (
            f"equal values meet only where {leaf.key_column} is equal too: after a rotation, join "
            "on both, or rekey the table; and a key id that is edited gives another value"
        )


def _mask(settings: Mask) -> Iterator[str]:
    shown = settings.show.first + settings.show.last
    if shown >= _SHOWN:
        yield f"it shows {shown} characters, which may tell whose they are"
    elif settings.keep != "punctuation" and any(c.isalnum() for c in settings.keep):
        yield "it keeps letters or digits wherever they stand, which may tell whose they are"


def _generalize(settings: Generalize) -> Iterator[str]:
    network = settings.network
    if (settings.prefix or 0) >= _SHOWN:
        yield f"it shows {settings.prefix} characters, which may tell whose they are"
    elif (settings.round or 0) >= 3:
        decimals = settings.round or 0
        yield f"{decimals} decimals tell a place to about {_ABOUT[decimals]}, and so perhaps a home"
    elif network is not None and (network.v4 > 24 or network.v6 > 48):
        yield "so small a network may be one household"
