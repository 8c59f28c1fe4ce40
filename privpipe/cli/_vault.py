"""`privpipe vault`: what the vaults hold, and how subjects and expired entries leave them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from privpipe.cli._output import Output, plain, table
from privpipe.cli._project import home_of
from privpipe.errors import InvalidValue, UsageError

__all__ = ["expire", "forget", "list_vaults", "purge"]

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


def list_vaults(out: Output) -> None:
    """The vaults: tokens' format, entries, fill, expired entries."""
    with home_of(out) as home, out.working("looking into the vaults"):
        found = home.vaults()
    rows = [{**plain(each), "fill": each.fill} for each in found]
    heads = ["vault", "format", "entries", "given", "fill", "expired"]
    out.result(
        {"vaults": rows},
        lambda console: table(
            console,
            heads,
            [
                (
                    each.name,
                    each.format,
                    f"{each.entries:,}",
                    f"{each.given:,}",
                    f"{each.fill:.1%}",
                    f"{each.expired:,}",
                )
                for each in found
            ],
        ),
    )


def forget(
    out: Output,
    name: Name,
    values: Annotated[
        str,
        typer.Option(
            "--values",
            metavar="FILE",
            show_default=False,
            help="The subjects' values, one a line, UTF-8; - reads them from stdin.",
        ),
    ],
    null: Annotated[
        bool,
        typer.Option(
            "--null",
            "-0",
            help="Each value ends in a zero byte, as for xargs -0: so it may be empty, or hold "
            "line breaks.",
        ),
    ] = False,
    family: Annotated[
        str | None,
        typer.Option(
            "--family",
            metavar="F",
            show_default=False,
            help="Of which family they are, where the vault has several: text, integer, date, ...",
        ),
    ] = None,
) -> None:
    """Delete the entries of single subjects: their tokens open no more.

    No value is printed or logged. Old files of the vault keep the entries, encrypted, until
    `privpipe vault purge`.
    """
    lines = _values(values, null=null)
    with home_of(out) as home, out.working(f"forgetting in vault {name}"):
        gone = home.forget(name, lines, family=family)
    out.summary(
        {"vault": name, "values": len(lines), "forgotten": gone},
        [f"{len(lines):,} value(s) given, {gone:,} of them had an entry in vault {name}: deleted"],
    )
    _remind(out, name, gone)


def _values(values: str, *, null: bool) -> list[str]:
    """What a file names, distinct and in its order: the lines that hold something, or whatever
    stands before each zero byte, to the letter."""
    try:
        data = sys.stdin.buffer.read() if values == "-" else Path(values).read_bytes()
        text = data.decode("utf-8" if null else "utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"the values cannot be read: {(error.strerror or 'no such file').lower()}",
            where=values,
            hint="name a file, one value a line, or - for stdin",
        ) from None
    except UnicodeDecodeError:
        raise InvalidValue("the values are not UTF-8", where=values) from None
    if null:
        found = text.removesuffix("\0").split("\0") if text else []
    else:
        lines = (line.removesuffix("\r") for line in text.split("\n"))
        found = [line for line in lines if line]
    if not found:
        hint = "an empty value is a zero byte alone" if null else "write one a line"
        raise UsageError("no value is named", where=values, hint=hint)
    return list(dict.fromkeys(found))


def expire(out: Output, name: Name) -> None:
    """Delete the entries that are past their time: their tokens open no more."""
    with home_of(out) as home, out.working(f"expiring in vault {name}"):
        gone = home.expire(name)
    lines = [f"{gone:,} expired entries of vault {name} deleted"]
    out.summary({"vault": name, "expired": gone}, lines)
    _remind(out, name, gone)


def purge(
    out: Output,
    name: Name,
    hours: Annotated[
        int,
        typer.Option(
            "--retain-hours",
            metavar="N",
            min=0,
            help="Keep old files that were in use within so many hours.",
        ),
    ] = 168,
) -> None:
    """Remove the old files of a vault, which hold what was deleted from it.

    Entries that were deleted within the retention stay. With less than 168 hours a job that reads
    the vault meanwhile may fail, and is to be run again.
    """
    with home_of(out) as home, out.working(f"purging vault {name}"):
        gone = home.purge(name, hours=hours)
    document = {"vault": name, "retain_hours": hours, "files": gone}
    out.summary(document, [f"{gone:,} old file(s) of vault {name} removed"])


def _remind(out: Output, name: str, gone: int) -> None:
    if gone:
        out.warn(
            "old files of the vault still hold what was deleted, encrypted: privpipe vault purge "
            f"{name} removes those out of use for a week; --retain-hours 0, all"
        )
