"""The short form that training runs: what it reports, and that it keeps to its time."""

import planted

from ocrexp.data.checking.quick import quick_check
from ocrexp.data.lists import DetLists
from ocrexp.data.rec_lists import RecLists


def records(source):
    return {"train": source.train_records(), "val": source.val_records()}


def test_a_clean_set_gives_no_line(tmp_path):
    planted.clean_rec(tmp_path).write()
    found, looked = quick_check(records(RecLists(tmp_path, "train_list.txt", "val_list.txt")), "rec", 60)
    assert found == [] and "30 of 30 labels and 30 of 30 images" in looked and "rest" not in looked


def test_faults_are_reported_once_per_kind(tmp_path):
    planted.write_lists(planted.faulty_rec(tmp_path))
    found, _ = quick_check(records(RecLists(tmp_path, "train_list.txt", "val_list.txt")), "rec", 60)
    text = "\n".join(found)
    for what in ("look alike", "HTML entities", "0 bytes", "truncated", "decoded", "one color", "equal to training"):
        assert what in text, what
    assert len({line.split(",")[0] for line in found}) == len(found)


def test_regions_and_the_limit_of_time(tmp_path):
    planted.faulty_det(tmp_path).write()
    source = DetLists(tmp_path, "train_list.txt", "val_list.txt")
    found, _ = quick_check(records(source), "det", 60)
    assert any("repeat another one" in line for line in found)
    clock = iter(range(1000))
    _, looked = quick_check(records(source), "det", 3, clock=lambda: next(clock))
    assert " and 0 of " in looked and "not at the rest" in looked
