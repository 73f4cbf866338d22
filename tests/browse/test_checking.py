"""The check beside the page: problems while it runs, and those of an earlier report."""

import json
import time

import planted
import pytest

from ocrexp.browse.checking import CheckProcess, read_report
from ocrexp.data.browsing.found import FoundProblems
from ocrexp.data.browsing.index import DataIndex
from ocrexp.data.checking.check import check_dataset
from ocrexp.data.checking.plan import DataPlan
from ocrexp.data.rec_lists import RecLists
from ocrexp.errors import ConfigError


@pytest.fixture
def data(tmp_path):
    lists = planted.clean_rec(tmp_path)
    lists.add("train_list.txt", "train/Total.png\tTotal ")
    lists.add("train_list.txt", "train/gone.png\tgone")
    lists.write()
    source = RecLists(tmp_path, "train_list.txt", "val_list.txt")
    index = DataIndex({"train": source.train_records(), "val": source.val_records()}, "rec")
    plan = DataPlan("rec", tmp_path, {"train": ["train_list.txt"], "val": ["val_list.txt"]}, workers=1)
    return source, FoundProblems(index), plan


def test_a_process_and_a_report_find_the_same(data, tmp_path):
    source, found, plan = data
    process = CheckProcess(lambda: plan, found)
    process.start()
    until = time.monotonic() + 30
    while found.running and time.monotonic() < until:
        time.sleep(0.02)
    process.stop()
    assert found.state == "done"
    assert found.numbers("text-spaces").tolist() == [24]
    assert "gone.png does not exist" in found.elsewhere("image-missing")[0]
    report = FoundProblems(found.index)
    path = tmp_path / "check_data.json"
    path.write_text(json.dumps(check_dataset(plan).as_json()))
    read_report(path, report, source.fingerprint())
    names = [{kind["name"]: kind["count"] for kind in one.kinds()} for one in (report, found)]
    assert report.state == "done" and names[0] == names[1] and report.of(24) == found.of(24)
    read_report(path, report, {**source.fingerprint(), "train_images": "1"})
    assert "changed" in report.state


def test_a_check_that_fails_says_why(data):
    _, found, plan = data
    plan.lists = {"train": ["none.txt"], "val": ["none.txt"]}
    process = CheckProcess(lambda: plan, found)
    process.start()
    process._thread.join(30)
    process.stop()
    assert found.state.startswith("failed: dataset: there is nothing to check") and not found.running


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"problems": [{"kind": 1}], "counts": {}}', "[" * 100_000, '{"problems": 3}']
)
def test_another_file_is_refused_in_one_line(data, tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"report=.*check_data\.json"):
        read_report(path, data[1], {})
