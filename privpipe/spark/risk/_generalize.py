"""A table made coarser until its rows hide among k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pyspark.sql import DataFrame

from privpipe.errors import SourceError, UsageError
from privpipe.kernels import parse_hierarchy
from privpipe.policy import Generalize
from privpipe.spark._errors import translated
from privpipe.spark.risk._anonymized import Anonymized, Goal
from privpipe.spark.risk._columns import Asked, asked, asked_apart, whole_columns
from privpipe.spark.risk._ladders import ladders_of
from privpipe.spark.risk._levels import by_levels
from privpipe.spark.risk._mondrian import by_mondrian
from privpipe.spark.risk._ranks import Taxonomy, rankable

__all__ = ["generalize_to_k"]


def generalize_to_k(  # noqa: PLR0913 (each is asked for by its name)
    df: DataFrame,
    quasi: Sequence[str],
    k: int,
    *,
    ladders: Mapping[str, Sequence[Generalize]] | None = None,
    hierarchies: Mapping[str, str | Path] | None = None,
    sensitive: Sequence[str] = (),
    diversity: int = 1,
    closeness: float = 1.0,
    limit: float = 0.0,
    base: str | Path = ".",
) -> Anonymized:
    """`df` whose rows hide among `k` that agree in all columns of `quasi`.

    With `ladders`, by one step for a whole column: of each column the steps, each coarser than the
    one before, in the settings that a policy's `generalize` has; a column without a ladder, or
    past its last step, becomes null. The steps chosen can be written into a policy. Classes that
    stay below `k` are dropped, up to the share `limit` of the rows.

    Without, by Mondrian: each class has ranges of its own, so that far less is lost. All columns of
    `quasi` become text, and no row is lost. `hierarchies` has, by column, files as `generalize`
    takes them, whose texts then stand for what is below them.

    `diversity` (distinct values, l) and `closeness` (t) are asked of every class in each column of
    `sensitive`. The result is measured before it is handed back.

    Raises: AnonymityError where that cannot be reached; UsageError, SchemaError as `measure_risk`;
    PolicyError for a step that cannot be; InvalidValue for a value that no hierarchy lists.
    """
    known, hidden = asked_apart(df, quasi, sensitive)
    whole_columns(known)
    goal = Goal(
        k=k,
        sensitive=tuple(one.name for one in hidden),
        diversity=diversity,
        closeness=closeness,
    )
    if not 0 <= limit < 1:
        raise UsageError(f"a limit of {limit}", hint="a share of the rows, from 0 to below 1")
    with translated("making the table coarser"):
        if ladders is not None:
            if hierarchies is not None:
                raise UsageError(
                    "ladders and hierarchies", hint="a ladder's step names its hierarchy itself"
                )
            return by_levels(df, ladders_of(df, known, ladders, Path(base)), goal, limit)
        if limit:
            raise UsageError("a limit without ladders", hint="Mondrian loses no row")
        taxonomies = _taxonomies(df, known, hierarchies or {}, Path(base))
        return by_mondrian(df, known, hidden, goal, taxonomies)


def _taxonomies(
    df: DataFrame, known: Sequence[Asked], given: Mapping[str, str | Path], base: Path
) -> list[Taxonomy | None]:
    found: dict[Asked, Taxonomy] = {}
    for name, path in given.items():
        [column] = asked(df, [name], "hierarchy's")
        if column not in known or column.word not in {"string", "char", "varchar"}:
            raise UsageError(
                f"a hierarchy for {name}, which is no quasi column of text",
                hint="name it in quasi too, or leave the hierarchy out",
            )
        found[column] = _taxonomy(base / path)
    for column in known:
        rankable(column)
    return [found.get(column) for column in known]


def _taxonomy(path: Path) -> Taxonomy:
    """All levels of a hierarchy's file, as far as every line has them."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise SourceError(
            "no hierarchy can be read", where=str(path), hint="a CSV file in UTF-8"
        ) from None
    levels = [parse_hierarchy(text, 1)]
    while True:
        try:
            levels.append(parse_hierarchy(text, len(levels) + 1))
        except UsageError:
            break
    return Taxonomy(rows={value: tuple(level[value] for level in levels) for value in levels[0]})
