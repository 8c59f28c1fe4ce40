"""How an error leaves the command line: one coded message, and an exit code."""

from __future__ import annotations

import json
import sys
import traceback
from types import TracebackType

import typer

from privpipe.cli._output import Settings, printable
from privpipe.errors import EngineError, InternalError, PrivpipeError, UsageError, from_text

__all__ = ["coded", "report"]


def coded(error: BaseException) -> PrivpipeError:
    """`error` as one of ours. A stranger's text may hold a value, so its class alone is told."""
    if isinstance(error, PrivpipeError):
        return error
    if isinstance(error, typer.TyperException):
        return _usage(error)
    name = type(error).__name__
    if (type(error).__module__ or "").partition(".")[0] in ("pyspark", "py4j"):
        # What Spark refuses to plan quotes the plan: texts of errors that did not happen.
        said = None if name == "AnalysisException" else from_text(str(error))
        return said or EngineError(
            f"Spark failed with {name}", hint="`privpipe doctor` checks the session"
        )
    if isinstance(error, OSError) and error.strerror:
        where = str(error.filename) if error.filename else None
        return EngineError(
            f"the system said: {error.strerror.lower()}",
            where=where,
            hint="check that the path exists and may be written, and the disk has space",
        )
    return InternalError(
        f"unexpected {name}",
        where=_place(error.__traceback__),
        hint="this is a bug in privpipe: run it again with --debug and report what it prints",
    )


def _usage(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "privpipe"
    text = error.format_message().rstrip(".").replace(": Value error, ", ": ")
    return UsageError(text[:1].lower() + text[1:], where=path, hint=f"{path} --help")


def _place(trace: TracebackType | None) -> str | None:
    """The innermost frame of ours, as module and line."""
    place = None
    for frame, line in traceback.walk_tb(trace):
        module = frame.f_globals.get("__name__", "")
        if module.split(".")[0] == "privpipe":
            place = f"{module}:{line}"
    return place


def report(error: BaseException, settings: Settings) -> int:
    """Prints `error` and returns the exit code: on stdout as a document under `--json`."""
    if settings.debug:
        traceback.print_exception(error)
    ours = coded(error)
    if settings.json:
        told = {
            "code": ours.code,
            "message": ours.message,
            "where": ours.where,
            "hint": ours.hint,
        }
        sys.stdout.write(json.dumps({"error": told}, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stderr.write(printable(str(ours)) + "\n")
    return ours.exit_code
