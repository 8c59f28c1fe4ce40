"""`privpipe init`: a project file, a key-encryption key, and a policy to fill in."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from privpipe.cli._output import Output
from privpipe.errors import ConfigError, PrivpipeError

if TYPE_CHECKING:
    from privpipe.policy import ColumnPlan, Profile

__all__ = ["draft", "init", "make_project"]

_PROJECT = """\
version: 1
catalog: warehouse/catalog    # which column, by which key, in which run; or schema:NAME
kek: file:secrets/kek.json    # opens every keyset of the catalog: keep a copy of it elsewhere
spark: {}                     # more settings for the Spark session
"""

_IGNORED = """\
# keys, and tables that may be large
/secrets/
/warehouse/
/.privpipe/
"""

_SCHEMA_LINE = "# yaml-language-server: $schema=../policy.schema.json\n"

_EXAMPLE = """\
version: 1
table: example.people      # the identity bound into every value, wherever its files lie
unlisted: refuse           # refuse | keep | drop: what becomes of a column that is not listed
columns:
  id: keep
  surname: encrypt                                            # another ciphertext every time
  email: {protect: encrypt_deterministic, domain: email}      # equal values meet, in joins too
  # card.number: encrypt                                      # a struct's field
  # visits[].note: encrypt                                    # the elements of an array
  # birth_date: undecided                                     # fine for check, refused by protect
"""

_DRAFT_HEAD = """\
version: 1
table: {table}
unlisted: refuse    # a column that turns up later is refused, not let through
columns:            # for each: keep, drop, or a protection; `privpipe advise --needs` ranks them
"""


def init(
    out: Output,
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="S", show_default=False, help="Draft a policy from its columns."
        ),
    ] = None,
) -> None:
    """Start a project: project file, KEK, a policy to fill in.

    Nothing that exists is overwritten.
    """
    name, policy = ("example", _EXAMPLE) if source is None else _draft_from(out, source)
    made = make_project(folder, {name: policy})
    policy_file = folder / "policies" / f"{name}.yaml"
    warning = (
        f"no backup was made: copy {folder / 'secrets' / 'kek.json'} to a safe place now, and run "
        "`privpipe keys backup FILE` after the first protect"
    )
    files = [str(path) for path in made]
    out.summary(
        {
            "folder": str(folder),
            "files": files,
            "policy": str(policy_file),
            "warnings": [warning],
        },
        [f"made {path}" for path in files] + _next(folder, policy_file, source),
    )
    out.warn(warning)


def make_project(folder: Path, policies: Mapping[str, str], project: str = _PROJECT) -> list[Path]:
    """Writes a project with these policies into `folder`: the files it made.

    Raises ConfigError where one of them is there already, or the folder is a file, before any is
    made.
    """
    from privpipe.keys import generate_kek
    from privpipe.policy import policy_schema

    if folder.is_file():
        raise ConfigError(
            f"a project is a folder, and {folder} is a file",
            hint=f"to draft a policy from it: privpipe init . --source {folder}",
        )
    kek = folder / "secrets" / "kek.json"
    texts = {
        folder / "privpipe.yaml": project,
        folder / "policy.schema.json": json.dumps(policy_schema(), indent=2) + "\n",
    }
    for name, text in policies.items():
        texts[folder / "policies" / f"{name}.yaml"] = _SCHEMA_LINE + _without_schema_line(text)
    there = [str(path) for path in (kek, *texts) if path.exists()]
    if there:
        raise ConfigError(
            f"init overwrites nothing, and these exist: {', '.join(there)}",
            hint="take another folder, or move them away",
        )
    kek.parent.mkdir(parents=True, exist_ok=True)
    kek.parent.chmod(0o700)
    generate_kek(kek.absolute())
    ignore = folder / ".gitignore"
    if not ignore.exists():
        texts[ignore] = _IGNORED
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return [*texts, kek]


def _without_schema_line(text: str) -> str:
    first, _, rest = text.partition("\n")
    return rest if first.startswith("# yaml-language-server:") else text


def _next(folder: Path, policy: Path, source: str | None) -> list[str]:
    # It is found without in the folder where the command runs.
    config = f"--config {folder / 'privpipe.yaml'} " if folder.parts else ""
    lines = ["", "next:", f"  decide on each column in {policy}", f"  privpipe check {policy}"]
    if source is not None:
        lines.append(f"  privpipe {config}plan {policy} --source {source}")
    if _foreign_ignore(folder):
        lines.append(f"  add to {folder / '.gitignore'}: /secrets/ /warehouse/ /.privpipe/")
    return lines


def _foreign_ignore(folder: Path) -> bool:
    return "/secrets/" not in (folder / ".gitignore").read_text(encoding="utf-8", errors="replace")


def _draft_from(out: Output, source: str) -> tuple[str, str]:
    from privpipe.policy import parse_policy

    everything = parse_policy("version: 1\ntable: draft\nunlisted: keep\ncolumns: {}\n")
    # In a project of its own that is thrown away: nothing is made where the source is not there.
    with tempfile.TemporaryDirectory(prefix="privpipe-init-") as scratch:
        make_project(Path(scratch), {"draft": _EXAMPLE})
        with out.working(f"reading the columns of {source}"):
            from privpipe.spark import open_home, profile

            with open_home(Path(scratch, "privpipe.yaml")) as home:
                planned = home.plan(everything, source)
                try:
                    profiles = profile(source, spark=home.spark)
                except PrivpipeError as error:  # a row that is broken is plan's to tell
                    out.warn(f"drafted without advice, as the rows cannot be read: {error.message}")
                    profiles = ()
    name = table_name(source)
    return name, draft(name, planned.columns, {p.path: _advised(p) for p in profiles})


def table_name(source: str) -> str:
    """A table's name from where it lies: `people` of `in/people.csv`."""
    last = source.rstrip("/").rpartition("/")[2].rpartition(":")[2]
    formats = r"\.(parquet|avro|orc|(csv|json|jsonl|ndjson)(\.(gz|bz2))?)$"
    stem = re.sub(formats, "", last, flags=re.IGNORECASE)
    if stem == last and "/" not in source:
        stem = last.rpartition(".")[2]  # of a name in Spark's catalog
    name = re.sub(r"[^\w-]+", "_", stem).strip("_")
    return name or "table"


def draft(
    table: str, columns: tuple[ColumnPlan, ...], advice: Mapping[str, str] | None = None
) -> str:
    """A policy for these columns, all undecided, with type and advice (by path) in a comment."""
    from privpipe.policy import format_path, yaml_key

    advice = advice or {}
    paths = [format_path((column.name,)) for column in columns]
    width = max((len(yaml_key(path)) for path in paths), default=0) + 1
    lines = []
    for path, column in zip(paths, columns, strict=True):
        told = "; ".join(text for text in (column.type.text, advice.get(path)) if text)
        lines.append(f"  {yaml_key(path) + ':':<{width}} undecided    # {told}")
    return _DRAFT_HEAD.format(table=table) + "\n".join(lines) + "\n"


def _advised(profile: Profile) -> str:
    """The first advice and its reason, for a comment."""
    from privpipe.policy import advise

    advice = advise(profile, frozenset())
    return f"{advice[0].protection}: {advice[0].reason}" if advice else ""
