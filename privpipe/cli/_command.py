"""Turns a function into a command: an `Output` given to it, the common options around it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from privpipe.cli._output import Output, Settings
from privpipe.errors import UsageError

__all__ = ["command"]


def _flag(name: str, text: str) -> tuple[Any, Any]:
    return Annotated[bool, typer.Option(name, help=text)], False


_PLACES = "The project file; else $PRIVPIPE_CONFIG, ./privpipe.yaml or ./conf/privpipe.yaml."
_COMMON = {
    "config": (
        Annotated[
            str | None,
            typer.Option("--config", metavar="FILE", help=_PLACES),
        ],
        None,
    ),
    "json": _flag("--json", "One JSON document on stdout, for scripts."),
    "quiet": _flag("--quiet", "Results and errors alone."),
    "debug": _flag("--debug", "Stack traces too; these may hold values of the data."),
}


def command(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """`function(out, ...)` as typer takes it; it returns its exit code, or None for 0.

    The common options are added to the function's own, and land in the `Settings` that `main`
    gave the context: so they mean the same before and after a command's name.
    """

    def called(context: typer.Context, **given: Any) -> int | None:
        settings: Settings = context.find_root().obj
        settings.config = given.pop("config") or settings.config
        for name in ("json", "quiet", "debug"):
            setattr(settings, name, given.pop(name) or getattr(settings, name))
        for name, value in given.items():
            if isinstance(value, str) and not value.strip() and name != "purpose":
                raise UsageError(
                    f"{name} is empty",
                    where=context.command_path,
                    hint="is a variable of the shell unset?",
                )
        return function(Output(settings), **given)

    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        *(p.replace(annotation=hints[p.name], kind=keyword) for p in own),
        *(
            inspect.Parameter(name, keyword, default=default, annotation=kind)
            for name, (kind, default) in _COMMON.items()
        ),
    ]
    called.__annotations__ = {p.name: p.annotation for p in parameters}
    vars(called)["__signature__"] = inspect.Signature(parameters)
    called.__name__, called.__doc__ = function.__name__, function.__doc__
    return called
