"""Shards behind URLs: the same samples as from files, with a bounded cache."""

import functools
import http.server
import logging
import re
import threading

import pytest
from shard_making import word_shards

from ocrexp.data.shards import remote
from ocrexp.data.shards.shard_set import ShardSet
from ocrexp.data.shards.sources import RecShards
from ocrexp.errors import DataError

WHY = "fsspec with its HTTP is not installed: pip install 'ocrexp[shards]'"
fsspec = pytest.importorskip("fsspec", reason=WHY)
SIZES = [6, 6, 6, 6]


@pytest.fixture
def memory(tmp_path):
    """The shards in fsspec's memory."""
    system = fsspec.filesystem("memory")
    for path in word_shards(tmp_path / "files", SIZES):
        system.pipe_file(f"/words/{path.name}", path.read_bytes())
    yield system
    system.rm("/words", recursive=True)


def texts(source, epoch=0, turns=((None, 4),), **mixing):
    records = source.train_records()
    plan = records.sampler(turns, 1, True, False, 0, 1, **mixing).plan(epoch)
    return [records[index].texts[0] for batch in plan for index in batch.indices.tolist()]


@pytest.mark.parametrize("samples", [None, 18])
def test_the_samples_are_those_of_files(memory, tmp_path, samples):
    options = {"samples": samples, "buffer": 7, "cache_dir": tmp_path / "cache"}
    local = RecShards(str(tmp_path / "files"), "train-*.tar", "train-000.tar", **options)
    for root, train in (
        ("memory://words", "train-*.tar"),
        ("memory://words", "train-{000..003}.tar"),
        (f"file://{tmp_path}/files", "train-*.tar"),
    ):
        source = RecShards(root, train, "train-000.tar", **options)
        assert texts(source) == texts(local)
        assert [record.texts for record in source.val_records()] == [record.texts for record in local.val_records()]
    assert source.split_report("train") == []


def test_sets_are_those_of_files_with_few_copies(memory, tmp_path):
    names = ["train-00{0..2}.tar", "train-003.tar"]
    size = memory.size("/words/train-000.tar")
    found = [
        texts(
            RecShards(root, names, "train-000.tar", buffer=4, cache_dir=tmp_path / "cache", cache_gb=1.5 * size / 1e9),
            turns=[((32, 64), 4), ((32, 96), 4)], batch_shares=[1, 2], by_ratio=True,
        )
        for root in (str(tmp_path / "files"), "memory://words")
    ]  # fmt: skip
    assert found[0] == found[1]
    assert len(found[0]) == 18 * 3
    assert 1 <= len(list((tmp_path / "cache").glob("*/*.tar"))) <= 4


def test_copies_have_a_limit_together_and_come_again(memory, tmp_path):
    size = memory.size("/words/train-000.tar")
    source = RecShards(
        "memory://words", "train-*.tar", "train-000.tar", samples=24, buffer=1, cache_dir=tmp_path / "cache",
        cache_gb=2.5 * size / 1e9,
    )  # fmt: skip
    expected = [f"w{i}" for i in range(24)]
    for epoch in range(3):
        assert sorted(texts(source, epoch), key=lambda text: int(text[1:])) == expected
        kept = list((tmp_path / "cache").glob("*/*.tar"))
        assert 1 <= len(kept) <= 4  # what is in use stays
    for path in kept:
        path.unlink()  # by another run
    assert len(texts(source)) == 24


def test_a_resumed_run_does_not_copy_what_it_has_counted(memory, tmp_path, monkeypatch):
    monkeypatch.setattr("ocrexp.data.shards.shard_set._KEEP_EVERY", 1)
    options = {"samples": 24, "buffer": 6, "cache_dir": tmp_path / "cache"}
    whole = texts(RecShards("memory://words", "train-*.tar", "train-000.tar", **options))
    for path in (tmp_path / "cache").glob("*/*.tar"):
        path.unlink()
    records = RecShards("memory://words", "train-*.tar", "train-000.tar", **options).train_records()
    rest = records.sampler([(None, 4)], 1, True, False, 0, 1).plan(0)[5:]
    bring = ShardSet.bring
    monkeypatch.setattr(ShardSet, "bring", lambda self, wanted, soon=(), reader=0: bring(self, wanted))  # nothing ahead
    assert [records[index].texts[0] for index in rest[0].indices.tolist()] == whole[20:]
    assert len(list((tmp_path / "cache").glob("*/*.tar"))) == 1


def test_a_changed_shard_is_copied_again(memory, tmp_path):
    options = {"buffer": 7, "cache_dir": tmp_path / "cache"}
    assert len(texts(RecShards("memory://words", "train-000.tar", "train-000.tar", **options))) == 6
    [other] = word_shards(tmp_path / "other", [9])
    memory.pipe_file("/words/train-000.tar", other.read_bytes())
    assert len(texts(RecShards("memory://words", "train-000.tar", "train-000.tar", **options))) == 9


def test_http(tmp_path, monkeypatch, caplog):
    pytest.importorskip("aiohttp", reason=WHY)
    word_shards(tmp_path / "files", SIZES)
    fails = [2]

    class Server(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if fails[0] and "train-001" in self.path:
                fails[0] -= 1
                self.send_error(503)
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    monkeypatch.setattr(remote, "_WAIT", 0.01)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=tmp_path / "files"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        root = f"http://user:secret@127.0.0.1:{server.server_port}"
        options = {"samples": 24, "buffer": 7, "cache_dir": tmp_path / "cache"}
        local = RecShards(str(tmp_path / "files"), "train-*.tar", "train-000.tar", **options)
        source = RecShards(root, "train-{000..003}.tar", "train-000.tar", **options)
        with caplog.at_level(logging.WARNING):
            assert texts(source) == texts(local)
        assert "trying again" in caplog.text
        with pytest.raises(DataError, match=r"train-009\.tar: does not exist") as caught:
            texts(RecShards(root, "train-009.tar", "train-000.tar", **options))
        assert "secret" not in caplog.text + str(caught.value)
    finally:
        server.shutdown()
        server.server_close()
    for name in ("train-000.tar", "train-*.tar"):
        what = rf"{re.escape(name)}: cannot be read, tried 4 times \(.*Connect.*; check the URL"
        with pytest.raises(DataError, match=what) as caught:
            texts(RecShards(root, name, "train-000.tar", **options))
        assert "secret" not in str(caught.value)


def test_what_is_wrong_with_a_url(tmp_path):
    with pytest.raises(DataError, match="cannot be opened") as caught:
        RecShards("nothing://me:secret@words", "a.tar", "a.tar", cache_dir=tmp_path).train_records()
    assert "secret" not in str(caught.value)
