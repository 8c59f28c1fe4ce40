"""The scene of the leak search: planted values, chosen keys, and a folder that keeps every trace.

source/  secrets/   where canaries and the KEK are: what is searched for, so never searched
revealed/           what a reveal was asked to write in clear
everything else     must hold neither a key nor a canary
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tink
from pyarrow import orc
from tink import aead, secret_key_access

from privpipe.keys import associated_data
from privpipe.testing import Canaries, Leak, TestKey, keyset_json
from tests.leaks import _others as others

PROJECT = Path(__file__).resolve().parents[2]
OUTSIDE = {"source", "secrets", "revealed"}
ROWS = 1_200

NUMBER = 7_316_402_895_113_648_201
BROKEN = "~~Broken-Row-Canary-3308"
UNFIT = "~~Not-A-Number-Canary-77"
SPOKEN = "~~Json-Canary-1906"
CELL = "~~Csv-Cell-Canary-2291"
# Eight bytes, so that a wrong type in the catalog could read them as an integer.
PIN = "Qx7~Zv9W"
VALUES: dict[str, str | bytes] = {
    # Above and below all other texts of their columns: a range of values would name them.
    "name": "~~Zyxwvutsky-Canary-4417",
    "ssn": "!!Vogel-Social-9902113",
    "mail": "~~bird.7731@canary.example",
    "pin": PIN,
    "note in an array": "~~Flu-Note-Canary-5563",
    "card number in a struct": "4111-7777-3333-0042",
    "a map's value": "~~Map-Value-Canary-8812",
    "a dropped column": "~~Dropped-Canary-6650",
    "a CSV cell": CELL,
    "a malformed row": BROKEN,
    "an unfit cell": UNFIT,
    "a JSON value": SPOKEN,
    "a number": str(NUMBER),
    "a number, big-endian": NUMBER.to_bytes(8, "big"),
    "a number, little-endian": NUMBER.to_bytes(8, "little"),
    "a pin read as a number": str(int.from_bytes(PIN.encode(), "big")),
    **others.VALUES,
}
# Fixed, and of no pattern that a table or a log would hold by chance.
KEYS: dict[str, bytes] = {
    "the KEK": bytes((at * 167 + 91) % 256 for at in range(32)),
    "the table's random key": bytes((at * 59 + 203) % 256 for at in range(32)),
    "the table's equal key": bytes((at * 101 + 17) % 256 for at in range(64)),
    "the domain's key": bytes((at * 43 + 149) % 256 for at in range(64)),
    **others.KEYS,
}
BIRDS = Canaries(values=VALUES, keys=KEYS)

# A context of its own binds no type: so the wrong ones reach the executors.
POLICY = """\
version: 1
table: leaks.people
columns:
  id: keep
  name: {protect: encrypt, context: a name}
  ssn: encrypt_deterministic
  mail: {protect: encrypt_deterministic, domain: mail}
  pin: {protect: encrypt, context: a pin}
  number: {protect: encrypt, context: a number}
  card.number: encrypt
  card.kind: keep
  visits[].note: encrypt
  visits[].at: keep
  attrs{}: encrypt
  secret: drop
"""
TEXT_POLICY = """\
version: 1
table: leaks.text
schema: {id: bigint, amount: bigint}
columns: {id: keep, name: encrypt, amount: encrypt_deterministic}
"""
FOLDERS_POLICY = """\
version: 1
table: leaks.folders
columns: {id: keep, name: encrypt, mail: encrypt_deterministic}
"""
LOG4J = """\
rootLogger.level = debug
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {file}
appender.file.immediateFlush = false
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c: %m%n%ex
"""


def build(folder: Path, *, io_encryption: bool) -> None:
    """Sources, keys, policies and a project whose session keeps every trace."""
    for name in ("source", "secrets", "revealed", "tmp", "logs", "events", "kept", "out", "local"):
        (folder / name).mkdir(parents=True)
    _write_sources(folder / "source")
    _write_keys(folder)
    others.write(folder)
    (folder / "people.yaml").write_text(POLICY, encoding="utf-8")
    (folder / "text.yaml").write_text(TEXT_POLICY, encoding="utf-8")
    (folder / "folders.yaml").write_text(FOLDERS_POLICY, encoding="utf-8")
    (folder / "log4j2.properties").write_text(LOG4J.format(file=folder / "logs" / "spark.log"))
    options = (
        f"-Dlog4j2.configurationFile={(folder / 'log4j2.properties').as_uri()} "
        f"-Djava.io.tmpdir={folder / 'tmp'} -Dderby.system.home={folder / 'derby'}"
    )
    settings = {
        "spark.master": "local[2]",
        "spark.app.name": "leaks",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": options,
        "spark.log.level": "DEBUG",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (folder / "events").as_uri(),
        "spark.eventLog.logStageExecutorMetrics": "true",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": (folder / "spark-warehouse").as_uri(),
        "spark.sql.shuffle.partitions": "2",
        "spark.shuffle.spill.numElementsForceSpillThreshold": "100",
        "spark.io.encryption.enabled": str(io_encryption).lower(),
        "spark.io.encryption.keySizeBits": "256",
    }
    _project(folder / "privpipe.yaml", "kek.json", settings)
    _project(folder / "wrong.yaml", "other.json", settings)


def leaks(folder: Path) -> tuple[Leak, ...]:
    """What is found in all that must be clean."""
    clean = (path for path in sorted(folder.iterdir()) if path.name not in OUTSIDE)
    return BIRDS.in_paths(*clean)


def run(folder: Path, *command: str, to: str) -> int:
    """Runs Python with `command` in `folder`; what it prints goes to out/`to`.*; its exit code."""
    with (
        (folder / "out" / f"{to}.stdout").open("wb") as out,
        (folder / "out" / f"{to}.stderr").open("wb") as err,
        traces_kept(folder),
    ):
        return subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(folder / "tmp")},
            stdout=out,
            stderr=err,
            timeout=900,
            check=False,
        ).returncode


@contextmanager
def traces_kept(folder: Path) -> Iterator[None]:
    """Links every file of Spark's scratch folder into kept/, before Spark removes it."""
    over = threading.Event()

    seen: set[str] = set()

    def watch() -> None:
        while not over.is_set():
            _link(folder / "local", folder / "kept", seen)
            time.sleep(0.01)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _link(scratch: Path, kept: Path, seen: set[str]) -> None:
    for base, _, names in os.walk(scratch):
        for name in names:
            if name not in seen:
                with suppress(OSError):  # there already, or gone since it was listed
                    os.link(os.path.join(base, name), kept / name)  # noqa: PTH118 - in a hurry
                    seen.add(name)


def _write_sources(folder: Path) -> None:
    def texts(name: str) -> list[str | None]:
        canary = VALUES[name]
        assert isinstance(canary, str)
        filler = [f"{at * 2654435761 % 2**32:08x}" for at in range(ROWS)]
        return [
            canary if at % 100 == 7 else None if at % 100 == 9 else filler[at] for at in range(ROWS)
        ]

    visits = [[{"note": note, "at": "2026-01-01"}] for note in texts("note in an array")]
    cards = [{"number": text, "kind": "debit"} for text in texts("card number in a struct")]
    attrs = [[("k", text)] for text in texts("a map's value")]
    table = pa.table(
        {
            "id": range(ROWS),
            "name": texts("name"),
            "ssn": texts("ssn"),
            "mail": texts("mail"),
            "pin": texts("pin"),
            "number": [NUMBER if at % 100 == 7 else at for at in range(ROWS)],
            "card": cards,
            "visits": visits,
            "attrs": pa.array(attrs, pa.map_(pa.string(), pa.string())),
            "secret": texts("a dropped column"),
        }
    )
    pq.write_table(table, folder / "people.parquet")
    head = "id,name,amount\n"
    good = f"{head}1,{CELL},{NUMBER}\n2,,17\n"
    (folder / "good.csv").write_text(good)
    (folder / "torn.csv").write_text(f'{good}3,"{BROKEN}\n4,x,5,6\n')
    (folder / "unfit.csv").write_text(f"{good}3,x,{UNFIT}\n")
    lines = [f'{{"id":1,"name":"{SPOKEN}","amount":{NUMBER}}}']
    (folder / "good.json").write_text("\n".join(lines))
    lines.append(f'{{"id":2,"name":"{BROKEN}')
    (folder / "torn.json").write_text("\n".join(lines))

    _write_folders(folder)


def _write_folders(folder: Path) -> None:
    """Sources whose folders name values."""
    mail, name = (str(VALUES[each]) for each in ("mail", "name"))
    table = pa.table({"id": ["7"], "name": [name]})
    texts = {"csv": f"id,name\n7,{name}\n", "json": f'{{"id":"7","name":"{name}"}}\n'}
    for kind in ("parquet", "orc", "csv", "json"):
        place = folder / f"folders.{kind}" / f"mail={mail}"
        place.mkdir(parents=True)
        file = place / f"part-0.{kind}"
        if kind in texts:
            file.write_text(texts[kind])
        else:
            (pq.write_table if kind == "parquet" else orc.write_table)(table, file)


def _write_keys(folder: Path) -> None:
    clear = keyset_json([TestKey(key_id=11, raw=KEYS["the KEK"])], primary=11)
    other = keyset_json([TestKey(key_id=12, raw=bytes(range(40, 72)))], primary=12)
    for name, text in (("kek.json", clear), ("other.json", other)):
        path = folder / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(text)
    aead.register()
    kek = tink.json_proto_keyset_format.parse(clear, secret_key_access.TOKEN).primitive(aead.Aead)
    wanted = (
        ("table:leaks.people", "AES256_GCM", "the table's random key", None),
        ("table:leaks.people", "AES256_SIV", "the table's equal key", None),
        ("domain:mail", "AES256_SIV", "the domain's key", "text"),
    )
    planted = []
    for key_id, (scope, primitive, name, family) in enumerate(wanted, start=701):
        kind = "AesGcmKey" if primitive.endswith("GCM") else "AesSivKey"
        keyset = keyset_json([TestKey(key_id=key_id, raw=KEYS[name], type=kind)], primary=key_id)
        planted.append((scope, primitive, family, key_id, keyset))
    records = []
    for scope, primitive, family, key_id, keyset in [*planted, *others.keysets()]:
        wrapped = tink.json_proto_keyset_format.serialize_encrypted(
            _parsed(keyset), kek, associated_data(scope, primitive)
        )
        records.append(
            {
                "scope": scope,
                "primitive": primitive,
                "family": family,
                "wrapped": wrapped,
                "key_id": key_id,
            }
        )
    (folder / "keysets.json").write_text(json.dumps(records))


def _parsed(keyset: str) -> Any:
    return tink.json_proto_keyset_format.parse(keyset, secret_key_access.TOKEN)


def _project(path: Path, kek: str, settings: dict[str, str]) -> None:
    lines = "".join(f"  {name}: {json.dumps(value)}\n" for name, value in settings.items())
    path.write_text(
        f"version: 1\ncatalog: warehouse/catalog\nkek: file:secrets/{kek}\nspark:\n{lines}",
        encoding="utf-8",
    )
