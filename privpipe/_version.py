"""The installed version, read from the package's metadata so that it is written down once."""

from __future__ import annotations

from importlib import metadata

__all__ = ["installed_version"]


def installed_version() -> str:
    """The version of the installed distribution, or `0+source` where it was not installed."""
    try:
        return metadata.version("privpipe")
    except metadata.PackageNotFoundError:
        return "0+source"
