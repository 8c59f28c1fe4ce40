"""`privpipe keys import`: a key that another program made, wrapped and kept in the catalog."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from privpipe.cli._output import Output
from privpipe.cli._project import home_of
from privpipe.errors import UsageError

if TYPE_CHECKING:
    from privpipe.keys import ForeignKey

__all__ = ["import_key"]


def import_key(
    out: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    fernet: Annotated[
        Path | None,
        typer.Option("--fernet", metavar="FILE", help="A Fernet key: 44 characters, mode 0600."),
    ] = None,
    pem: Annotated[
        Path | None,
        typer.Option("--pem", metavar="FILE", help="A private key of sealed columns, mode 0600."),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file",
            metavar="FILE",
            help="Holds the private key's passphrase, mode 0600; it is asked for otherwise.",
        ),
    ] = None,
) -> None:
    """Keep another program's key in the catalog, wrapped under the KEK.

    A policy then says `key: imported:NAME`, and reveal `--opener imported:NAME`. The same key again
    changes nothing; another one is refused.
    """
    from privpipe.keys import import_scope

    import_scope(name)
    file, key = _read(fernet, pem, passphrase_file)
    with home_of(out) as home, out.working("wrapping the key"):
        home.keys.forget()
        ref, made = home.keys.add_imported(key, name)
    document = {"name": ref.scope, "kind": ref.primitive, "key_id": ref.key_id, "imported": made}
    done = "imported" if made else "was there"
    out.summary(document, [f"{ref.scope} {ref.primitive} {done}, key id {ref.key_id}"])
    if made:
        out.warn(
            f"no backup holds it yet: privpipe keys backup FILE; and {file} still holds it in clear"
        )


def _read(
    fernet: Path | None, pem: Path | None, passphrase: Path | None
) -> tuple[Path, ForeignKey]:
    from privpipe.keys import read_key_file

    if fernet is not None and pem is None:
        if passphrase is not None:
            raise UsageError("a Fernet key has no passphrase", where="--passphrase-file")
        return fernet, read_key_file(fernet, "FERNET")
    if pem is None or fernet is not None:
        raise UsageError("one key is imported", hint="name one file: --fernet FILE or --pem FILE")
    return pem, read_key_file(pem, "PEM", _passphrase(pem, passphrase))


def _passphrase(pem: Path, file: Path | None) -> bytes | None:
    """The passphrase, out of its file or asked for; None where the key has none."""
    from privpipe.keys import has_passphrase, read_passphrase

    if file is not None:
        return read_passphrase(file)
    if not has_passphrase(pem):
        return None
    if not sys.stdin.isatty():
        raise UsageError(
            "the private key has a passphrase, and there is no terminal to ask for it",
            where=str(pem),
            hint="--passphrase-file FILE, mode 0600",
        )
    return str(typer.prompt("passphrase", hide_input=True, err=True)).encode()
