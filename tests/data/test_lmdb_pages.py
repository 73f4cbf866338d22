"""Our reader of LMDB's pages gives what the library gives, and refuses what the library trusts."""

import random
import struct

import pytest

from ocrexp.data.lmdb_pages import LmdbDamaged, LmdbFile

lmdb = pytest.importorskip("lmdb", reason="extra 'dev' is not installed")
PAGE = 4096


def entries(count):
    """Keys of all lengths with values that lie beside them, and on pages of their own."""
    rng = random.Random(count)
    return {rng.randbytes(rng.randint(1, 60)): rng.randbytes(rng.choice((0, 3, 200, 2500, 9000))) for _ in range(count)}


def make(folder, content, removed=()):
    environment = lmdb.open(str(folder), map_size=1 << 26, sync=False)
    with environment.begin(write=True) as transaction:
        for key, value in content.items():
            transaction.put(key, value)
    with environment.begin(write=True) as transaction:
        for key in removed:
            transaction.delete(key)
    environment.close()
    return folder / "data.mdb"


@pytest.mark.parametrize("count", [0, 1, 40, 3000])
def test_equal_to_the_library(tmp_path, count):
    content = entries(count)
    removed = list(content)[::7]
    file = LmdbFile(make(tmp_path, content, removed))
    left = sorted((key, value) for key, value in content.items() if key not in removed)
    assert list(file.items()) == left
    assert file.entries == len(left)
    assert [key for key, _ in file.items(values=False)] == [key for key, _ in left]
    for key in [*content, b"", b"\xff" * 80, b"no"]:
        assert file.get(key) == dict(left).get(key)
        assert list(file.items(key)) == [(other, value) for other, value in left if other >= key]
        if count > 1000 and key[:1] > b"\x10":
            break
    file.close()


def test_other_databases_are_refused(tmp_path):
    environment = lmdb.open(str(tmp_path / "named"), map_size=1 << 20, max_dbs=2)
    inner = environment.open_db(b"inner")
    with environment.begin(write=True) as transaction:
        transaction.put(b"a", b"b", db=inner)
    environment.close()
    with pytest.raises(LmdbDamaged, match="named databases"):
        list(LmdbFile(tmp_path / "named" / "data.mdb").items())
    (tmp_path / "text").write_bytes(b"no database" * 1000)
    with pytest.raises(LmdbDamaged, match="is not an LMDB file"):
        LmdbFile(tmp_path / "text")


def damaged(tmp_path, at, form, number):
    """A database of one leaf page with a number of it changed."""
    path = make(tmp_path, {b"a": b"1", b"b": b"x" * 9000})
    content = bytearray(path.read_bytes())
    root = struct.unpack_from("<Q", content, PAGE + 128)[0] * PAGE
    struct.pack_into(form, content, root + at, number)
    path.write_bytes(content)
    return LmdbFile(path)


@pytest.mark.parametrize(
    ("at", "form", "number"),
    [
        (0, "<Q", 1),  # another page's number
        (10, "<H", 1),  # a branch page that leads to itself or nowhere
        (10, "<H", 0xFFFF),
        (12, "<H", 0),  # fewer than no entries
        (12, "<H", 0xFFFF),
        (16, "<H", 0xFFFF),  # an entry beyond the page
        (16, "<H", PAGE - 2),
        (18, "<H", 16),  # an entry within the head
    ],
)
def test_numbers_that_contradict(tmp_path, at, form, number):
    with pytest.raises(LmdbDamaged):
        list(damaged(tmp_path, at, form, number).items())


def test_a_value_beyond_the_end(tmp_path):
    path = make(tmp_path, {b"a": b"x" * 9000, b"b": b"1"})
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - PAGE)
    database = LmdbFile(path)
    assert database.get(b"b") == b"1"
    for read in (lambda: database.get(b"a"), lambda: list(database.items(values=False))):
        with pytest.raises(LmdbDamaged, match="truncated"):
            read()
