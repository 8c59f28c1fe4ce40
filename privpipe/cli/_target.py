"""Where a command writes, as its options say."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import typer

__all__ = ["Mode", "Target"]

Target: TypeAlias = Annotated[
    str,
    typer.Option(
        "--target", metavar="T", show_default=False, help="A Delta table, by path or name."
    ),
]
Mode: TypeAlias = Annotated[
    Literal["error", "overwrite", "append"],
    typer.Option("--mode", help="What to do where the target exists."),
]
