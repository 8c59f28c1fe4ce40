"""The project file: where the catalog and the key-encryption key are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from privpipe.documents import Faults, Node, choice, nearest, quote, read_file, read_mapping
from privpipe.errors import ConfigError

__all__ = ["Project", "find_project", "load_project"]

VARIABLE = "PRIVPIPE_CONFIG"
_PLACES = ("privpipe.yaml", "conf/privpipe.yaml")
_KEYS = ("version", "catalog", "kek", "spark")
_KEKS = ("file:",)
_LATER_KEKS = ("aws-kms:", "gcp-kms:", "hcvault:", "pkcs11:", "rsa:")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CATALOG = "for example `catalog: warehouse/catalog`, or `catalog: schema:privacy`"
_KEK = "for example `kek: file:secrets/kek.json`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project, its paths resolved.

    `path` is the file itself; `catalog` an absolute path, a URI or `schema:<name>`; `kek` a URI
    such as `file:/abs/kek.json`; `spark` extra session settings.
    """

    path: Path
    catalog: str
    kek: str
    spark: Mapping[str, str]


def find_project(
    explicit: str | os.PathLike[str] | None, env: Mapping[str, str], cwd: Path
) -> Path:
    """The project file: `explicit` (`--config`), else `PRIVPIPE_CONFIG` in `env`, else in `cwd`.

    A file that is named and missing is an error: no other place is tried in its stead.

    Raises:
        ConfigError: there is none; it lists every place searched.
    """
    named = str(explicit) if explicit is not None else env.get(VARIABLE)
    if named or explicit is not None:
        source = "--config" if explicit is not None else VARIABLE
        path = cwd / str(named)
        if path.is_file():
            return path.absolute()
        raise ConfigError(
            f"no project file at {path}",
            where=f"{source} {named}",
            hint="`privpipe init DIR` makes one",
        )
    searched = [cwd / place for place in _PLACES]
    for path in searched:
        if path.is_file():
            return path.absolute()
    places = ["--config (not given)", f"{VARIABLE} (not set)", *map(str, searched)]
    raise ConfigError(
        "no project file; searched:" + "".join(f"\n  {place}" for place in places),
        hint="`privpipe init DIR` makes one, or name yours with --config",
    )


def load_project(path: str | os.PathLike[str]) -> Project:
    """The project in the YAML file at `path`; relative paths in it are relative to that file.

    Raises:
        ConfigError: every fault of the file, each with its line.
    """
    file = Path(path).absolute()
    faults = Faults(name=str(path), kind=ConfigError, advice="mend the project file")
    text = read_file(file, faults)
    root = read_mapping(text, faults) if text is not None else None
    entries = {key: (line, node) for key, line, node in root.entries} if root else {}
    if root is not None:
        for key, (line, _) in entries.items():
            if key not in _KEYS:
                faults.add(line, key, *choice("key", key, _KEYS))
        _version(entries, faults)
    catalog = _text("catalog", _CATALOG, entries, faults) if root else ""
    kek = _text("kek", _KEK, entries, faults) if root else ""
    spark = _settings(entries, faults)
    if catalog:
        catalog = _catalog(catalog, file.parent, entries["catalog"][0], faults)
    if kek:
        kek = _kek(kek, file.parent, entries["kek"][0], faults)
    faults.settle()
    return Project(path=file, catalog=catalog, kek=kek, spark=MappingProxyType(spark))


Entries = dict[str, tuple[int, Node]]


def _version(entries: Entries, faults: Faults) -> None:
    line, node = entries.get("version", (0, None))
    if node is None:
        faults.add(0, "version", "no key version", "write `version: 1` at the top")
    elif (node.kind, node.text) != ("number", "1"):
        found = node.text if node.kind == "number" else node.describe()
        text = f"version {found} is not known; this privpipe reads version 1"
        hint = "write `version: 1`, or upgrade privpipe if the file is newer"
        faults.add(line, "version", text, hint)


def _text(key: str, example: str, entries: Entries, faults: Faults) -> str:
    line, node = entries.get(key, (0, None))
    if node is None:
        faults.add(0, key, f"no key {key}", example)
    elif node.kind != "text" or not node.text.strip():
        faults.add(line, key, f"found {node.describe()}; wanted text", example)
    else:
        return node.text
    return ""


def _settings(entries: Entries, faults: Faults) -> dict[str, str]:
    line, node = entries.get("spark", (0, None))
    if node is None or node.kind == "nothing":
        return {}
    if node.kind != "mapping":
        faults.add(line, "spark", f"found {node.describe()}; wanted a mapping of Spark settings")
        return {}
    for key, at, value in node.entries:
        if not key.startswith("spark."):
            hint = "for example `spark.executor.memory: 4g`"
            faults.add(at, f"spark.{key}", f"{quote(key)} is no Spark setting", hint)
        elif value.kind in {"list", "mapping", "nothing"}:
            faults.add(at, f"spark.{key}", f"found {value.describe()}; wanted one value")
    # As written: Spark reads `true` and `2g` itself.
    return {key: value.text for key, _, value in node.entries}


def _catalog(text: str, folder: Path, line: int, faults: Faults) -> str:
    if text.startswith("schema:"):
        if not text.removeprefix("schema:").strip():
            faults.add(line, "catalog", "schema: names no schema", _CATALOG)
        return text
    if _SCHEME.match(text):
        return text
    return os.path.normpath(folder / text)


def _kek(text: str, folder: Path, line: int, faults: Faults) -> str:
    scheme = _SCHEME.match(text)
    available = f"available: {', '.join(_KEKS)}"
    if scheme is None:
        faults.add(line, "kek", f"{quote(text)} names no kind of key store", f"{available}; {_KEK}")
    elif scheme.group() in _LATER_KEKS:
        kind = quote(scheme.group())
        faults.add(line, "kek", f"{kind} is not available in this version", available)
    elif scheme.group() not in _KEKS:
        near = nearest(scheme.group(), (*_KEKS, *_LATER_KEKS))
        known = f"; nearest: {quote(near)}" if near else ""
        faults.add(
            line, "kek", f"unknown kind of key store {quote(scheme.group())}{known}", available
        )
    elif not (rest := text.removeprefix("file:")):
        faults.add(line, "kek", "file: names no file", _KEK)
    else:
        # `file:///a` and `file:/a` are the same place.
        place = rest[2:] if rest.startswith("///") else rest
        return f"file:{os.path.normpath(folder / place)}"
    return ""
