"""Key bytes have one address, and what only lists keys starts without Tink."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import privpipe.keys

ROOM = Path(privpipe.keys.__file__).parent
PACKAGE = ROOM.parent
TRUSTED = {"_imported.py", "_keyset.py", "_open.py", "kms/_file.py"}


def files() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    assert len(found) > 10
    return found


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def test_only_these_files_import_the_secret() -> None:
    importers = {
        path.relative_to(ROOM).as_posix() if path.is_relative_to(ROOM) else str(path)
        for path in files()
        if any("_secret" in name.split(".") for name in imports(path))
    }
    assert importers == TRUSTED


def test_only_the_secret_asks_tink_for_its_token() -> None:
    askers = {
        path.relative_to(PACKAGE).as_posix()
        for path in files()
        if any(word in path.read_text("utf-8") for word in ("secret_key_access", "cleartext_keys"))
    }
    assert askers == {"keys/_secret.py"}


def test_only_two_files_import_tink() -> None:
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in files()
        if any(name.split(".")[0] == "tink" for name in imports(path))
    }
    assert importers == {"keys/_secret.py", "keys/_tink.py"}


def test_keys_are_listed_without_tink() -> None:
    wrapped = json.dumps(
        {
            "encryptedKeyset": "AA==",
            "keysetInfo": {"primaryKeyId": 7, "keyInfo": [{"keyId": 7, "status": "ENABLED"}]},
        }
    )
    code = (
        "import sys\n"
        "from privpipe.keys import keyset_info, parse_backup, open_ref\n"
        f"assert keyset_info({wrapped!r})[0].key_id == 7\n"
        "print(sorted({'tink', 'numpy', 'pyarrow', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
