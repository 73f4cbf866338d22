"""Where an export goes, and what becomes of an earlier one."""

import pytest

from ocrexp.deploy.export.folder import ExportFolder, write_json
from ocrexp.errors import ConfigError


def test_a_good_export_replaces_the_earlier_one_whole(tmp_path):
    for text in ("first", "second"):
        target = ExportFolder(tmp_path / "inference")
        with target.writing() as folder:
            (folder / "inference.yml").write_text(text)
            (folder / f"{text}.onnx").write_text("")
            target.publish(folder)
    assert sorted(path.name for path in (tmp_path / "inference").iterdir()) == ["inference.yml", "second.onnx"]
    assert [path.name for path in tmp_path.iterdir()] == ["inference"]


def test_a_failed_one_is_set_aside_until_the_next_good_one(tmp_path):
    target = ExportFolder(tmp_path / "inference")
    with target.writing() as folder:
        (folder / "inference.yml").write_text("good")
        target.publish(folder)
    with target.writing() as folder:
        (folder / "inference.yml").write_text("bad")
        target.set_aside(folder)
    assert (tmp_path / "inference" / "inference.yml").read_text() == "good"
    assert (tmp_path / "inference.failed" / "inference.yml").read_text() == "bad"
    with ExportFolder(tmp_path / "inference").writing() as folder:
        target.publish(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["inference"]


def test_an_interrupted_one_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), ExportFolder(tmp_path / "inference").writing() as folder:
        (folder / "inference.onnx").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_things_is_not_replaced(tmp_path):
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference" / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match=r"is there and is no export \(it has no inference.yml\)"):
        ExportFolder(tmp_path / "inference")


def test_infinite_numbers_become_null(tmp_path):
    write_json(tmp_path / "a.json", {"a": float("inf"), "b": [float("nan"), 1.0]})
    assert (tmp_path / "a.json").read_text() == '{\n "a": null,\n "b": [\n  null,\n  1.0\n ]\n}\n'
