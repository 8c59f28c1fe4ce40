"""Keys of others by the name that the catalog keeps them under: `imported:legacy`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from privpipe.errors import KeyAccessError, KeysetError, KeysetNotFound
from privpipe.kernels import key_fingerprint
from privpipe.keys import IMPORTED, KeyRef, Keyring, import_scope, prove_ref
from privpipe.policy import Plan, leaf_warning

__all__ = ["IMPORTED_HEAD", "imported_ref", "no_such_key", "openers_at_hand"]

IMPORTED_HEAD = "imported:"
_CALLED = {"FERNET": "a Fernet key", "PEM": "a private key"}


def imported_ref(keys: Keyring, named: str, kind: str) -> KeyRef:
    """The ref of the key `imported:<name>`, of the kind FERNET or PEM, proved to open here.

    Raises KeysetNotFound where the catalog has none, KeysetError where it is of another kind.
    """
    scope = import_scope(named.removeprefix(IMPORTED_HEAD))
    ref = keys.find(scope, kind)
    if ref is None:
        raise no_such_key(keys, scope, kind)
    prove_ref(ref)
    return ref


def no_such_key(keys: Keyring, scope: str, kind: str) -> KeyAccessError:
    """What is to be said where `imported:<name>` is not there, or not of this kind."""
    others = [other for other in IMPORTED if other != kind and keys.find(scope, other) is not None]
    if others:
        return KeysetError(f"is {_CALLED[others[0]]}, where {_CALLED[kind]} is wanted", where=scope)
    name = scope.removeprefix(IMPORTED_HEAD)
    return KeysetNotFound(
        f"the catalog has no such key; {_CALLED[kind]} is wanted",
        where=scope,
        hint=f"privpipe keys import {name} --{kind.lower()} FILE",
    )


def openers_at_hand(plan: Plan, imported: Iterable[KeyRef]) -> Iterator[str]:
    """A warning for each sealed column whose private key is among the `imported`: this project
    could read what it is meant only to write."""
    openers = {ref.key_id: ref.scope for ref in imported if ref.primitive == "PEM"}
    for leaf in plan.leaves:
        if leaf.protection == "seal" and leaf.file is not None:
            scope = openers.get(key_fingerprint(leaf.file.text.encode()))
            if scope is not None:
                yield leaf_warning(
                    plan.policy_name,
                    leaf,
                    f"an opener's key on a producer: the catalog keeps it as {scope}, and whoever "
                    "has the KEK here can read what is sealed",
                )
