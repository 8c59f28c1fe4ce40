"""`release` as a plain function, for who holds a `Home` and DataFrames of their own."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame

from privpipe.policy import Plan
from privpipe.spark._home import Home, Mode

__all__ = ["release"]


def release(
    protected: DataFrame,
    target: str | Path,
    *,
    plan: Plan,
    home: Home,
    mode: Mode = "error",
    run_id: str | None = None,
    accept_clear_history: bool = False,
) -> DataFrame:
    """Writes what `protect(df, plan)` gave to `target`, once, and returns a reader of it.

    The run, its columns and keys are recorded in `home`'s catalog.
    """
    return home.release(
        protected,
        target,
        plan=plan,
        mode=mode,
        run_id=run_id,
        accept_clear_history=accept_clear_history,
    )
