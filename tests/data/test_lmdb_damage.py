"""Damaged and wrong LMDB folders: one line that names the folder, in bounded time and memory, and no signal."""

import os
import random
import socket
import struct
import subprocess
import sys
import time

import pytest

from ocrexp.data.images import read_image
from ocrexp.data.lmdb import RecLmdb
from ocrexp.data.lmdb_file import check_pages
from ocrexp.errors import DataError, OcrexpError
from ocrexp.types import UnusableSample

lmdb = pytest.importorskip("lmdb", reason="extra 'lmdb' is not installed")
PAGE = 4096
READ = """
import sys
from ocrexp.data.images import read_bytes
from ocrexp.data.lmdb import RecLmdb
from ocrexp.errors import OcrexpError
from ocrexp.types import UnusableSample
from pathlib import Path
for folder in sys.argv[1:]:
    try:
        for record in RecLmdb("/", folder, folder).val_records():
            try:
                read_bytes(record.image_path)
            except UnusableSample:
                pass
    except OcrexpError as error:
        assert "\\n" not in str(error)
"""


def make(folder, extra=(), samples=200):
    """An LMDB of texts and random bytes, some beside their keys and some on pages of their own."""
    folder.mkdir()
    numbers = random.Random(0)
    with lmdb.open(str(folder), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for number in range(1, samples + 1):
            transaction.put(b"label-%09d" % number, b"text")
            transaction.put(b"image-%09d" % number, numbers.randbytes(numbers.choice((300, 9000))))
        transaction.put(b"num-samples", str(samples).encode())
        for key, value in extra:
            transaction.put(key, value)
    return folder


def records(folder):
    return RecLmdb(folder.parent, folder.name, folder.name).train_records()


@pytest.mark.parametrize("left", [0, 100, PAGE, 3 * PAGE, -1])
def test_a_truncated_file_is_named(tmp_path, left):
    data = make(tmp_path / "db") / "data.mdb"
    size = data.stat().st_size
    os.truncate(data, left if left >= 0 else size - 1)
    with pytest.raises(DataError, match=r"db/data\.mdb: .*(truncated|not an LMDB database).*copy it again") as raised:
        records(tmp_path / "db")
    assert "\n" not in str(raised.value)


def test_the_newer_of_the_two_meta_pages_counts(tmp_path):
    data = make(tmp_path / "db") / "data.mdb"
    for number in range(2):  # they are written in turn
        with lmdb.open(str(tmp_path / "db"), map_size=1 << 26) as opened, opened.begin(write=True) as transaction:
            transaction.put(b"more%d" % number, bytes(50 * PAGE))
        check_pages(data)
        content = data.read_bytes()
        os.truncate(data, len(content) - 40 * PAGE)
        with pytest.raises(DataError, match="truncated"):
            check_pages(data)
        data.write_bytes(content)
    assert content[16:20] == content[PAGE + 16 : PAGE + 20] == struct.pack("<I", 0xBEEFC0DE)
    for page in (0, 1):
        data.write_bytes(content[: page * PAGE + 16] + bytes(4) + content[page * PAGE + 20 :])
        with pytest.raises(DataError, match="not an LMDB database"):
            check_pages(data)


def test_a_file_that_is_damaged_within_ends_no_process(tmp_path):
    content = (make(tmp_path / "good") / "data.mdb").read_bytes()
    pages = len(content) // PAGE
    numbers = random.Random(1)
    folders = []
    for kind in range(9):
        damaged = bytearray(content)
        for _ in range(6):
            at = numbers.randrange(2, pages) * PAGE
            if kind < 3:  # a copy whose end was reserved and never written
                damaged[at:] = bytes(len(damaged) - at)
            elif kind < 6:
                damaged[at : at + PAGE] = bytes(PAGE)
            else:
                damaged[at + numbers.randrange(40)] = numbers.randrange(256)
        folder = tmp_path / f"bad{kind}"
        folder.mkdir()
        (folder / "data.mdb").write_bytes(damaged)
        folders.append(str(folder))
    done = subprocess.run([sys.executable, "-c", READ, *folders], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("count", [b"9" * 18, b"9" * 5000, b"402", b"-5", b"1e3", b"\xff", b""])
def test_num_samples_that_cannot_be(tmp_path, count):
    folder = make(tmp_path / "db", [(b"num-samples", count)])
    began = time.perf_counter()
    with pytest.raises(DataError, match=r"num-samples of .*db.*write the number of samples to it") as raised:
        records(folder)
    assert time.perf_counter() - began < 1
    assert len(str(raised.value)) < 400


def test_keys_that_no_reader_looks_for_are_counted(tmp_path):
    folder = make(tmp_path / "db", [(b"label-7", b"text"), (b"label-x", b"text")])
    source = RecLmdb(tmp_path, "db", "db")
    assert len(source.train_records()) == 200
    assert source.report()[0].startswith("train: 2 label key(s) without nine digits ignored: ")
    folder = make(tmp_path / "long", [(b"label-000000003", b"x" * (2 << 20))])
    source = RecLmdb(tmp_path, "long", "long")
    assert len(source.train_records()) == 199
    assert f"{folder}:label-000000003" in source.report()[0]


def test_folders_that_hold_something_else(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "lock.mdb").write_bytes(b"")
    with pytest.raises(DataError, match=r"locked is not an LMDB folder.*lock\.mdb.*data\.mdb"):
        records(tmp_path / "locked")
    for kind, create in {
        "folder": lambda path: path.mkdir(),
        "pipe": os.mkfifo,
        "socket": lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
        "device": lambda path: path.symlink_to("/dev/zero"),
    }.items():
        folder = tmp_path / kind
        folder.mkdir()
        create(folder / "data.mdb")
        with pytest.raises(DataError, match=rf"{kind}/data\.mdb: is not a file; give"):
            records(folder)
    monkeypatch.setattr("ocrexp.data.lmdb._MOST_FOLDERS", 3)
    with pytest.raises(DataError, match=r"more than 3 subfolders .*give the folder"):
        RecLmdb(tmp_path, ".", ".").train_records()


def test_a_read_only_folder_and_a_strange_lock_file_are_no_hindrance(tmp_path):
    folder = make(tmp_path / "db")
    (folder / "lock.mdb").unlink(missing_ok=True)
    os.mkfifo(folder / "lock.mdb")
    folder.chmod(0o555)
    (folder / "data.mdb").chmod(0o444)
    before = sorted(folder.iterdir())
    assert len(records(folder)) == 200
    assert sorted(folder.iterdir()) == before
    folder.chmod(0o755)


def test_an_image_on_a_damaged_page_is_not_used(tmp_path):
    folder = make(tmp_path / "db")
    first = records(folder)[0]
    content = (folder / "data.mdb").read_bytes()
    (folder / "data.mdb").write_bytes(content[: 2 * PAGE] + bytes(len(content) - 2 * PAGE))
    with pytest.raises(UnusableSample, match="LMDB entry cannot be read"):
        read_image(first.image_path)
    assert not issubclass(UnusableSample, OcrexpError)
