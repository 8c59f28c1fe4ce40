"""The error tree: its drawing is true, its codes are stable, and it survives the way home."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator

import pytest

from privpipe import errors
from privpipe.errors import PrivpipeError, from_text


def tree(root: type[PrivpipeError]) -> Iterator[tuple[int, type[PrivpipeError]]]:
    def below(kind: type[PrivpipeError], depth: int) -> Iterator[tuple[int, type[PrivpipeError]]]:
        yield depth, kind
        for child in kind.__subclasses__():
            yield from below(child, depth + 1)

    yield from below(root, 0)


KINDS = [kind for _, kind in tree(PrivpipeError)]
BY_NAME = {kind.__name__: kind for kind in KINDS}
DRAWN = re.compile(
    r"^    ([│├└─ ]*)(\w+) +(PP-[A-Z]{3}-\d\d)(?: +exit (\d+))?  +\S.*$", re.MULTILINE
)


def test_the_drawing_is_the_tree() -> None:
    drawing = [
        (len(lead) // 4, name, code) for lead, name, code, _ in DRAWN.findall(errors.__doc__ or "")
    ]
    assert drawing == [(depth, kind.__name__, kind.code) for depth, kind in tree(PrivpipeError)]


def test_drawn_exit_codes_are_true() -> None:
    for _, name, _, drawn in DRAWN.findall(errors.__doc__ or ""):
        if drawn:
            assert BY_NAME[name].exit_code == int(drawn), name


def test_codes_are_unique_and_well_formed() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"PP-[A-Z]{3}-\d\d", code) for code in codes)
    assert all("code" in vars(kind) for kind in KINDS), "a class shares its parent's code"
    assert {kind.exit_code for kind in KINDS} <= {1, 2, 3, 75}


def test_every_class_is_exported_and_documented() -> None:
    assert {kind.__name__ for kind in KINDS} <= set(errors.__all__)
    assert all(inspect.getdoc(kind) for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling(kind: type[PrivpipeError]) -> None:
    error = kind("no such column", where="p.yaml:3 columns.ssn", hint="one of: name, age")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    assert type(back) is kind
    assert str(back) == str(error)
    assert (back.message, back.where, back.hint) == (error.message, error.where, error.hint)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("where", [None, "p.yaml:3"])
@pytest.mark.parametrize("hint", [None, "try again"])
def test_an_error_comes_back_from_text(
    kind: type[PrivpipeError], where: str | None, hint: str | None
) -> None:
    error = kind("it failed", where=where, hint=hint)
    trace = f"PythonException: Traceback ...\nprivpipe.errors.{kind.__name__}: {error}\n\tat org"
    back = from_text(trace)
    assert type(back) is kind
    assert str(back) == str(error)


def test_text_without_a_code_is_no_error_of_ours() -> None:
    assert from_text("java.lang.OutOfMemoryError: Java heap space") is None


def test_an_unknown_code_still_comes_back() -> None:
    back = from_text("[PP-XYZ-42] from a later version\nhint: upgrade")
    assert type(back) is PrivpipeError
    assert (back.message, back.hint) == ("from a later version", "upgrade")


def test_a_message_reads_as_promised() -> None:
    error = errors.PolicyError("unknown protection", where="p.yaml:3", hint="encrypt")
    assert str(error) == "[PP-POL-01] p.yaml:3: unknown protection\nhint: encrypt"
