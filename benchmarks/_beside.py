"""Peers in environments of their own: each a process that stays, and is asked in turn."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "beside"
PEERS = {"Tumult": "tumult", "PipelineDP": "pipelinedp"}
HOW = "benchmarks.md tells how its environment is made"


class Peer:
    """One peer's process."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process
        self._answer()

    def ask(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """What it tells of a task; a RuntimeError with its own words where it cannot."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        return answer


def add_options(parser: argparse.ArgumentParser) -> None:
    for name, file in PEERS.items():
        text = f"the interpreter of {name}'s environment"
        parser.add_argument(f"--{file}", metavar="PYTHON", help=text)


@contextmanager
def peers(options: argparse.Namespace, log: Path) -> Iterator[dict[str, Peer]]:
    """Those whose interpreters are given; says which are not."""
    with ExitStack() as stack:
        found = {}
        for name, file in PEERS.items():
            python = getattr(options, file)
            if python is None:
                print(f"{name}: left out, since --{file} is not given ({HOW})\n")
                continue
            found[name] = stack.enter_context(_started(name, python, file, log / f"{file}.log"))
        yield found


@contextmanager
def _started(name: str, python: str, file: str, log: Path) -> Iterator[Peer]:
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "JAVA_HOME") if key in os.environ}
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 (the interpreter that the user named)
            [python, str(FOLDER / f"{file}.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=inherited, cwd=log.parent,
        )  # fmt: skip
        try:
            yield Peer(name, process)
        except RuntimeError:
            print(log.read_text()[-3000:])
            raise
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
