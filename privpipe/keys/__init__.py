"""Keys: Tink keysets, wrapped under a KEK, opened where they are needed.

What is listed, sent or stored is a `KeyRef` (a wrapped keyset, or a wrapped key of others). What
works is an `OpenKeyset`, which stays in the process that opened it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from privpipe.keys._backup import backup_text, parse_backup
from privpipe.keys._cache import open_fernet_ref, open_ref, prove_ref
from privpipe.keys._imported import (
    ForeignKey,
    has_passphrase,
    import_scope,
    read_key_file,
    read_passphrase,
)
from privpipe.keys._info import KeyInfo, keyset_info
from privpipe.keys._key_files import open_fernet_file, open_keyset_file, open_vault_file
from privpipe.keys._keyring import Keyring
from privpipe.keys._keyset import generate_wrapped, load_keyset, open_wrapped, rotate_wrapped
from privpipe.keys._opener import OpenerRef, opener_of
from privpipe.keys._primitives import IMPORTED, PRIMITIVES, Primitive, associated_data
from privpipe.keys._ref import KeyRef
from privpipe.keys.kms import generate_kek, open_kek

if TYPE_CHECKING:
    from privpipe.keys._open import OpenKeyset

__all__ = [
    "IMPORTED",
    "PRIMITIVES",
    "ForeignKey",
    "KeyInfo",
    "KeyRef",
    "Keyring",
    "OpenKeyset",
    "OpenerRef",
    "Primitive",
    "associated_data",
    "backup_text",
    "generate_kek",
    "generate_wrapped",
    "has_passphrase",
    "import_scope",
    "keyset_info",
    "load_keyset",
    "open_fernet_file",
    "open_fernet_ref",
    "open_kek",
    "open_keyset_file",
    "open_ref",
    "open_vault_file",
    "open_wrapped",
    "opener_of",
    "parse_backup",
    "prove_ref",
    "read_key_file",
    "read_passphrase",
    "rotate_wrapped",
]


def __getattr__(name: str) -> object:
    # Tink comes with it: only those who open keys wait for that.
    if name == "OpenKeyset":
        from privpipe.keys._open import OpenKeyset

        return OpenKeyset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
