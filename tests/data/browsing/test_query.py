"""Which samples a query finds, in which order; and the problems of a check, by sample."""

import threading
import time

import numpy as np
import planted
import pytest

from ocrexp.data.browsing.found import Found, FoundProblems
from ocrexp.data.browsing.index import DataIndex
from ocrexp.data.browsing.query import Query, read_query, select
from ocrexp.data.browsing.search import matching, pack
from ocrexp.data.lists import DetLists
from ocrexp.data.rec_lists import RecLists


def nothing(kind):
    return np.zeros(0, np.int64)


@pytest.fixture
def words(tmp_path):
    lists = planted.clean_rec(tmp_path)
    lists.lines["train_list.txt"].insert(3, b"train/Total.png\tno tab before".replace(b"\t", b" "))
    lists.write()
    source = RecLists(tmp_path, "train_list.txt", "val_list.txt")
    index = DataIndex({"train": source.train_records(), "val": source.val_records()}, "rec")
    index.read_texts()
    index.read_sizes(threading.Event())
    return index


def texts(index, query):
    numbers, unknown = select(index, query, nothing)
    assert unknown == 0
    return [index.record(int(number)).texts[0] for number in numbers]


def test_texts_sizes_and_lengths(words):
    assert texts(words, Query(text="TOTAL", split="train")) == ["Total"]
    assert texts(words, Query(text="TOTAL", split="train", match_case=True)) == []
    assert texts(words, Query(text=r"^\d+\.\d\d$", regex=True)) == ["12.50"]
    assert texts(words, read_query({"min_length": "8", "max_length": "8"})) == ["RECEIPTs", "INVOICEs"]
    longest = texts(words, Query(sort="length", descending=True, split="train"))
    assert [len(text) for text in longest] == sorted(map(len, longest), reverse=True)
    widths = select(words, Query(sort="width"), nothing)[0]
    assert (np.diff(words.widths[widths]) >= 0).all() and words.widths.min() > 20
    assert words.place(words.number("val", 2)) == ("val", 2)
    with pytest.raises(IndexError):
        words.number("val", len(words.splits["val"]))


@pytest.mark.parametrize("values", [{"sort": "x"}, {"split": "test"}, {"min_width": "-1"}, {"max_length": "1" * 30}])
def test_an_invalid_query_names_its_key(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        read_query(values)


def test_regular_expressions_end_in_time_and_are_explained():
    packed = pack([["a" * 40 + "b"], ["first", "second"], ["x\x1ey"]])
    assert matching(packed, "^second$", True, 9).tolist() == [False, True, False]
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"takes longer than 0\.3 s"):
        matching(packed, "(a+)+$", True, 0.3)
    assert time.monotonic() - began < 2
    with pytest.raises(ValueError, match="unterminated subpattern"):
        matching(packed, "(a", True, 9)


def test_problems_belong_to_the_samples_of_their_line(words, tmp_path):
    found = FoundProblems(words)
    place = str(tmp_path / "train_list.txt")
    found.add([Found("text-spaces", "train", place, 5, "a space", "remove it")])  # line 4 is bad, so sample 3 is line 5
    found.add([Found("line-delimiter", "train", place, 4, "no tab", "write one")])
    found.count({("text-spaces", "train"): 1, ("line-delimiter", "train"): 1})
    assert found.numbers("text-spaces").tolist() == [3] == found.numbers("any").tolist()
    assert [one["what"] for one in found.of(3)] == ["a space"]
    assert found.elsewhere("line-delimiter") == [f"{place}:4: no tab; write one"]
    assert [(kind["name"], kind["samples"]) for kind in found.kinds()] == [("line-delimiter", 0), ("text-spaces", 1)]
    others = select(words, Query(problem="none", split="train"), found.numbers)[0]
    assert len(others) == len(words.splits["train"]) - 1


def test_a_detection_list_is_read_meanwhile(tmp_path):
    planted.clean_det(tmp_path).write()
    source = DetLists(tmp_path, "train_list.txt", "val_list.txt")
    index = DataIndex({"train": source.train_records(), "val": source.val_records()}, "det")
    assert select(index, Query(text="word"), nothing)[1] == len(index), "not judged yet"
    index.read_texts()
    regions = [len(record.texts) for split in ("train", "val") for record in index.splits[split]]
    assert index.lengths.tolist() == regions
    assert index.size(0) == (320, 320)
