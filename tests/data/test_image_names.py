"""Image names of lists: accents as macOS writes them or not, separators of Windows, spaces, absolute paths."""

import subprocess
import unicodedata

import numpy as np
import pytest

from ocrexp.data.lists import DetLists
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.split import common_line
from ocrexp.errors import DataError

NAMES = ["Straße_café.png", "가나다.png", "für/Ångström é.png", "plain.png"]
REGIONS = '[{"transcription": "w", "points": [[1, 1], [20, 1], [20, 9], [1, 9]]}]'


def make(root, names):
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()


def records(root, lines, kind=RecLists):
    (root / "list.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    source = kind(root, "list.txt", "list.txt")
    return source.train_records(), source


@pytest.mark.parametrize(("disk", "written"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
@pytest.mark.parametrize(("kind", "label"), [(RecLists, "text"), (DetLists, REGIONS)])
def test_accents_are_found_however_they_are_written(tmp_path, disk, written, kind, label):
    on_disk = [unicodedata.normalize(disk, name) for name in NAMES]
    make(tmp_path, on_disk)
    found, source = records(tmp_path, [f"{unicodedata.normalize(written, name)}\t{label}" for name in NAMES], kind)
    assert [record.image_path for record in found] == [tmp_path / name for name in on_disk]
    assert all(record.image_path.exists() for record in found)
    assert [line for line in source.report() if "missing" in line] == []


def test_a_mixture_of_forms_and_missing_images(tmp_path):
    folder, name = unicodedata.normalize("NFD", "für"), unicodedata.normalize("NFC", "é.png")
    make(tmp_path, [f"{folder}/{name}", "a.png"])
    lines = ["a.png\tx", "gone.png\tx", f"{unicodedata.normalize('NFC', 'für')}/{name}\tx", "güne.png\tx", "a.png\ty"]
    found, source = records(tmp_path, lines)
    assert [record.image_path for record in found] == [
        tmp_path / part for part in ("a.png", f"{folder}/{name}", "a.png")
    ]
    assert [record.source.rpartition(":")[2] for record in found] == ["1", "3", "5"]
    (missing,) = [line for line in source.report() if line.startswith("train: 2 missing image(s) skipped")]
    assert "list.txt:2" in missing
    # In a split, too, where others are dropped in front of it.
    assert found.select(np.array([1, 2]))[0].image_path == tmp_path / folder / name
    assert len(common_line(found, source.val_records(), "val_labels")) == 1


@pytest.mark.parametrize(
    "line", [r"images\a.png", "images/a.png ", "  images/a.png", r".\images\a.png", "images//a.png"]
)
def test_separators_of_windows_and_spaces_around_a_path(tmp_path, line):
    make(tmp_path, ["images/a.png"])
    found, _ = records(tmp_path, [f"{line}\tx", '["images\\\\a.png", "images/a.png"]\ty'])
    assert [record.image_path.resolve() for record in found] == [tmp_path / "images" / "a.png"] * 3


@pytest.mark.parametrize(
    "prefix", ["C:\\data\\", "D:/my data/", "\\\\server\\share\\", "/home/someone/data.v1/", "c:\\"]
)
def test_absolute_paths_of_another_machine_are_named_with_a_command_that_helps(tmp_path, prefix):
    make(tmp_path, ["images/a.png", "images/b.png"])
    separator = "\\" if "\\" in prefix else "/"
    lines = [f"{prefix}images{separator}{name}.png\tx" for name in "ab"]
    with pytest.raises(DataError, match="absolute paths of another machine") as raised:
        records(tmp_path, lines)
    message = str(raised.value)
    assert "\n" not in message
    subprocess.run(["sh", "-c", message[message.index("sed -i") :]], check=True)
    source = RecLists(tmp_path, "list.txt", "list.txt")
    assert [record.image_path.name for record in source.train_records()] == ["a.png", "b.png"]


def test_absolute_paths_of_which_nothing_is_found(tmp_path):
    with pytest.raises(DataError, match=r"absolute paths of Windows.*relative to the root folder"):
        records(tmp_path, ["C:\\data\\a.png\tx"])


def test_some_absolute_paths_among_others_are_counted_with_the_advice(tmp_path):
    make(tmp_path, ["images/a.png"])
    found, source = records(tmp_path, ["images/a.png\tx", "C:\\images\\a.png\ty"])
    assert len(found) == 1
    assert "sed -i" in source.report()[0]
