"""Images opened in parallel, one that ends its process, hashes of similar images; classes of a classifier."""

import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import planted

from ocrexp.data.checking import images
from ocrexp.data.checking.check import check_dataset
from ocrexp.data.checking.image_check import per_character
from ocrexp.data.checking.near import near_pairs
from ocrexp.data.checking.plan import DataPlan


def look(paths, workers):
    names = []
    found = dict(images.look_at_images(lambda row: paths[row], range(len(paths)), workers, names.append))
    assert names == [path.name for path in paths] and list(found) == list(range(len(paths)))
    return found


def test_several_processes_find_what_one_finds(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(90)]
    for i, path in enumerate(paths):
        planted.write_png(path, planted.draw("word", i))
    paths[40].unlink()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        cv2.GaussianBlur(np.zeros((1000, 1000, 3), np.uint8), (31, 31), 0)  # OpenCV's threads exist; forks have none
        assert look(paths, 2) == look(paths, 1)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(threads)


def test_an_image_that_ends_its_process_is_reported(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.png" for i in range(70)]
    for i, path in enumerate(paths):
        planted.write_png(path, planted.draw("word", i))
    examine = images.examine
    monkeypatch.setattr(images, "examine", lambda path: os._exit(1) if path.name == "3.png" else examine(path))
    found = look(paths, 2)
    assert "ends the process" in found[3].reason
    assert all(facts.height for row, facts in found.items() if row != 3)


def test_similar_images_and_no_others():
    rng = np.random.default_rng(0)
    pictures = [cv2.GaussianBlur(rng.integers(0, 255, (64, 160), dtype=np.uint8), (0, 0), 4) for _ in range(40)]
    darker = [cv2.convertScaleAbs(picture, alpha=0.9, beta=5) for picture in pictures[:5]]
    bits = np.array([list(images.perceptual_hash(each)) for each in [*pictures, *darker]], np.uint8)
    aspects, useful = np.full(45, 2.5), np.ones(45, bool)
    assert near_pairs(bits, aspects, useful) == [(i, 40 + i) for i in range(5)]
    aspects[40] = 1.0
    useful[41] = False
    assert near_pairs(bits, aspects, useful) == [(i, 40 + i) for i in range(2, 5)]


def test_classes(tmp_path):
    lists = planted.Lists(tmp_path)
    for i, label in enumerate(["0"] * 40 + ["180", "90 "]):
        planted.write_png(tmp_path / f"{i}.png", planted.draw("word", i))
        lists.add("train_list.txt", f"{i}.png\t{label}")
    lists.write()
    plan = DataPlan("cls", tmp_path, {"train": ["train_list.txt"]}, classes=["0", "180", "270"], images=False)
    findings = check_dataset(plan)
    found = {(problem.kind.name, Path(problem.place.file).name, problem.place.line) for problem in findings.problems}
    assert found == {
        ("class-unknown", "train_list.txt", 42),
        ("class-missing", "train_list.txt", 0),
        ("class-imbalance", "train_list.txt", 0),
    }
    assert findings.facts["train classes"] == {"0": 40, "180": 1, "90 ": 1}


def test_texts_have_no_width_where_no_image_exists():
    table = images.ImageTable.empty(0, Path, np.zeros(0, np.int64))
    widths, _ = per_character(SimpleNamespace(texts=lambda: iter([["Total"]])), np.array([-1]), table)
    assert np.isnan(widths).all()
