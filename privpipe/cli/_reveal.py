"""`privpipe reveal`: columns of a protected table in clear, for a stated purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from privpipe.cli._cells import cell
from privpipe.cli._output import Output, plain, table
from privpipe.cli._project import home_of
from privpipe.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from privpipe.spark import Home, Revealed

__all__ = ["Opener", "reveal", "split_columns"]

Opener = Annotated[
    str | None,
    typer.Option(
        "--opener",
        metavar="PEM",
        help="The private key of sealed columns: its file, or imported:NAME.",
    ),
]
OnError = Literal["fail", "null", "quarantine"]
_DEFAULT_LIMIT = 20
_MOST = 1_000_000  # more than that goes to a target


def reveal(
    out: Output,
    protected: Annotated[str, typer.Argument(metavar="T", show_default=False)],
    columns: Annotated[
        str,
        typer.Option(
            "--columns",
            metavar="A,B",
            show_default=False,
            help="What to open, as the policy spells it: surname,card.number,visits[].note",
        ),
    ],
    purpose: Annotated[
        str, typer.Option("--purpose", metavar="TEXT", show_default=False, help="Why.")
    ],
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            max=_MOST,
            help="Print so many rows (20 unless told).",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", metavar="T2", help="Write all rows there: .parquet, .csv or a Delta table."
        ),
    ] = None,
    on_error: Annotated[
        OnError,
        typer.Option(
            "--on-error",
            help="A value that does not authenticate: fail, read as null, or go with its row, "
            "still encrypted, to a table beside the target.",
        ),
    ] = "fail",
    opener: Opener = None,
) -> None:
    """Open columns of a protected table.

    Prints some rows, or writes all of them to a target.
    """
    wanted = split_columns(columns)
    if not purpose.strip():
        raise UsageError("the purpose is empty", where="--purpose", hint="say why you read this")
    if target is not None and limit is not None:
        raise UsageError(
            "a target takes all rows", where="--limit", hint="leave out --limit or --target"
        )
    if target is None:
        if on_error == "quarantine":
            raise UsageError(
                "printed rows have no quarantine",
                where="--on-error",
                hint="add --target, or use --on-error null",
            )
        with home_of(out) as home:
            asked = _Asked(protected, wanted, purpose, on_error, limit or _DEFAULT_LIMIT, opener)
            _print(out, home, asked)
        return
    with home_of(out) as home, out.working(f"revealing {protected}"):
        done = home.reveal_to(
            protected,
            columns=wanted,
            purpose=purpose,
            target=target,
            on_error=on_error,
            opener=opener,
        )
    if done.damaged:
        out.warn(_damaged(done))
    out.summary(plain(done), [f"{done.rows:,} row(s) written to {done.target}, in clear"])


def split_columns(text: str) -> list[str]:
    """The paths of `a,b`; a comma inside backticks belongs to the name."""
    from privpipe.policy import parse_path

    parts, quoted = [""], False
    for character in text:
        quoted ^= character == "`"
        if character == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    found = [part.strip() for part in parts if part.strip()]
    if not found:
        raise UsageError("no column is named", where="--columns", hint="--columns surname,email")
    for path in found:
        try:
            parse_path(path)
        except PolicyError as error:
            raise UsageError(error.message, where="--columns", hint=error.hint) from None
    return found


class _Asked(NamedTuple):
    table: str
    columns: list[str]
    purpose: str
    on_error: Literal["fail", "null"]
    limit: int
    opener: str | None


def _print(out: Output, home: Home, asked: _Asked) -> None:
    protected, columns, purpose, on_error, limit, opener = asked
    with out.working(f"revealing {protected}"):
        frame = home.reveal(
            protected, columns=columns, purpose=purpose, on_error=on_error, opener=opener
        )
        names: list[str] = frame.columns
        # One row more than is shown tells whether there are more.
        rows = _rows(frame.limit(limit + 1))
    shown = rows[:limit]
    more = len(rows) > limit
    document = {
        "table": protected,
        "columns": names,
        "rows": [dict(zip(names, row, strict=True)) for row in shown],
        "more": more,
    }
    out.result(
        document,
        lambda console: table(console, names, [[cell(value) for value in row] for row in shown]),
    )
    if more:
        out.warn(f"these are the first {limit} rows; --limit N or --target T2 gives more")


def _rows(frame: Any) -> list[tuple[Any, ...]]:
    """Rows as Python values; times that Python has no values for (a year of five digits, months)
    are their text."""
    try:
        return [tuple(row) for row in frame.collect()]
    except (ValueError, OverflowError, RuntimeError):
        times = ("date", "time", "interval")
        quoted = {name: f"`{name.replace('`', '``')}`" for name in frame.columns}
        texts = [
            frame[quoted[name]].cast("string").alias(name)
            if any(word in kind for word in times)
            else frame[quoted[name]]
            for name, kind in frame.dtypes
        ]
        return [tuple(row) for row in frame.select(*texts).collect()]


def _damaged(done: Revealed) -> str:
    text = f"{done.damaged:,} row(s) hold values that do not authenticate"
    if done.quarantine:
        return f"{text}: they lie, still encrypted, in {done.quarantine}"
    return f"{text}: those values were written as null"
