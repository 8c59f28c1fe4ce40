"""`privpipe keys pair`: the two files of a sealed column."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from privpipe.cli._output import Output
from privpipe.errors import TargetError

__all__ = ["make_pair", "pair"]

Kind = Literal["x25519", "rsa2048", "rsa3072", "rsa4096"]


def pair(
    out: Output,
    name: Annotated[Path, typer.Argument(metavar="NAME", show_default=False)],
    kind: Annotated[
        Kind, typer.Option("--kind", help="x25519 (HPKE), or RSA (OAEP) for others.")
    ] = "x25519",
) -> None:
    """Make a key pair for sealed columns: NAME.public.pem and NAME.private.pem.

    Whoever writes gets the public one alone; nothing that is there is overwritten.
    """
    from privpipe.kernels import key_fingerprint

    own, shared = make_pair(name, kind)
    document = {
        "private": str(own),
        "public": str(shared),
        "kind": kind,
        "key_id": key_fingerprint(shared.read_bytes()),
    }
    out.summary(
        document,
        [
            f"{shared}: for the policy, `protect: seal, public_key: ...`",
            f"{own}: opens what was sealed; keep it where no producer is",
        ],
    )
    out.warn(f"without {own} nothing that was sealed opens again: back it up")


def make_pair(name: Path, kind: Kind) -> tuple[Path, Path]:
    """Writes the private key and the public one: their files. Overwrites nothing."""
    from privpipe.kernels import generate_pair

    own, shared = (name.with_name(f"{name.name}.{part}.pem") for part in ("private", "public"))
    for path in (own, shared):
        if path.exists() or path.is_symlink():
            raise TargetError(
                "something is there already, and a key is never overwritten",
                where=str(path),
                hint="choose another name",
            )
    private, public = generate_pair(kind)
    _write(own, private, 0o600)
    _write(shared, public, 0o644)
    return own, shared


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(path, flags, mode), "wb") as file:  # noqa: PTH123 (a descriptor)
            file.write(content)
    except OSError as error:
        raise TargetError(
            f"cannot be written: {os.strerror(error.errno or 0).lower()}",
            where=str(path),
            hint="choose a folder that is there and that you may write to",
        ) from None
