"""Where an export goes, and what becomes of an earlier one."""

import subprocess
import sys
from pathlib import Path

import pytest

from ocrexp.errors import ConfigError
from ocrexp.export.folder import ExportFolder, write_finite_json
from ocrexp.lock import beside


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
    with pytest.raises(ConfigError, match=r"exists and is not an export \(it has no inference.yml\)"):
        ExportFolder(tmp_path / "inference")


def test_infinite_numbers_become_null(tmp_path):
    write_finite_json(tmp_path / "a.json", {"a": float("inf"), "b": [float("nan"), 1.0]})
    assert (tmp_path / "a.json").read_text() == '{\n "a": null,\n "b": [\n  null,\n  1.0\n ]\n}\n'


KILLED_AT_EACH_OPERATION = """
import os, pathlib, shutil, signal, sys
from ocrexp import folders
from ocrexp.export.folder import ExportFolder
root, can_exchange = pathlib.Path(sys.argv[1]), sys.argv[2] == "exchange"

def publish():
    target = ExportFolder(root / "inference")
    with target.writing() as folder:
        (folder / "inference.yml").write_text("new")
        target.publish(folder)

for number in range(1, 40):
    shutil.rmtree(root, ignore_errors=True)
    for name in ("inference", "inference.failed"):
        (root / name).mkdir(parents=True)
        (root / name / "inference.yml").write_text("old")
        (root / name / "more").write_text("old")
    child = os.fork()
    if not child:
        calls = [0]
        def counted(real):
            def wrapped(*given, **more):
                calls[0] += 1
                if calls[0] == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*given, **more)
            return wrapped
        folders.exchange = counted(folders.exchange) if can_exchange else lambda *_: False
        for name in ("mkdir", "rename", "rmdir", "unlink", "fsync"):
            setattr(os, name, counted(getattr(os, name)))
        publish()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if can_exchange:
        assert (root / "inference/inference.yml").read_text() in ("old", "new"), number
    else:
        ExportFolder(root / "inference")  # the next call
        assert (root / "inference/inference.yml").read_text() in ("old", "new"), number
    publish()
    assert sorted(os.listdir(root)) == ["inference"], (number, os.listdir(root))
    assert os.listdir(root / "inference") == ["inference.yml"], number
    if not status:
        break
print("operations", number)
assert 8 < number < 39
"""


@pytest.mark.parametrize("how", ["exchange", "renames"])
def test_a_kill_at_any_operation_leaves_an_export_and_the_next_call_cleans_up(tmp_path, how):
    command = [sys.executable, "-c", KILLED_AT_EACH_OPERATION, str(tmp_path / "run"), how]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_exports_to_one_place_are_refused(tmp_path, lock_of_another):
    owner = lock_of_another(beside(tmp_path / "inference"))
    with pytest.raises(ConfigError, match=f"export.dir={tmp_path / 'inference'}: in use by process {owner.pid}"):
        ExportFolder(tmp_path / "inference").writing().__enter__()
    assert not (tmp_path / "inference").exists()
