"""`ocrexp eval-system` as a user types it; the models are stand-ins."""

import json
from datetime import datetime

import cv2
import numpy as np
import pytest
import yaml

from ocrexp.__main__ import main
from ocrexp.deploy import end_to_end
from ocrexp.deploy.outputs import Reading
from ocrexp.lock import LOCK
from ocrexp.runs import output


def box(x):
    return np.array([[x, 5], [x + 30, 5], [x + 30, 25], [x, 25]], np.float32)


class StandIn:
    """Finds the first two of three words, and misreads the second on dark images."""

    def __init__(self, settings, threads):
        self.settings = settings

    def __call__(self, images):
        return [
            Reading([box(5), box(45)], ["One", "two" if image[0, 0, 0] > 128 else "tvvo"], [0.9, 0.7], {})
            for image in images
        ]


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Arguments for two labelled images, bright and dark, of three words each."""
    monkeypatch.setattr(end_to_end, "Engine", StandIn)
    lines = []
    for name, level in (("bright", 220), ("dark", 30)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 130, 3), level, np.uint8))
        regions = [
            {"transcription": text, "points": box(x).tolist()} for text, x in (("ONE", 5), ("TWO", 45), ("THREE", 85))
        ]
        lines.append(f"{name}.png\t{json.dumps(regions)}\n")
    (tmp_path / "val_list.txt").write_text("".join(lines))
    for name in ("det", "rec"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inference.onnx").touch()
    return [
        "eval-system", f"det={tmp_path / 'det'}", f"rec={tmp_path / 'rec'}", f"dataset.root={tmp_path}",
        f"output={tmp_path / 'out'}",
    ]  # fmt: skip


def test_figures_say_which_half_fails_and_the_worst_images_are_drawn(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("precision 0.7500 recall 0.5000 hmean 0.6000 rec_accuracy 0.7500")
    content = json.loads((tmp_path / "out" / "eval_system.json").read_text())
    assert content["metrics"]["det_recall"] == pytest.approx(4 / 6)
    assert content["metrics"]["det_precision"] == 1
    assert content["models"]["det"] == str(tmp_path / "det")
    pictures = sorted(path.name for path in (tmp_path / "out" / "worst").iterdir())
    assert pictures == ["00_dark.jpg", "01_bright.jpg"]


def test_case_counts_when_asked_and_an_unreadable_image_counts_as_nothing_found(arguments, tmp_path, capsys):
    (tmp_path / "dark.png").write_bytes(b"no image")
    assert main([*arguments, "metric.case=keep"]) == 0
    content = json.loads((tmp_path / "out" / "eval_system.json").read_text())
    assert content["metrics"]["hmean"] == 0
    assert content["metrics"]["det_recall"] == pytest.approx(2 / 6)
    assert len(content["unreadable"]) == 1
    assert "dark.png: image file cannot be decoded" in capsys.readouterr().err


def test_labels_are_normalized_as_the_recognizer_was_trained(arguments, tmp_path, monkeypatch):
    """Readings of a network that was trained with charset.normalize=nfkc contain no full-width letters."""
    own = {
        "task": "rec",
        "resize": {"kind": "RecResize", "image_shape": [32, 100]},
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    own |= {"postprocess": {"name": "CTCLabelDecode"}, "channels": "BGR", "charset": {"normalize": "nfkc"}}
    content = {"Global": {"model_name": "x"}, "PostProcess": {"name": "CTCLabelDecode"}, "Ocrexp": own}
    labels = tmp_path / "val_list.txt"
    labels.write_text(labels.read_text().replace("ONE", "\uff2f\uff2e\uff25"))
    assert main(arguments) == 0
    assert json.loads((tmp_path / "out" / "eval_system.json").read_text())["metrics"]["recall"] == pytest.approx(1 / 6)
    (tmp_path / "rec" / "inference.yml").write_text(yaml.safe_dump(content))
    assert main([*arguments, "overwrite=true"]) == 0
    assert json.loads((tmp_path / "out" / "eval_system.json").read_text())["metrics"]["recall"] == pytest.approx(3 / 6)


def test_an_evaluation_is_not_overwritten_unless_asked(arguments, capsys):
    assert main([*arguments, "pictures=0"]) == 0
    assert main([*arguments, "pictures=0"]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert main([*arguments, "pictures=0", "overwrite=true", "limit=1"]) == 0


def test_evaluations_of_one_second_have_a_folder_each(arguments, tmp_path, monkeypatch):
    class Now:
        @staticmethod
        def now():
            return datetime(2026, 1, 2)

    monkeypatch.setattr(output, "datetime", Now)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main([*arguments[:-1], "pictures=0"]) == 0
    names = ["2026-01-02_00-00-00", "2026-01-02_00-00-00_2"]
    assert sorted(path.name for path in (tmp_path / "outputs" / "eval-system").iterdir()) == names


def test_two_evaluations_do_not_share_a_folder(arguments, tmp_path, capsys, lock_of_another):
    (tmp_path / "out").mkdir()
    owner = lock_of_another(tmp_path / "out" / LOCK)
    assert main(arguments) == 2
    assert f"output={tmp_path / 'out'}: in use by process {owner.pid}" in capsys.readouterr().err


def test_an_evaluation_that_fails_leaves_no_folder_and_the_earlier_pictures(arguments, tmp_path):
    (tmp_path / "val_list.txt").rename(tmp_path / "list.txt")
    assert main(arguments) == 2
    assert not (tmp_path / "out").exists()
    (tmp_path / "list.txt").rename(tmp_path / "val_list.txt")
    assert main(arguments) == 0
    pictures = sorted((tmp_path / "out" / "worst").iterdir())
    (tmp_path / "val_list.txt").unlink()
    assert main([*arguments, "overwrite=true"]) == 2
    assert sorted((tmp_path / "out" / "worst").iterdir()) == pictures


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"rec=": None}, "needs both models"),
        ({"dataset.root=": None}, "dataset.root=DIR"),
        ({"dataset.root=": "dataset.root=nowhere"}, "nowhere"),
        ({"det=": "det=nowhere"}, "folder not found"),
        ({"output=": "metric.caze=keep"}, "did you mean"),
        ({"output=": "limit=-2"}, "limit=-2"),
        ({"output=": "pictures=-1"}, "pictures=-1"),
    ],
)
def test_bad_input_is_one_line(arguments, capsys, tmp_path, monkeypatch, replaced, message):
    monkeypatch.chdir(tmp_path)
    for start, value in replaced.items():
        arguments = [value if item.startswith(start) else item for item in arguments]
    assert main([item for item in arguments if item]) in (1, 2)
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_an_image_that_fails_counts_as_nothing_found_all_of_them_are_an_error(arguments, tmp_path, monkeypatch, capsys):
    read = StandIn.__call__

    def fails(self, images):
        if images[0][0, 0, 0] < limit:
            raise MemoryError
        return read(self, images)

    monkeypatch.setattr(StandIn, "__call__", fails)
    limit = 128
    assert main(arguments) == 0
    assert len(json.loads((tmp_path / "out" / "eval_system.json").read_text())["unreadable"]) == 1
    limit = 256
    assert main([*arguments, "overwrite=true"]) == 1
    assert "none of the 2 images could be read: cannot be read (MemoryError)" in capsys.readouterr().err
