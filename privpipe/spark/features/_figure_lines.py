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
        told = (error.where or "").removeprefix("column ")
        for each in spec.aggregates:
            if told == form.format(each.name):
                of = f", of {each.column}" if each.column is not None else ""
                where = figure_place(spec, each.name)
                raise type(error)(f"{error.message}{of}", where=where, hint=error.hint) from None
        raise
