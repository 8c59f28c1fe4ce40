"""Spark's and Delta's errors, told as ours.

An executor's error arrives as text inside another; its code leads back to the class. Any other
text may hold row values, so only Spark's own error condition (a name) is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException

from privpipe.errors import EngineError, InvalidValue, PrivpipeError, from_text
from privpipe.policy import Policy

__all__ = ["condition_of", "is_conflict", "on_its_line", "own_error", "said_by_us", "translated"]

_KNOWN = {
    "No space left on device": ("the disk is full", "free some space and run it again"),
    "Permission denied": ("permission denied", "check who may write to the target and its folders"),
    "Read-only file system": (
        "the file system is read-only",
        "choose a target that can be written",
    ),
    "OutOfMemoryError": ("Spark ran out of memory", "raise spark.driver.memory or executor memory"),
    "Operation not permitted": ("the storage refused the write", "check the target's permissions"),
}
_CONFLICTS = ("Concurrent", "DELTA_CONCURRENT", "MetadataChanged", "ProtocolChanged")


def condition_of(error: BaseException) -> str:
    """Spark's name for the error (`TABLE_OR_VIEW_NOT_FOUND`), or the class's."""
    condition = error.getCondition() if isinstance(error, PySparkException) else None
    return condition or type(error).__name__


def is_conflict(error: BaseException) -> bool:
    """Did another writer's commit come between? Then the whole decision is repeated."""
    names = f"{condition_of(error)} {type(error).__name__}"
    return any(word in names for word in _CONFLICTS) or "io.delta.exceptions" in str(error)


def own_error(error: BaseException) -> PrivpipeError | None:
    """Our error that came back as text, or None. What Spark refuses to plan quotes the plan, where
    the texts of errors that did not happen stand."""
    return None if isinstance(error, AnalysisException) else from_text(str(error))


def said_by_us(error: BaseException, doing: str) -> PrivpipeError:
    """The error as privpipe says it: its own, found in the text, or a coded one with no text."""
    text = str(error)
    ours = own_error(error)
    if ours is not None:
        return ours
    for sign, (what, hint) in _KNOWN.items():
        if sign in text:
            return EngineError(f"{doing} failed: {what}", hint=hint)
    return EngineError(
        f"{doing} failed in Spark with {condition_of(error)}",
        hint="`privpipe doctor` checks the session; Spark's own log has the rest",
    )


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turns Spark's errors into ours. `doing` names the step in plain words."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise said_by_us(error, doing) from None


@contextmanager
def on_its_line(policy: Policy) -> Iterator[None]:
    """Adds the policy's line to what is said of a value that one of its columns cannot take."""
    try:
        yield
    except InvalidValue as error:
        # What comes back from an executor as text has its place in the message.
        place, _, message = str(error.message).partition(": ")
        if error.where is not None:
            place, message = error.where, error.message
        rule = policy.columns.get(place.removeprefix("column "))
        if rule is None or not rule.line:
            raise
        where = f"{policy.name}:{rule.line} {place}"
        raise InvalidValue(message, where=where, hint=error.hint) from None
