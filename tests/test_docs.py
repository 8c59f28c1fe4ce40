"""The examples in the pages of docs/ are what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from privpipe.arrow import Step, encode
from privpipe.catalog import TABLES
from privpipe.features import load_features, parse_features
from privpipe.policy import NEEDS, choosing_markdown, column_context, domain_context

DOCS = Path(__file__).resolve().parent.parent / "docs"
FORMAT = (DOCS / "format.md").read_text("utf-8")
CHOOSING = (DOCS / "choosing.md").read_text("utf-8")
CATALOG = (DOCS / "catalog.md").read_text("utf-8")

FEATURES = sorted((DOCS.parent / "conf" / "features").glob("*.yaml"))

TUPLES = {
    "struct<a:int,b:string> {7, null}": pa.array(
        [{"a": 7, "b": None}], pa.struct([("a", pa.int32()), ("b", pa.string())])
    ),
    'array<string> ["x", "", null]': pa.array([["x", "", None]], pa.list_(pa.string())),
    'map<string,boolean> {"k": true}': pa.array([[("k", True)]], pa.map_(pa.string(), pa.bool_())),
}
CONTEXTS = {
    "pp1:c:clinic.patients/surname:string": ("clinic.patients", ("surname",), "string"),
    "pp1:c:clinic.patients/visits.[].note:string": (
        "clinic.patients",
        ("visits", Step.ELEMENT, "note"),
        "string",
    ),
    "pp1:c:clinic.patients/balance:decimal(12,2)": (
        "clinic.patients",
        ("balance",),
        "decimal(12,2)",
    ),
}


@pytest.mark.parametrize("shown", TUPLES, ids=lambda shown: shown.split()[0])
def test_tuple_encodings(shown: str) -> None:
    found = re.search(re.escape(shown) + r" {2,}([0-9A-F ]+)$", FORMAT, re.MULTILINE)
    assert found is not None
    assert encode(TUPLES[shown])[0].as_py() == bytes.fromhex(found.group(1))


@pytest.mark.parametrize("shown", CONTEXTS)
def test_contexts(shown: str) -> None:
    assert f"\n{shown}\n" in FORMAT
    assert column_context(*CONTEXTS[shown]) == shown


def test_domain_contexts() -> None:
    assert f"\n{domain_context('email', 'text')}\n" in FORMAT


@pytest.mark.parametrize("name", TABLES)
def test_the_catalogs_columns(name: str) -> None:
    section = CATALOG.split(f"## `{name}`")[1].split("\n## ")[0]
    plain = section.replace("\\<", "<")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", plain, re.MULTILINE)
    assert rows == [
        (column.name, column.kind + (", may be null" if column.nullable else ""), column.comment)
        for column in TABLES[name].columns
    ]
    key = section.split("Key: ")[1].split(".\n")[0]
    assert tuple(re.findall(r"`(\w+)`", key)) == TABLES[name].key


def test_choosing() -> None:
    assert CHOOSING.endswith("printed by the code -->\n\n" + choosing_markdown())
    assert "".join(f"- `{need}`: {told}\n" for need, told in NEEDS.items()) in CHOOSING


@pytest.mark.parametrize("path", FEATURES, ids=lambda path: path.name)
def test_the_worked_specs_of_features(path: Path) -> None:
    page = (DOCS / "features.md").read_text("utf-8")
    shown = page.split(f"```yaml file=conf/features/{path.name}\n")[1].split("```")[0]
    assert parse_features(shown).canonical_text == load_features(path).canonical_text
