"""Errors of a figure, on the line of the spec that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from privpipe.errors import PrivpipeError
from privpipe.features import EntitySpec, ExactSpec, figure_place

__all__ = ["on_figure_lines"]


@contextmanager
def on_figure_lines(spec: ExactSpec | EntitySpec, form: str) -> Iterator[None]:
    """Errors of the column that `form` makes of a figure's name are told of the figure, and of the
    column of the source that it is of."""
    try:
        yield
    except PrivpipeError as error:
        # What comes back from an executor as text has its place in the message.
        said = error.message if error.where is None else f"{error.where}: {error.message}"
        for each in spec.aggregates:
            begin = f"column {form.format(each.name)}: "
            if said.startswith(begin):
                of = f" (column {each.column})" if each.column is not None else ""
                text = said.removeprefix(begin) + of
                where = figure_place(spec, each.name)
                raise type(error)(text, where=where, hint=error.hint) from None
        raise
