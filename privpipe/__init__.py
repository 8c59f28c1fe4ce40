"""privpipe protects the sensitive columns of tables on Spark and Delta Lake, and gives them back.

A policy file says what becomes of each column; `privpipe.spark` protects a table under it and
reveals it; `privpipe.kernels` holds the ciphers, for arrays with no Spark at hand. Importing this
package starts nothing: each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from privpipe.errors import PrivpipeError
    from privpipe.policy import Policy, load_policy, parse_policy

__all__ = ["Policy", "PrivpipeError", "__version__", "load_policy", "parse_policy"]

__version__: str

_HOMES = {
    "Policy": "privpipe.policy",
    "PrivpipeError": "privpipe.errors",
    "load_policy": "privpipe.policy",
    "parse_policy": "privpipe.policy",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from privpipe._version import installed_version

        value: object = installed_version()
    elif name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
