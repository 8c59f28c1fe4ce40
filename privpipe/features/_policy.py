"""The policy of the table that a spec writes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from privpipe.errors import PolicyError
from privpipe.features._exact_model import FeatureSpec
from privpipe.features._nodes import ADVICE
from privpipe.policy import Policy, format_path, parse_policy, yaml_key

__all__ = ["written_policy"]

_HEAD = 3  # lines before the first column


def written_policy(spec: FeatureSpec) -> Policy:
    """Every written column by name, as the spec's `columns:` has it, with the spec's own lines.
    Raises: PolicyError."""
    said = spec.protections
    lines = _lines(spec)
    name = f"{spec.file} columns"
    try:
        policy = parse_policy(_text(spec.name, said), name=name)
    except PolicyError as error:
        raise _on_the_specs_lines(error, name, spec.file, [lines[each] for each in said]) from None
    rules = tuple(
        replace(rule, line=line) for rule, line in zip(policy.rules, lines.values(), strict=True)
    )
    return replace(policy, name=spec.file, rules=rules)


def _text(table: str, said: Mapping[str, str]) -> str:
    columns = (f"  {yaml_key(format_path((name,)))}: {each}\n" for name, each in said.items())
    return f"version: 1\ntable: {yaml_key(table)}\ncolumns:\n{''.join(columns)}"


def _lines(spec: FeatureSpec) -> dict[str, int]:
    """The line of the spec that says what becomes of each written column: 0 where none does."""
    keys = replace(spec, protect=tuple((key, f"columns.{key}") for key, _ in spec.protect))
    return {name: spec.lines.get(key, 0) for name, key in keys.protections.items()}


def _on_the_specs_lines(
    error: PolicyError, name: str, file: str, lines: Sequence[int]
) -> PolicyError:
    """The error, which counts the lines of a text that nobody wrote, and tells the same of a figure
    and of the ends of its interval."""

    def told(text: str) -> str:
        def place(found: re.Match[str]) -> str:
            line = lines[int(found[1]) - _HEAD - 1]
            return f"{file}:{line} " if line else f"{file} "

        return re.sub(rf"{re.escape(name)}:(\d+) ", place, text)

    hint = ADVICE if error.hint and "privpipe check" in error.hint else error.hint
    where = file if error.where == name else told(error.where or file)
    return PolicyError(told(error.message), where=where, hint=hint)
