import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from ocrexp.data.synth import cache
from ocrexp.data.synth.dataset import SynthDet
from ocrexp.data.synth.drawn import write_dataset
from ocrexp.errors import ConfigError, DataError
from ocrexp.lock import beside

SMALL = {"train_pages": 34, "val_pages": 6, "size": 160, "font_size": (10, 24), "max_words": 12}


def _draw(folder: Path, **keys) -> SynthDet:
    return SynthDet(cache_dir=str(folder), **{**SMALL, **keys})


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> SynthDet:
    return _draw(tmp_path_factory.mktemp("cache"), workers=2)


def test_records_name_readable_pages_and_their_regions(drawn):
    train, val = drawn.train_records(), drawn.val_records()
    assert (len(train), len(val)) == (34, 6)
    for number, record in enumerate(train, 1):
        assert cv2.imread(str(record.image_path)).shape == (160, 160, 3)
        assert record.source.endswith(f"train_list.txt:{number}")
        assert len(record.texts) == len(record.polygons) == len(record.ignored)
        assert all(polygon.dtype == np.float32 and polygon.shape[1] == 2 for polygon in record.polygons)
    words = [{text.casefold() for record in records for text in record.texts} - {"###"} for records in (train, val)]
    assert words[0] and words[1] and not words[0] & words[1]


def test_lists_are_paddleocr_label_lists(drawn):
    for line in (drawn.folder / "val_list.txt").read_text(encoding="utf-8").splitlines():
        name, objects = line.split("\t")
        assert (drawn.folder / name).is_file()
        assert all(set(entry) == {"transcription", "points"} for entry in json.loads(objects))


def test_the_number_of_processes_does_not_change_a_byte(drawn, tmp_path):
    assert _files(_draw(tmp_path, workers=1).folder) == _files(drawn.folder)


def test_a_drawn_folder_is_reused_and_every_setting_has_its_own(drawn):
    before = (drawn.folder / "synth.json").stat().st_mtime_ns
    again = SynthDet(cache_dir=str(drawn.folder.parent), **SMALL)
    assert again.folder == drawn.folder and (again.folder / "synth.json").stat().st_mtime_ns == before
    assert again.fingerprint() == drawn.fingerprint()
    others = [{"seed": 1}, {"curved": 0.5}, {"size": 192}, {"level": "line"}, {"layouts": {"table": 1}}]
    names = {_draw(drawn.folder.parent, **other).name for other in others}
    assert len(names) == len(others) and drawn.folder.name not in names


@pytest.mark.parametrize("harm", ["list", "image", "meta"])
def test_a_damaged_folder_is_drawn_again_with_a_line(tmp_path, caplog, harm):
    source = _draw(tmp_path, train_pages=3, val_pages=2)
    whole = _files(source.folder)
    victim = {"list": "train_list.txt", "image": "images/val_000001.jpg", "meta": "synth.json"}[harm]
    (source.folder / victim).write_bytes(b"")
    assert _files(source.folder) == whole
    assert "is damaged" in caplog.text


def test_a_killed_drawing_leaves_nothing_that_looks_whole(tmp_path):
    keys = {**SMALL, "train_pages": 4000}
    program = (
        "from ocrexp.data.synth.dataset import SynthDet;"
        f"SynthDet(cache_dir={str(tmp_path)!r}, workers=2, **{keys!r}).folder"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[3])
    try:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".*.part/images/*.jpg")) and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    leftover = list(tmp_path.glob(".*.part"))
    assert leftover and not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    name = leftover[0].name.split(".")[1]
    # The drawing processes notice that nobody listens and end; the next drawing clears up and is whole.
    folder = cache.obtain(tmp_path, name, {"train": 2, "val": 1}, {}, _draw(tmp_path).draw, 1)
    assert cache.is_whole(folder) and not list(tmp_path.glob(".*.part"))


def test_two_processes_at_once_draw_one_whole_folder(tmp_path):
    program = (
        "from ocrexp.data.synth.dataset import SynthDet;"
        f"print(len(SynthDet(cache_dir={str(tmp_path)!r}, **{SMALL!r}).train_records()))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[3], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == [b"34", b"34"]
    folders = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(folders) == 1 and cache.is_whole(folders[0])


def test_whoever_waits_shows_how_far_the_other_process_is(tmp_path, monkeypatch):
    images = tmp_path / ".det-1.7.part" / "images"
    images.mkdir(parents=True)
    for number in range(3):
        (images / f"{number}.jpg").touch()
    lock, seen = tmp_path / ".det-1.lock", []

    class Progress:
        show, clear = seen.append, staticmethod(lambda: seen.append("clear"))

    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        monkeypatch.setattr(cache.time, "sleep", lambda seconds: fcntl.flock(other, fcntl.LOCK_UN))
        with cache._locked(lock, Progress()):
            assert seen == [3, "clear"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, workers):
    def full(path: Path, data: bytes) -> int:
        assert path and data
        raise OSError(28, "No space left on device")

    source = _draw(tmp_path, workers=workers)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left on device") as caught:
        source.train_records()
    assert "OCREXP_CACHE" in str(caught.value) and "\n" not in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write synthetic images"):
        _draw(tmp_path / "file" / "cache").train_records()


def test_a_dead_drawing_process_is_reported(tmp_path, monkeypatch):
    source = _draw(tmp_path, workers=2)
    parent = os.getpid()
    draw = source.draw

    def killed(split, index):
        if os.getpid() != parent and index == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return draw(split, index)

    monkeypatch.setattr(source, "draw", killed)
    with pytest.raises(DataError, match="process that draws images has died"):
        source.train_records()


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("OCREXP_CACHE", str(tmp_path))
    assert SynthDet(**{**SMALL, "train_pages": 1, "val_pages": 1}).folder.parent == tmp_path / "synth"
    monkeypatch.delenv("OCREXP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.default_cache_dir() == tmp_path / "xdg" / "ocrexp" / "synth"


def test_write_dataset_fills_a_new_folder_only(tmp_path):
    source = _draw(tmp_path / "unused", train_pages=3, val_pages=2)
    folder = write_dataset(tmp_path / "out", source)
    assert {path.name for path in folder.iterdir()} == {"images", "train_list.txt", "val_list.txt", "synth.json"}
    with pytest.raises(DataError, match="is not overwritten"):
        write_dataset(folder, source)
    assert not (tmp_path / "unused").exists()


def test_words_that_no_font_draws_are_counted(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("\n".join([*(f"Wort{chr(97 + i)}{chr(98 + j)}" for i in range(9) for j in range(9)), "漢字"]))
    source = _draw(tmp_path, words=str(words), train_pages=4, val_pages=2)
    (line,) = source.report()
    assert line.startswith("1 of 82 words")
    drawn = {
        "".join(filter(str.isalnum, text)).casefold() for record in source.train_records() for text in record.texts
    }
    assert any(text.startswith("wort") for text in drawn)


@pytest.mark.parametrize(
    "keys",
    [
        {"train_pages": 0},
        {"size": 64},
        {"level": "letter"},
        {"layouts": {"scroll": 1}},
        {"layouts": {"scene": 0}},
        {"font_size": (40, 10)},
        {"curved": 1.5},
        {"curve_points": 9},
        {"backgrounds": "nowhere"},
        {"fonts": "nowhere"},
        {"scripts": ["runes"]},
        {"workers": 0},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_values_that_cannot_be_used_name_their_key(tmp_path, keys):
    with pytest.raises(ValueError, match=f"^{next(iter(keys))}"):
        _draw(tmp_path, **keys)


def test_two_drawings_into_one_folder_are_refused(tmp_path, lock_of_another):
    (tmp_path / "out").mkdir()
    owner = lock_of_another(beside(tmp_path / "out"))
    with pytest.raises(ConfigError, match=f"out={tmp_path / 'out'}: in use by process {owner.pid}"):
        cache.write(tmp_path / "out", {"train": 1, "val": 1}, {}, None, 1)
    assert (tmp_path / "out").is_dir()
