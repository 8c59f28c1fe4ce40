"""The file door: made whole or not at all, read only where its owner alone may read it."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import threading
from pathlib import Path

import pytest
import tink
from tink import aead, cleartext_keyset_handle, daead, mac

from privpipe.errors import KekError
from privpipe.keys import generate_kek, open_kek
from privpipe.testing import TestKey, keyset_json

aead.register()
daead.register()
mac.register()


def write(path: Path, text: str | bytes, mode: int = 0o600) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return f"file:{path}"


def clear_json(template: object) -> str:
    import io

    stream = io.StringIO()
    writer = tink.JsonKeysetWriter(stream)
    cleartext_keyset_handle.write(writer, tink.new_keyset_handle(template))
    return stream.getvalue()


def refusal(uri: str) -> str:
    with pytest.raises(KekError) as caught:
        open_kek(uri)
    assert caught.value.hint
    assert caught.value.where
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_a_new_kek_opens_and_has_mode_600(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secrets" / "kek.json"
    old = os.umask(0)
    try:
        uri = generate_kek(path)
    finally:
        os.umask(old)
    assert uri == f"file:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["kek.json"]
    kek = open_kek(uri)
    assert kek.decrypt(kek.encrypt(b"a key", b"its place"), b"its place") == b"a key"


def test_the_file_is_a_tink_keyset(tmp_path: Path) -> None:
    path = tmp_path / "kek.json"
    ours = open_kek(generate_kek(path))
    handle = cleartext_keyset_handle.read(tink.JsonKeysetReader(path.read_text("utf-8")))
    assert handle.primitive(aead.Aead).decrypt(ours.encrypt(b"x", b"y"), b"y") == b"x"
    (key,) = json.loads(path.read_text("utf-8"))["key"]
    assert (key["status"], key["outputPrefixType"]) == ("ENABLED", "TINK")
    assert key["keyData"]["typeUrl"].endswith(".AesGcmKey")


def test_a_kek_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "kek.json"
    generate_kek(path)
    before = path.read_bytes()
    with pytest.raises(KekError, match="never overwritten"):
        generate_kek(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("there", ["empty", "folder", "dangling link"])
def test_nor_is_anything_else(tmp_path: Path, there: str) -> None:
    path = tmp_path / "kek.json"
    if there == "empty":
        path.touch()
    elif there == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KekError, match="never overwritten"):
        generate_kek(path)
    assert not (tmp_path / "elsewhere").exists()


def test_two_makers_at_once_make_one(tmp_path: Path) -> None:
    path = tmp_path / "kek.json"
    made: list[str] = []
    refused: list[KekError] = []
    ready = threading.Barrier(8)

    def make() -> None:
        ready.wait()
        try:
            made.append(generate_kek(path))
        except KekError as error:
            refused.append(error)

    makers = [threading.Thread(target=make) for _ in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert (len(made), len(refused)) == (1, 7)
    open_kek(made[0])


def die_before_the_link(path: Path) -> None:
    def die(*_: object) -> None:
        os._exit(9)

    os.link = die  # type: ignore[assignment]
    generate_kek(path)


def test_a_crash_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "kek.json"
    child = multiprocessing.get_context("fork").Process(target=die_before_the_link, args=(path,))
    child.start()
    child.join()
    assert child.exitcode == 9
    assert not path.exists()
    open_kek(generate_kek(path))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KekError, match="cannot be made: Not a directory"):
        generate_kek(tmp_path / "file" / "kek.json")


def test_paths_are_absolute(kek: str) -> None:
    with pytest.raises(KekError, match="absolute"):
        generate_kek(Path("kek.json"))
    for uri in ("file:secrets/kek.json", "file:", "file://host/kek.json", "file:./x", "file:/\0"):
        assert "absolute" in refusal(uri)
    open_kek("file://" + kek.removeprefix("file:")).encrypt(b"", b"")


@pytest.mark.parametrize("uri", ["aws:kek", "kek.json", "", "FILE:/x"])
def test_another_door_is_named(uri: str) -> None:
    with pytest.raises(KekError, match="known doors: file:"):
        open_kek(uri)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o644, 0o777, 0o601])
def test_the_mode_is_enforced(kek: str, mode: int) -> None:
    path = Path(kek.removeprefix("file:"))
    path.chmod(mode)
    said = refusal(kek)
    assert f"mode is {mode:04o}" in said
    assert f"chmod 600 {path}" in said


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_mode_is_fine(kek: str, mode: int) -> None:
    Path(kek.removeprefix("file:")).chmod(mode)
    open_kek(kek)


def test_an_absent_file_says_that_executors_need_it(tmp_path: Path) -> None:
    said = refusal(f"file:{tmp_path}/none.json")
    assert "every executor" in said.replace("\n", " ")
    assert os.uname().nodename in said
    (tmp_path / "file").touch()
    assert "no KEK file" in refusal(f"file:{tmp_path}/file/kek.json")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_file_or_link_is_refused(kek: str, tmp_path: Path) -> None:
    path = Path(kek.removeprefix("file:"))
    link = tmp_path / "link.json"
    link.symlink_to(path)
    open_kek(f"file:{link}")
    os.lchown(link, 12345, 12345)
    assert "another user" in refusal(f"file:{link}")
    os.chown(path, 12345, 12345)
    assert "another user" in refusal(kek)
    mine = tmp_path / "mine.json"
    mine.symlink_to(path)
    assert "another user" in refusal(f"file:{mine}")


def test_a_folder_open_to_all_is_refused(kek: str) -> None:
    folder = Path(kek.removeprefix("file:")).parent
    folder.chmod(0o777)
    assert f"chmod o-w {folder}" in refusal(kek)
    folder.chmod(0o1777)
    open_kek(kek)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "not a regular file" in refusal(f"file:{tmp_path}/fifo")
    assert "not a regular file" in refusal(f"file:{tmp_path}")


GOOD = keyset_json([TestKey(key_id=7, raw=bytes(32))], primary=7)
CONTENTS = {
    "empty": ("", "is empty"),
    "no JSON": ("-----BEGIN KEY-----", "is not JSON"),
    "cut": (GOOD[:-20], "is not JSON"),
    "no UTF-8": (b"\xff\xfe" + GOOD.encode(), "is not JSON"),
    "deep": ("[" * 50_000, "is not JSON"),
    "large": (GOOD + " " * 70_000, "too large"),
    "a list": ("[1]", "no Tink keyset"),
    "a number": ("7", "no Tink keyset"),
    "another object": ('{"kek": "c2VjcmV0"}', "no Tink keyset"),
    "wrapped": ('{"encryptedKeyset": "AQ=="}', "itself a wrapped keyset"),
    "no keys": ('{"primaryKeyId": 1, "key": []}', "damaged"),
    "keys no list": ('{"primaryKeyId": 1, "key": 7}', "damaged"),
    "a key no object": ('{"primaryKeyId": 1, "key": [true]}', "damaged"),
    "no base64": (GOOD.replace("AAAAAAAA", "!!!!!!!!"), "wrong length"),
    "no such primary": (keyset_json([TestKey(key_id=7, raw=bytes(32))], primary=8), "no enabled"),
    "disabled": (
        keyset_json([TestKey(key_id=7, raw=bytes(32), status="DISABLED")], primary=7),
        "no enabled",
    ),
    "24 bytes": (keyset_json([TestKey(key_id=7, raw=bytes(24))], primary=7), "wrong length"),
    "31 bytes": (keyset_json([TestKey(key_id=7, raw=bytes(31))], primary=7), "wrong length"),
    "SIV": (
        keyset_json([TestKey(key_id=7, raw=bytes(64), type="AesSivKey")], primary=7),
        "AesSivKey, which wraps no keys",
    ),
}


@pytest.mark.parametrize("case", CONTENTS.values(), ids=CONTENTS.keys())
def test_each_wrong_content_is_told(case: tuple[str | bytes, str], tmp_path: Path) -> None:
    content, complaint = case
    said = refusal(write(tmp_path / "kek.json", content))
    assert complaint in said
    assert "c2VjcmV0" not in said


def test_other_types_of_tink(tmp_path: Path) -> None:
    text = clear_json(mac.mac_key_templates.HMAC_SHA256_128BITTAG)
    assert "HmacKey, which wraps no keys" in refusal(write(tmp_path / "mac.json", text))
    text = clear_json(aead.aead_key_templates.XCHACHA20_POLY1305)
    assert open_kek(write(tmp_path / "kek.json", text)).encrypt(b"", b"")
