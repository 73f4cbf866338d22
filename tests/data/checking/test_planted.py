"""Every planted fault is found at its place, nothing else is, and a clean set has no problem."""

from pathlib import Path

import planted
import pytest
from planted import det_plan, rec_plan

from ocrexp.data.checking.check import check_dataset
from ocrexp.data.checking.fix import write_fixed
from ocrexp.quiet import silence_decoders


def places(findings, notes=()):
    """(kind, list, line) of the problems; of notes only the kinds in `notes`."""
    return {
        (problem.kind.name, Path(problem.place.file).name, problem.place.line)
        for problem in findings.problems
        if problem.kind.severity != "note" or problem.kind.name in notes
    }


@pytest.mark.parametrize(("make", "plan"), [(planted.clean_rec, rec_plan), (planted.clean_det, det_plan)])
def test_a_clean_set_has_no_problem(tmp_path, make, plan):
    make(tmp_path).write()
    findings = check_dataset(plan(tmp_path))
    assert not list(map(str, findings.problems))
    assert findings.images.looked == sum(len(one) for one in findings.entries)


@pytest.fixture(scope="module")
def faulty_rec(tmp_path_factory):
    root = tmp_path_factory.mktemp("rec")
    silence_decoders()
    lists = planted.write_lists(planted.faulty_rec(root))
    findings = check_dataset(rec_plan(root, ["train_list.txt", "bom.txt", "wide.txt", "gbk.txt"]))
    return lists, findings


def test_all_faults_of_recognition_lists_are_found(faulty_rec):
    lists, findings = faulty_rec
    wanted = set(lists.planted)
    found = places(findings, ("image-exif",))
    assert len({kind for kind, *_ in wanted}) >= 35
    assert sorted(wanted - found) == []
    # Consequences of the planted ones: characters of GBK that the charset lacks.
    assert {each for each in found - wanted if each[1] != "gbk.txt"} == set()


def test_all_faults_of_detection_lists_are_found(tmp_path):
    lists = planted.faulty_det(tmp_path)
    lists.write()
    findings = check_dataset(det_plan(tmp_path))
    wanted = set(lists.planted)
    found = places(findings, {kind for kind, *_ in wanted})
    assert len({kind for kind, *_ in wanted}) >= 18
    assert sorted(wanted - found) == []
    assert sorted(found - wanted) == []


def test_corrected_lists_have_new_names_and_none_of_the_corrected_faults(faulty_rec):
    _, findings = faulty_rec
    root = findings.plan.root
    before = {path.name: path.read_bytes() for path in root.glob("*.txt")}
    fixed = write_fixed(findings)
    assert {one.path.name for one in fixed} == {f"{name}.fixed.txt" for name in ("train_list", "bom", "wide", "gbk")}
    assert write_fixed(findings, ["text-spaces"])[0].path.name == "train_list.fixed_2.txt"
    assert all((root / name).read_bytes() == content for name, content in before.items())
    again = check_dataset(rec_plan(root, [one.path.name for one in fixed]))
    corrected = {kind for one in fixed for kind in one.changed}
    assert len(corrected) >= 18
    assert not corrected & {problem.kind.name for problem in again.problems}
    assert again.problems.total("image-missing") == findings.problems.total("image-missing")


def test_corrected_regions_pass_the_check(tmp_path):
    planted.faulty_det(tmp_path).write()
    findings = check_dataset(det_plan(tmp_path))
    (fixed,) = write_fixed(findings)
    plan = det_plan(tmp_path)
    plan.lists = {"train": [fixed.path.name]}
    again = check_dataset(plan)
    assert len(fixed.changed) >= 10
    assert not set(fixed.changed) & {problem.kind.name for problem in again.problems}
    # What needs a person stays.
    assert again.problems.total("polygon-outside") == 1 and again.problems.total("json-broken") == 1
