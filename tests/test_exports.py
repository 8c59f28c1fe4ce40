"""What a room exports is what it shows: listed in `__all__`, sorted, and each with a docstring."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import privpipe

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(
    [
        "privpipe",
        *(
            found.name
            for found in pkgutil.walk_packages(privpipe.__path__, "privpipe.")
            if found.ispkg
        ),
    ]
)
# The few modules that are public by their own name.
PUBLIC_MODULES = {"privpipe.errors", "privpipe.__main__"}


def public(module: ModuleType) -> list[str]:
    names: list[str] = module.__all__
    return names


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by name: as `ruff --fix` sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def defined(package: str) -> set[str]:
    """What the package's `__init__` takes from its own modules, or defines, under a public name."""
    source = importlib.import_module(package).__file__
    assert source is not None
    names: set[str] = set()
    for node in ast.parse(Path(source).read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{package}."):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", [*PACKAGES, "privpipe.errors"])
def test_exports_are_sorted_and_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    exported = public(module)
    assert exported == sorted(exported, key=order)
    assert len(exported) == len(set(exported))
    for each in exported:
        value = getattr(module, each)
        if inspect.isclass(value) or inspect.isroutine(value):
            own = value.__doc__ or ""
            assert own.strip(), f"{name}.{each} has no docstring"
            assert not own.startswith(f"{each}("), f"{name}.{each} has a generated docstring"


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_visible_is_exported(name: str) -> None:
    assert defined(name) <= set(public(importlib.import_module(name)))


def test_modules_are_private() -> None:
    open_modules = {
        found.name
        for found in pkgutil.walk_packages(privpipe.__path__, "privpipe.")
        if not found.ispkg and not found.name.rsplit(".", 1)[1].startswith("_")
    }
    assert open_modules <= PUBLIC_MODULES


def test_the_root_shows_what_it_exports() -> None:
    assert dir(privpipe) == sorted(privpipe.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lod_policy'"):
        privpipe.lod_policy  # noqa: B018


def test_the_root_starts_nothing() -> None:
    heavy = ("pyspark", "delta", "deltalake", "tink", "pydantic", "pyarrow", "numpy", "typer")
    code = f"import sys, privpipe; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert done.stdout.strip() == "[]"
