"""The two libraries of the extra `dp`, loaded where they are used and nowhere before."""

from __future__ import annotations

from types import ModuleType

from privpipe.errors import MissingExtra

__all__ = ["accounting", "opendp"]


def opendp() -> ModuleType:
    """OpenDP, with the measurements that have no formal proof of every line switched on.

    They are all that OpenDP has for noise; `contrib` is its word for vetted, and not yet frozen.
    """
    try:
        import opendp.prelude as loaded
    except ImportError as error:
        raise _missing("opendp") from error
    loaded.enable_features("contrib")
    return loaded


def accounting() -> ModuleType:
    """dp_accounting's privacy loss distributions."""
    try:
        from dp_accounting.pld import privacy_loss_distribution
    except ImportError as error:
        raise _missing("dp-accounting") from error
    return privacy_loss_distribution  # type: ignore[no-any-return]  # it has no types


def _missing(name: str) -> MissingExtra:
    return MissingExtra(
        f"{name} is not installed, and private results need it",
        hint="pip install 'privpipe[dp]'",
    )
