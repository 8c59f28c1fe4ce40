"""The house holds: who may import whom, and which library may enter which room.

One dict says it all. A planted tree shows that each kind of trespass is found.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent

# room: (floor, third-party libraries). A room imports from floors below its own, and from itself.
FLOORS: dict[str, tuple[int, set[str]]] = {
    "_version": (0, set()),
    "errors": (0, set()),
    "arrow": (1, {"numpy", "pyarrow"}),
    "documents": (1, {"yaml"}),
    "kernels": (2, {"cryptography", "numpy", "pyarrow"}),
    "aggregates": (2, {"datasketches", "numpy", "pyarrow"}),
    "dp": (2, {"dp_accounting", "numpy", "opendp"}),
    "he": (2, {"numpy"}),
    "fed": (2, {"cryptography", "numpy"}),
    "keys": (3, {"cryptography", "numpy", "pyarrow", "tink"}),
    "policy": (3, {"pydantic", "pydantic_core"}),
    "catalog": (3, set()),
    "features": (4, {"numpy", "pyarrow"}),
    "spark": (5, {"delta", "numpy", "py4j", "pyarrow", "pyspark"}),
    "cli": (6, {"rich", "typer"}),
    "__init__": (6, set()),
    "__main__": (7, set()),
    "jobs": (7, {"typer"}),
    "notebooks": (7, {"matplotlib", "pyarrow"}),
    "testing": (7, {"cryptography", "numpy", "pyarrow", "tink"}),
}
# A file that may import more than its room.
EXTRAS: dict[str, set[str]] = {
    "privpipe/catalog/_deltars.py": {"deltalake", "pyarrow"},
    "privpipe/catalog/_deltars_files.py": {"deltalake"},
    "privpipe/catalog/_deltars_write.py": {"deltalake", "pyarrow"},
}
OUTSIDE = ("jobs", "notebooks")  # around the package: they stand on its public names
SECRET = "privpipe.keys._secret"  # the one address of key bytes


def imported(tree: ast.Module, package: str) -> Iterator[tuple[int, str, str, bool]]:
    """Line, module, name and whether it is for the type checker alone, of every import."""
    typing_only: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            typing_only |= {id(inner) for part in node.body for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, "", id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, base, alias.name, id(node) in typing_only
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            for named in node.args[:1]:
                if isinstance(named, ast.Constant):
                    yield node.lineno, str(named.value), "", id(node) in typing_only


def room_of(module: str, name: str, root: Path) -> str:
    """The room that `from module import name` enters."""
    parts = module.split(".")
    if len(parts) > 1:
        return parts[1]
    if name == "__version__":  # lazy in the root: it loads `_version` alone
        return "_version"
    inside = root / "privpipe" / name
    return name if name and (inside.is_dir() or inside.with_suffix(".py").is_file()) else "__init__"


def trespasses(root: Path) -> list[str]:
    """Every import under `root` that the house does not allow, as `file:line what`."""
    found: list[str] = []
    for folder in ("privpipe", *OUTSIDE):
        for path in sorted((root / folder).rglob("*.py")):
            found += _of_file(path, root)
    return found


def _of_file(path: Path, root: Path) -> Iterator[str]:
    relative = path.relative_to(root)
    inside = relative.parts[0] == "privpipe"
    room = relative.with_suffix("").parts[1] if inside else relative.parts[0]
    if room not in FLOORS:
        yield f"{relative}:1 stands on no floor"
        return
    floor, libraries = FLOORS[room]
    libraries = libraries | EXTRAS.get(relative.as_posix(), set())
    package = ".".join(relative.parent.parts)
    for line, module, name, typing_only in imported(ast.parse(path.read_text("utf-8")), package):
        spot, top = f"{relative}:{line}", module.split(".")[0]
        if top in sys.stdlib_module_names:
            continue
        if top != "privpipe":
            if top not in libraries:
                yield f"{spot} {room} imports {top}"
            continue
        other = room_of(module, name, root)
        full = f"{module}.{name}" if name else module
        if other not in FLOORS:
            yield f"{spot} {other} stands on no floor"
        elif other != room:
            theirs = FLOORS[other][0]
            level = theirs == floor and typing_only and floor > 2
            if theirs > floor or (theirs == floor and not level) or other == "testing":
                yield f"{spot} {room} (floor {floor}) imports {other} (floor {theirs})"
            if any(part.startswith("_") for part in full.split(".")[2:]):
                yield f"{spot} {room} reaches into {full}"
        if full.startswith(SECRET) and room != "keys":
            yield f"{spot} {room} imports {SECRET}"


def test_every_import_stays_on_its_floor() -> None:
    assert trespasses(PROJECT) == []


PLANTED = {
    "upward": ("privpipe/policy/_x.py", "from privpipe.spark import protect", "imports spark"),
    "sideways": ("privpipe/keys/_x.py", "import privpipe.policy", "imports policy"),
    "strangers": ("privpipe/dp/_x.py", "from privpipe.kernels import AesGcm", "imports kernels"),
    "strangers, typing": (
        "privpipe/he/_x.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from privpipe.fed import a",
        "imports fed",
    ),
    "typing, upward": (
        "privpipe/keys/_x.py",
        "import typing\nif typing.TYPE_CHECKING:\n    from privpipe.spark import Home",
        "imports spark",
    ),
    "library": ("privpipe/policy/_x.py", "def f():\n    import pyspark.sql", "imports pyspark"),
    "spark from the cli": ("privpipe/cli/_x.py", "from delta import x", "imports delta"),
    "deltalake": ("privpipe/catalog/_x.py", "import deltalake", "imports deltalake"),
    "relative": ("privpipe/arrow/_x.py", "from ..kernels import AesGcm", "imports kernels"),
    "through the root": ("privpipe/kernels/_x.py", "from privpipe import keys", "imports keys"),
    "by name": ("privpipe/kernels/_x.py", "import_module('privpipe.keys')", "imports keys"),
    "testing": ("privpipe/cli/_x.py", "from privpipe.testing import x", "imports testing"),
    "private": ("privpipe/keys/_x.py", "from privpipe.arrow._cells import x", "reaches into"),
    "private job": ("jobs/x.py", "from privpipe.spark._home import x", "reaches into"),
    "spark in a job": ("jobs/x.py", "from pyspark.sql import SparkSession", "imports pyspark"),
    "notebook": ("notebooks/x.py", "import tink", "imports tink"),
    "secret": ("privpipe/spark/_x.py", "from privpipe.keys._secret import raw", "imports privp"),
    "unknown room": ("privpipe/attic/_x.py", "import os", "stands on no floor"),
}


@pytest.mark.parametrize("case", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_trespass_is_found(case: tuple[str, str, str], tmp_path: Path) -> None:
    file, text, complaint = case
    for room in FLOORS:
        (tmp_path / "privpipe" / room).mkdir(parents=True)
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    assert any(complaint in found for found in trespasses(tmp_path))


ALLOWED = {
    "privpipe/keys/_x.py": "from privpipe.kernels import AesGcm\nimport tink, numpy, os",
    "privpipe/policy/_x.py": "from typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    from privpipe.keys import Keyring",
    "privpipe/catalog/_deltars.py": "from deltalake import DeltaTable",
    "privpipe/keys/_y.py": "from privpipe.keys._secret import raw",
    "jobs/x.py": "from privpipe import load_policy, spark as pp",
}


def test_what_is_allowed_is_not_found(tmp_path: Path) -> None:
    for room in FLOORS:
        (tmp_path / "privpipe" / room).mkdir(parents=True)
    for file, text in ALLOWED.items():
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert trespasses(tmp_path) == []
