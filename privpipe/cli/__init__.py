"""The command line: parse, call one function, print. `main` is the console script."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence

__all__ = ["main"]

_USAGE = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells say it


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; no exception leaves it.

    `argv` is what follows the program's name, `sys.argv[1:]` unless given.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if not arguments:
            _run(["--help"])
            return _USAGE
        return _run(arguments)
    except KeyboardInterrupt:
        logging.disable()  # py4j tells of the connection that was cut
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader, `head` say, has enough. Python would complain at exit without this.
        with contextlib.suppress(OSError, io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments: list[str]) -> int:
    from privpipe.cli._errors import report
    from privpipe.cli._output import Settings

    # Known before anything is parsed, since what is parsed may be what is wrong.
    settings = Settings(json="--json" in arguments, debug="--debug" in arguments)
    with warnings.catch_warnings():
        if not settings.debug:
            # Those of the libraries. Spark's repeat an error's text, which may hold values.
            warnings.simplefilter("ignore")
            logging.disable()
        try:
            code = _parse(arguments, settings)
            sys.stdout.flush()
        except (KeyboardInterrupt, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 (a command ends with a message, not a trace)
            return report(error, settings)
        finally:
            if not settings.debug:
                logging.disable(logging.NOTSET)
    return code


def _parse(arguments: list[str], settings: object) -> int:
    import typer

    from privpipe.cli._app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter
    command = typer.main.get_command(app)
    code = command.main(arguments, prog_name="privpipe", standalone_mode=False, obj=settings)
    if code == _INTERRUPTED:  # typer makes an exit of Ctrl-C
        raise KeyboardInterrupt
    return int(code or 0)
