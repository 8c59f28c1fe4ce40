from __future__ import annotations

from pathlib import Path

import pytest

from privpipe.errors import ConfigError
from privpipe.policy import find_project, load_project

GOOD = "version: 1\ncatalog: warehouse/catalog\nkek: file:secrets/kek.json\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "privpipe.yaml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, GOOD + "spark: {spark.executor.memory: 4g, spark.x: true, spark.y: 010}\n")
    monkeypatch.chdir(tmp_path)
    project = load_project(Path("privpipe.yaml"))
    assert project.path == tmp_path / "privpipe.yaml"
    assert project.catalog == str(tmp_path / "warehouse" / "catalog")
    assert project.kek == f"file:{tmp_path}/secrets/kek.json"
    # As they are written: Spark reads them itself.
    assert project.spark == {"spark.executor.memory": "4g", "spark.x": "true", "spark.y": "010"}


@pytest.mark.parametrize(
    ("catalog", "resolved"),
    [
        ("/data/catalog", "/data/catalog"),
        ("../c", "{up}/c"),
        ("s3a://bucket/catalog", "s3a://bucket/catalog"),
        ("abfss://c@account.dfs.core.windows.net/x", "abfss://c@account.dfs.core.windows.net/x"),
        ("file:/data/catalog", "file:/data/catalog"),
        ("schema:privacy", "schema:privacy"),
    ],
)
def test_catalogs(tmp_path: Path, catalog: str, resolved: str) -> None:
    path = write(tmp_path, GOOD.replace("warehouse/catalog", catalog))
    assert load_project(path).catalog == resolved.format(up=tmp_path.parent)


@pytest.mark.parametrize("kek", ["file:/keys/kek.json", "file:///keys/kek.json"])
def test_an_absolute_kek(tmp_path: Path, kek: str) -> None:
    path = write(tmp_path, GOOD.replace("file:secrets/kek.json", kek))
    assert load_project(path).kek == "file:/keys/kek.json"


BAD = [
    ("", "", "the file is empty", "mend the project file"),
    ("- a", ":1", "found a list at the top; wanted a mapping of keys", "mend the project file"),
    (
        GOOD.replace("1", "9", 1),
        ":1 version",
        "version 9 is not known; this privpipe reads version 1",
        "write `version: 1`, or upgrade privpipe if the file is newer",
    ),
    (
        GOOD + "sparc: {}",
        ":4 sparc",
        'unknown key "sparc"; nearest: "spark"',
        "allowed: version, catalog, kek, spark",
    ),
    (
        GOOD + "spark: {executor.memory: 4g}",
        ":4 spark.executor.memory",
        '"executor.memory" is no Spark setting',
        "for example `spark.executor.memory: 4g`",
    ),
    (
        GOOD + "spark: {spark.a: [1]}",
        ":4 spark.spark.a",
        "found a list; wanted one value",
        "mend the project file",
    ),
    (
        GOOD + "spark: 4",
        ":4 spark",
        'found the number "4"; wanted a mapping of Spark settings',
        "mend the project file",
    ),
    (
        "version: 1\nkek: file:k",
        " catalog",
        "no key catalog",
        "for example `catalog: warehouse/catalog`, or `catalog: schema:privacy`",
    ),
    (
        GOOD.replace("warehouse/catalog", "'schema:'"),
        ":2 catalog",
        "schema: names no schema",
        "for example `catalog: warehouse/catalog`, or `catalog: schema:privacy`",
    ),
    (
        "version: 1\ncatalog: c",
        " kek",
        "no key kek",
        "for example `kek: file:secrets/kek.json`",
    ),
    (
        GOOD.replace("file:secrets/kek.json", "aws-kms://arn:aws:kms:eu-west-1:1:key/2"),
        ":3 kek",
        '"aws-kms:" is not available in this version',
        "available: file:",
    ),
    (
        GOOD.replace("file:secrets", "fiel:secrets"),
        ":3 kek",
        'unknown kind of key store "fiel:"; nearest: "file:"',
        "available: file:",
    ),
    (
        GOOD.replace("file:secrets", "secrets"),
        ":3 kek",
        '"secrets/kek.json" names no kind of key store',
        "available: file:; for example `kek: file:secrets/kek.json`",
    ),
    (
        GOOD.replace("file:secrets/kek.json", "'file:'"),
        ":3 kek",
        "file: names no file",
        "for example `kek: file:secrets/kek.json`",
    ),
]


@pytest.mark.parametrize(("text", "where", "message", "hint"), BAD)
def test_a_bad_project_file(tmp_path: Path, text: str, where: str, message: str, hint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    error = caught.value
    assert (error.where, error.message, error.hint) == (f"{path}{where}", message, hint)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="4 faults"):
        load_project(write(tmp_path, "catalog: 7\nkek: gcp-kms://x\nx: 1\n"))


def test_a_project_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path / "privpipe.yaml")
    assert caught.value.message == "no such file"


def test_the_places_are_tried_in_order(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    in_conf = write(tmp_path / "conf", GOOD)
    assert find_project(None, {}, tmp_path) == in_conf
    here = write(tmp_path, GOOD)
    assert find_project(None, {}, tmp_path) == here
    (tmp_path / "other.yaml").write_text(GOOD)
    env = {"PRIVPIPE_CONFIG": "other.yaml"}
    assert find_project(None, env, tmp_path) == tmp_path / "other.yaml"
    assert find_project("conf/privpipe.yaml", env, tmp_path) == in_conf
    assert find_project(str(in_conf), {}, Path("/")) == in_conf
    assert find_project(None, {"PRIVPIPE_CONFIG": ""}, tmp_path) == here


def test_every_place_is_listed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_project(None, {}, tmp_path)
    assert caught.value.message.splitlines() == [
        "no project file; searched:",
        "  --config (not given)",
        "  PRIVPIPE_CONFIG (not set)",
        f"  {tmp_path}/privpipe.yaml",
        f"  {tmp_path}/conf/privpipe.yaml",
    ]
    assert caught.value.hint == "`privpipe init DIR` makes one, or name yours with --config"


@pytest.mark.parametrize(
    ("explicit", "env", "where"),
    [
        ("x.yaml", {}, "--config x.yaml"),
        (None, {"PRIVPIPE_CONFIG": "x.yaml"}, "PRIVPIPE_CONFIG x.yaml"),
    ],
)
def test_a_named_file_that_is_missing_is_not_replaced(
    tmp_path: Path, explicit: str | None, env: dict[str, str], where: str
) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(ConfigError) as caught:
        find_project(explicit, env, tmp_path)
    assert (caught.value.where, caught.value.message) == (
        where,
        f"no project file at {tmp_path}/x.yaml",
    )
