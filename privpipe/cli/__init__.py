"""The command line: parse, call one function, print. `main` is the console script."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; no exception leaves it.

    `argv` is what follows the program's name, `sys.argv[1:]` unless given.
    """
    from privpipe.cli._errors import INTERRUPTED, report
    from privpipe.cli._output import Settings

    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        main(["--help"])
        return 2
    # Known before anything is parsed, since what is parsed may be what is wrong.
    settings = Settings(json="--json" in arguments, debug="--debug" in arguments)
    try:
        with _quiet_libraries(debug=settings.debug):
            code = _run(arguments, settings)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        logging.disable()  # py4j tells of the connection that was cut
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, `head` say, has enough. Python would complain at exit without this.
        with contextlib.suppress(OSError, io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 (a command line ends with a message, not a trace)
        return report(error, settings)


def _run(arguments: list[str], settings: object) -> int:
    import typer

    from privpipe.cli._app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter
    command = typer.main.get_command(app)
    code = command.main(arguments, prog_name="privpipe", standalone_mode=False, obj=settings)
    if code == 130:
        raise KeyboardInterrupt
    return int(code or 0)


@contextlib.contextmanager
def _quiet_libraries(*, debug: bool) -> Iterator[None]:
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
        yield
