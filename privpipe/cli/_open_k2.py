"""`privpipe open-k2`: fields that Kryptonite for Kafka encrypted, in clear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from privpipe.cli._output import Output
from privpipe.cli._plan import Source
from privpipe.cli._project import home_or_none
from privpipe.cli._reveal import split_columns
from privpipe.errors import UsageError

__all__ = ["open_k2"]


def open_k2(
    out: Output,
    source: Source,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="T",
            show_default=False,
            help="Write all rows there: .parquet, .csv or a Delta table.",
        ),
    ],
    columns: Annotated[
        str,
        typer.Option(
            "--columns", metavar="A,B", show_default=False, help="What to open: name,visits[].note"
        ),
    ],
    keys: Annotated[
        list[str],
        typer.Option(
            "--keys",
            metavar="ID=FILE",
            show_default=False,
            help="A keyset by its identifier, once for each: keyA=secrets/keyA.json, Tink's "
            "cleartext JSON, mode 0600.",
        ),
    ],
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--types",
            metavar="A=TYPE",
            show_default=False,
            help="A column's type, once for each: visits=array<string>; json for JSON text. "
            "Others are strings.",
        ),
    ] = None,
    on_error: Annotated[
        Literal["fail", "null"],
        typer.Option(
            "--on-error", help="A value that does not authenticate: fail, or write as null."
        ),
    ] = "fail",
) -> None:
    """Open fields that Kryptonite for Kafka encrypted (format k2, serialised by Avro).

    Writes all rows to a new target, in clear. Needs no project.
    """
    from privpipe.spark import open_k2_to

    wanted = split_columns(columns)
    files, kinds = _pairs(keys, "--keys"), _pairs(types or (), "--types")
    with home_or_none(out) as home, out.working(f"opening {source}"):
        spark = None if home is None else home.spark
        rows = open_k2_to(source, target, wanted, files, kinds, on_error, spark=spark)
    document = {"source": source, "target": target, "columns": wanted, "rows": rows}
    out.summary(document, [f"{rows:,} row(s) written to {target}, in clear"])


_EXAMPLES = {"--keys": "keyA=secrets/keyA.json", "--types": "visits=array<string>"}


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not (name.strip() and mark and value.strip()):
            raise UsageError(
                "not of the form NAME=VALUE", where=option, hint=f"{option} {_EXAMPLES[option]}"
            )
        if name.strip() in found:
            raise UsageError(f"{name.strip()} is given twice", where=option)
        found[name.strip()] = value.strip()
    return found
