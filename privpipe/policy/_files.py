"""The files that a policy names: lists, hierarchies, public keys. Read when the policy is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from privpipe.documents import Faults

__all__ = ["File", "read_named"]

_MOST = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file as it was: its name in the policy, the SHA-256 of its bytes in hex, its text."""

    name: str
    digest: str
    text: str = field(repr=False)


def read_named(name: str, base: Path, line: int, place: str, faults: Faults) -> File | None:
    """The file `name`, beside the policy; what hinders that is noted in `faults`."""
    path = base / name
    hint = "a file's name is relative to the policy's folder"
    try:
        if path.stat().st_size > _MOST:
            faults.add(line, place, f"{name} has more than {_MOST >> 20} MiB")
            return None
        data = path.read_bytes()
        return File(
            name=name, digest=hashlib.sha256(data).hexdigest(), text=data.decode("utf-8-sig")
        )
    except FileNotFoundError:
        faults.add(line, place, f"no such file: {name}", hint)
    except UnicodeDecodeError:
        faults.add(line, place, f"{name} is not a text file: its bytes are not UTF-8")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        faults.add(line, place, f"{name} cannot be read: {reason}", hint)
    return None
