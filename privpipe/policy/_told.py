"""What a rule tells its protection: from YAML nodes to settings, each fault with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from privpipe.documents import Faults, Node, choice
from privpipe.errors import PrivpipeError, UsageError
from privpipe.policy._choosing import written_example
from privpipe.policy._files import File, read_named
from privpipe.policy._sense import FEW_ENTRIES, ONE_VALUE, sense
from privpipe.policy._settings import Generalize, Settings, adapter_of
from privpipe.policy._vocabulary import Protection

__all__ = ["build_settings", "name_files", "plain"]

Given: TypeAlias = Mapping[str, tuple[int, Node]]
"""The keys that a rule gives, each with its line and its node."""

_FILES = ("dictionary", "hierarchy", "public_key")


def build_settings(
    protection: Protection, given: Given, line: int, place: str, faults: Faults
) -> Settings | None:
    """The protection's settings; what is wrong with them is noted, and gives None."""
    if protection.settings is None:
        return None
    before = len(faults.found)
    for key, (at, node) in given.items():
        if node.kind == "nothing":
            hint = "leave the key out, or say what it is"
            faults.add(at, f"{place}.{key}", f"found nothing; wanted {_wanted(key)}", hint)
    if len(faults.found) > before:
        return None
    values = {key: plain(node) for key, (_, node) in given.items()}
    try:
        settings = adapter_of(protection.settings).validate_python(values)
    except ValidationError as error:
        for fault in _one_a_key(error):
            _note(fault, protection, given, line, place, faults)
        return None
    for key, text, advice in sense(protection.name, settings):
        at, _ = given.get(key.partition(".")[0], (line, None))
        faults.add(at, f"{place}.{key}" if key else place, text, advice)
    return settings if len(faults.found) == before else None


def name_files(
    settings: Settings, given: Given, base: Path, place: str, faults: Faults
) -> File | None:
    """The file that the settings name, read; None where they name none."""
    for key in _FILES:
        name = getattr(settings, key, None)
        if isinstance(name, str):
            line, spot = given[key][0], f"{place}.{key}"
            found = read_named(name, base, line, spot, faults)
            if found is not None:
                try:
                    _look_into(key, found, settings)
                except PrivpipeError as error:
                    at = error.where.replace("line ", ":") if error.where else ""
                    hint = error.hint or f"mend {name}, or name another file"
                    faults.add(line, spot, f"{name}{at}: {error.message}", hint)
            return found
    return None


def _look_into(key: str, file: File, settings: Settings) -> None:
    """Raises what is wrong with the file's content."""
    # The kernels bring numpy with them: only a policy that names such a file waits for that.
    from privpipe.kernels import Sealer, parse_entries, parse_hierarchy

    if key == "public_key":
        Sealer(file.text.encode())
    elif isinstance(settings, Generalize):
        rows = parse_hierarchy(file.text, settings.level)
        if all(value == general for value, general in rows.items()):
            text = f"level {settings.level} leaves every value as it is"
            raise UsageError(text, hint="take a level that is coarser, or `keep` the column")
    elif len(parse_entries(file.text)) < 2:
        raise UsageError(FEW_ENTRIES, hint=ONE_VALUE)


def plain(node: Node, *, text_only: bool = False) -> Any:
    """A node as Python has it. `text_only` leaves what is no text as the node, which no field
    takes: `domain: 1` and `domain: "1"` are not the same to every reader of YAML."""
    if node.kind == "list":
        return tuple(plain(item, text_only=text_only) for item in node.items)
    if node.kind == "text" or (node.kind == "date" and not text_only):
        return node.text
    if text_only:
        return node
    if node.kind == "mapping":
        return {key: plain(value) for key, _, value in node.entries}
    if node.kind == "truth value":
        return node.text.lower() in {"true", "yes", "on"}
    return None if node.kind == "nothing" else _number(node.text)


def _number(text: str) -> int | float | str:
    """What YAML 1.1 calls a number and Python does not (`1:30`) is left as text, and so is `010`,
    which one reader takes for ten and another for eight."""
    bare = text.replace("_", "")
    digits = bare.lstrip("+-")
    if len(digits) > 1 and digits.isdecimal() and digits[0] == "0":
        return text
    try:
        return int(bare)
    except ValueError:
        pass
    try:
        return float(bare.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return text


_WORDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dataclass_type": "a mapping",
}
_OF_KEY = {
    **dict.fromkeys(("subject", "tweak"), "a name, as text"),
    **dict.fromkeys(("start", "width"), "a number"),
    "bind": "a list of names",
    "bounds": "a list of numbers",
    "dictionary": "a list of texts, or a file's name",
    "key": "an imported key, imported:NAME",
    "length": "a whole number, or a mapping with min and max",
    "on": "a date, such as 2026-01-31",
    "value": "text, a number, or true or false",
    "vault": 'a name of letters, digits, ".", "_" and "-"',
}
"""What keys take of which one word does not tell."""


def _one_a_key(error: ValidationError) -> Iterator[Any]:
    """One fault a key: a union tells of each of its sides, and the side that was meant is the one
    of the right type."""
    found: dict[object, Any] = {}
    for fault in sorted(error.errors(), key=lambda fault: fault["type"] in _WORDS):
        found.setdefault(fault["loc"][0], fault)
    yield from found.values()


def _note(
    fault: Any, protection: Protection, given: Given, line: int, place: str, faults: Faults
) -> None:
    """One of pydantic's errors in our words: where, what was found, what is wanted."""
    key, *below = (str(part) for part in fault["loc"])
    if fault["type"] == "missing" and not below:
        example = written_example(protection.name, key)
        faults.add(line, place, f"{protection.name} needs the key {key}", example)
        return
    at, node = given[key]
    spot = f"{place}.{key}"
    if fault["type"] == "unexpected_keyword_argument":
        faults.add(at, spot, *choice("key", below[-1], _inner_keys(protection, key)))
    elif fault["type"] == "missing":
        faults.add(at, spot, f"no key {below[-1]} in it")
    elif fault["type"] == "literal_error":
        words = fault["ctx"]["expected"].replace(" or ", ",").split(",")
        faults.add(at, spot, *_word(node, [word.strip(" '") for word in words]))
    else:
        keys = _inner_keys(protection, key)
        wanted = _wanted(key, fault, [part for part in below if part in keys])
        quotes = wanted in {"text", "a name, as text"} and node.kind in {"number", "truth value"}
        hint = "put it in quotes" if quotes else written_example(protection.name, key)
        faults.add(at, spot, f"found {node.describe()}; wanted {wanted}", hint)


def _word(node: Node, allowed: list[str]) -> tuple[str, str]:
    if node.kind in {"list", "mapping"}:
        return f"found {node.describe()}", f"allowed: {', '.join(allowed)}"
    return choice("word", node.text, allowed)


def _wanted(key: str, fault: Any = None, inner: Sequence[str] = ()) -> str:
    """What would have been right, in few words."""
    limits: Mapping[str, Any] = (fault or {}).get("ctx", {})
    of = f"{inner[-1]} to be " if inner else ""
    for name, word in (("le", "at most"), ("ge", "at least")):
        if name in limits:
            return f"{of}{word} {limits[name]}"
    for name, word in (("max_length", "at most"), ("min_length", "at least")):
        if name in limits:
            return f"{of}{word} {limits[name]} character{'s' * (limits[name] != 1)}"
    if key in _OF_KEY:
        return _OF_KEY[key]
    return of + _WORDS.get((fault or {}).get("type", ""), "a value")


def _inner_keys(protection: Protection, key: str) -> tuple[str, ...]:
    if protection.settings is None:
        return ()
    schema = adapter_of(protection.settings).json_schema()
    shape = schema["properties"][key]
    options = [shape, *shape.get("anyOf", []), *shape.get("allOf", [])]
    for option in options:
        name = str(option.get("$ref", "")).rpartition("/")[2]
        if name:
            return tuple(schema["$defs"][name]["properties"])
    return ()
