"""`ocrexp predict` as a user types it; the models are stand-ins, which see the brightness of the image."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from ocrexp.__main__ import main
from ocrexp.config.compose import compose
from ocrexp.data.lists import DetLists
from ocrexp.deploy import end_to_end
from ocrexp.deploy.outputs import Reading
from ocrexp.deploy.uncertainty import FoundRegion

BOX = np.array([[2, 2], [28, 2], [28, 12], [2, 12]], np.float32)


class StandIn:
    """Finds one region whose text is the brightness of the image; the darker, the slower."""

    seen: list = []  # noqa: RUF012

    def __init__(self, settings, threads):
        self.settings = settings
        StandIn.seen.append((settings, threads))

    def __call__(self, images):
        readings = []
        for image in images:
            time.sleep((255 - int(image[0, 0, 0])) / 5000)
            text = str(int(image[0, 0, 0]))
            polygons = None if self.settings.det is None else [BOX]
            texts = None if self.settings.rec is None else [text]
            regions = [FoundRegion(BOX, text, 0.9, (0.9,) * len(text), 0.9)]
            readings.append(Reading(polygons, texts, [0.9], {"det": 0.01, "rec": 0.02}, regions=regions))
        return readings


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Arguments that name a detector and a recogniser."""
    monkeypatch.setattr(end_to_end, "Engine", StandIn)
    StandIn.seen = []
    arguments = []
    for name in ("det", "rec"):
        (tmp_path / "models" / name / "inference").mkdir(parents=True)
        (tmp_path / "models" / name / "inference" / "inference.onnx").touch()
        arguments.append(f"{name}={tmp_path / 'models' / name}")
    return arguments


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "my scans (1)"
    folder.mkdir()
    for level in (10, 250, 120, 60):
        cv2.imwrite(str(folder / f"{level:03d}.png"), np.full((40, 60, 3), level, np.uint8))
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]


def test_pages_are_read_in_their_order_and_labels_can_be_trained_on(models, scans, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", f"images={scans}", f"output={out}", "workers=2", *models]) == 0
    assert [row["texts"] for row in rows(out)] == [["10"], ["60"], ["120"], ["250"]]
    assert all((out / row["picture"]).is_file() for row in rows(out))
    shown = capsys.readouterr().out
    assert "read: 4 images, 4 regions" in shown
    label_line = next(line for line in shown.splitlines() if line.startswith("labels: "))
    keys = dict(item.split("=", 1) for item in label_line.removeprefix("labels: ").replace("my scans (1)", "?").split())
    assert keys["dataset"] == "det_list"
    records = DetLists(tmp_path, str(out / "labels.txt"), str(out / "labels.txt")).train_records()
    assert [record.texts for record in records] == [("10",), ("60",), ("120",), ("250",)]
    settings, _ = StandIn.seen[0]
    assert settings.det.endswith("det/inference")


def test_detection_alone_and_lines_alone(models, scans, tmp_path):
    assert main(["predict", f"images={scans}", f"output={tmp_path / 'det'}", models[0]]) == 0
    assert main(["predict", f"images={scans}", f"output={tmp_path / 'rec'}", models[1]]) == 0
    assert "texts" not in rows(tmp_path / "det")[0]
    assert "boxes" not in rows(tmp_path / "rec")[0]
    assert (tmp_path / "rec" / "labels.txt").read_text("utf-8").splitlines()[0] == "my scans (1)/010.png\t10"


def test_a_broken_image_is_reported_the_others_are_done_and_the_code_is_1(models, scans, tmp_path, capsys):
    (scans / "100.png").write_bytes(b"no image")
    out = tmp_path / "out"
    assert main(["predict", f"images={scans}", f"output={out}", *models]) == 1
    said = capsys.readouterr()
    assert said.err.count("100.png: image file cannot be decoded") == 1
    assert "1 of 5 images could not be read" in said.err
    assert [row.get("texts", row.get("error")) for row in rows(out)] == [
        ["10"], ["60"], "image file cannot be decoded", ["120"], ["250"],
    ]  # fmt: skip
    assert len((out / "labels.txt").read_text("utf-8").splitlines()) == 4


def test_standard_output_has_json_lines_and_nothing_else(models, scans, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", f"images={scans}", "output=-", *models]) == 0
    said = capsys.readouterr()
    assert [json.loads(line)["texts"] for line in said.out.splitlines()] == [["10"], ["60"], ["120"], ["250"]]
    assert "read: 4 images" in said.err
    assert not (tmp_path / "outputs").exists()


def test_several_images_and_shapes_are_lists(models, scans, tmp_path):
    images = f"images=['{scans / '250.png'}','{scans / '0*.png'}']"
    out = tmp_path / "out"
    assert main(["predict", images, f"output={out}", "rec_image_shape=[3,32,320]", *models]) == 0
    assert [row["texts"] for row in rows(out)] == [["250"], ["10"], ["60"]]
    assert StandIn.seen[0][0].rec_image_shape == [3, 32, 320]
    assert main(["predict", images, "output=-", "rec_image_shape=[3,a]", *models]) == 2


def test_paths_from_standard_input(models, scans, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", [f"{scans}/250.png\n", f"{scans}/010.png\n"])
    assert main(["predict", "images=-", f"output={tmp_path / 'out'}", *models]) == 0
    assert [row["texts"] for row in rows(tmp_path / "out")] == [["250"], ["10"]]


def test_results_are_never_overwritten_unless_asked(models, scans, tmp_path, capsys):
    command = ["predict", f"images={scans}", f"output={tmp_path / 'out'}", *models]
    assert main(command) == 0
    before = (tmp_path / "out" / "predictions.jsonl").read_bytes()
    StandIn.seen = []
    assert main(command) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err
    assert not StandIn.seen  # said before a model was loaded
    assert (tmp_path / "out" / "predictions.jsonl").read_bytes() == before
    (tmp_path / "out" / "pictures" / "notes.txt").touch()
    assert main([*command, "overwrite=true", "pictures=false"]) == 0
    assert [path.name for path in (tmp_path / "out" / "pictures").iterdir()] == ["notes.txt"]


def test_a_correction_is_never_overwritten(models, scans, tmp_path, capsys):
    out = tmp_path / "out"
    keys = ["correct=[ppocrlabel,label_studio]", "sort=uncertain", "pictures=false", "correct_copies=true"]
    command = ["predict", f"images={scans}", f"output={out}", *models, *keys]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "written: " in said and ": predictions.jsonl, labels.txt, uncertain.jsonl, ppocrlabel, label_studio" in said
    assert "least certain: " in said and "120.png: 0.3 wrong regions expected" in said
    assert not (out / "ppocrlabel/1_120.png").is_symlink()
    assert [row["texts"] for row in rows(out)] == [["10"], ["60"], ["120"], ["250"]]
    assert main([*command, "overwrite=true", "limit=1"]) == 0
    assert [path.name for path in (out / "label_studio/images").iterdir()] == ["1_120.png"]
    for mine in ("label_studio/export.json", "label_studio/images/new.png", "ppocrlabel/photo.jpg"):
        (out / mine).touch()
        assert main([*command, "overwrite=true"]) == 2
        assert f"{mine} was not written by predict and would be deleted; move it" in capsys.readouterr().err
        (out / mine).unlink()
    (out / "ppocrlabel/fileState.txt").write_text("ppocrlabel/1_120.png\t1\n")
    StandIn.seen = []
    assert main([*command, "overwrite=true"]) == 2
    assert "ppocrlabel/fileState.txt contains corrections; name another folder" in capsys.readouterr().err
    assert not StandIn.seen and (out / "ppocrlabel/1_120.png").exists()


def test_without_a_name_every_run_has_a_folder_of_its_own(models, scans, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["predict", f"images={scans}", "labels=false", "pictures=false", *models]) == 0
    assert len(list((tmp_path / "outputs" / "predict").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["det=MODEL"], "images: is missing; add images="),
        (["images=SCANS"], "no model is given"),
        (["images=SCANS", "det=nowhere"], "det=nowhere: folder not found"),
        (["images=SCANS", "det=MODEL", "cls=MODEL"], "add rec=DIR"),
        (["images=SCANS", "rec=MODEL", "det_db_thresh=0.2"], "det_db_thresh=0.2: belongs to det, which is not given"),
        (["images=SCANS", "det=MODEL", "rec_batch_num=2"], "rec_batch_num=2: belongs to rec, which is not given"),
        (["image_dir=SCANS", "det=MODEL"], "use images="),
        (["images=SCANS", "det_model_dir=MODEL"], "use det="),
        (["images=SCANS", "det=MODEL", "workers=0"], "workers: expected 1 or more, or auto, got 0"),
        (["images=SCANS", "det=MODEL", "threads=two"], "threads: expected a whole number or null, got two"),
        (["images=SCANS", "det=MODEL", "det_db_tresh=0.3"], "did you mean det_db_thresh"),
        (["images=SCANS", "det=MODEL", "font=nowhere.ttf"], "font=nowhere.ttf"),
        (["images=SCANS", "det=RUN"], "is not exported yet; run: python -m ocrexp export run_dir="),
    ],
)
def test_bad_input_is_one_line(models, scans, tmp_path, capsys, arguments, message):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    places = {"MODEL": str(tmp_path / "models" / "det"), "SCANS": str(scans), "RUN": str(tmp_path / "run")}
    for name, place in places.items():
        arguments = [argument.replace(name, place) for argument in arguments]
    assert main(["predict", *arguments, f"output={tmp_path / 'out'}"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


SLOW = """
import sys, time
from ocrexp.deploy import end_to_end
from ocrexp.deploy.outputs import Reading
class Slow:
    def __init__(self, settings, threads): pass
    def __call__(self, images):
        time.sleep(0.15)
        return [Reading([], [], [], {}) for _ in images]
end_to_end.Engine = Slow
from ocrexp.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupt_keeps_what_was_written(models, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03d}.bmp").write_bytes(cv2.imencode(".bmp", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOW, "predict", f"images={folder}", f"output={out}", "pictures=false", *models]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    limit = time.monotonic() + 60
    while not (out / "labels.txt").exists() or not (out / "labels.txt").read_bytes().count(b"\n"):
        assert time.monotonic() < limit
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    done = rows(out)
    assert 0 < len(done) < 200
    assert f"interrupted after {len(done)} of 200 images" in said
    assert len((out / "labels.txt").read_text().splitlines()) == len(done)


def test_the_models_keys_are_the_same_in_both_verbs():
    predict, system = (compose(verb, []) for verb in ("predict", "eval-system"))
    shared = [key for key in system if key in predict and key not in ("output", "pictures")]
    assert {"det", "rec", "cls", "backend", "drop_score", "det_db_thresh", "rec_batch_num", "cls_thresh"} <= set(shared)
    assert {key: predict._get_node(key) for key in shared} == {key: system._get_node(key) for key in shared}


def test_an_image_that_opencv_gives_up_is_one_line_and_the_others_are_done(
    models, scans, tmp_path, capsys, monkeypatch
):
    read = StandIn.__call__

    def fails_on_the_dark(self, images):
        if any(image[0, 0, 0] < 50 for image in images):
            raise cv2.error("(-4:Insufficient memory)\n in function 'x'")
        return read(self, images)

    monkeypatch.setattr(StandIn, "__call__", fails_on_the_dark)
    out = tmp_path / "out"
    assert main(["predict", f"images={scans}", f"output={out}", *models]) == 1
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert sum("error" in line for line in lines) == 1
    assert sum("texts" in line for line in lines) == len(lines) - 1 > 0
    assert "Insufficient memory" in capsys.readouterr().err


def test_shares_lie_between_0_and_1(models, scans, tmp_path, capsys):
    assert main(["predict", f"images={scans}", f"output={tmp_path / 'out'}", *models, "drop_score=7"]) == 2
    assert "drop_score: expected a number from 0 to 1, got 7" in capsys.readouterr().err


def test_control_codes_in_names_are_shown_as_escapes_and_kept_in_json(models, tmp_path, capsys):
    folder = tmp_path / "evil"
    folder.mkdir()
    good, bad = "a\x1b]0;pwn\x07\x9b31m.png", "b\x1b[2J.jpg"
    cv2.imwrite(str(folder / "plain.png"), np.full((40, 60, 3), 120, np.uint8))
    (folder / "plain.png").rename(folder / good)
    (folder / bad).write_text("no image")
    assert main(["predict", f"images={folder}", "output=-", *models]) == 1
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert not any(code in text for code in "\x1b\x07\x9b")
    assert r"b\x1b[2J.jpg" in shown.err
    assert [json.loads(line)["path"] for line in shown.out.splitlines()] == [f"{folder}/{good}", f"{folder}/{bad}"]


def test_one_image_with_a_name_of_255_bytes_does_not_end_the_run(models, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.png", f"{'é' * 125}b.png", "z.png"):
        cv2.imwrite(str(folder / "x.png"), np.full((40, 60, 3), 120, np.uint8))
        (folder / "x.png").rename(folder / name)
    assert main(["predict", f"images={folder}", f"output={out}", *models]) == 0
    assert [bool((out / row["picture"]).is_file()) for row in rows(out)] == [True] * 3


def test_black_and_white_pages_skipped_files_and_too_large_images_are_told(models, scans, tmp_path, capsys):
    cv2.imwrite(str(scans / "black.png"), np.zeros((40, 60, 3), np.uint8))
    cv2.imwrite(str(scans / "large.png"), np.full((50, 60, 3), 120, np.uint8))
    (scans / "notes.txt").write_text("no image")
    assert main(["predict", f"images={scans}", f"output={tmp_path / 'out'}", "max_pixels=2400", *models]) == 1
    said = capsys.readouterr().err
    assert "3 images are all black or all white, the first is" in said
    assert "1 file of it was skipped (1 .txt)" in said
    assert "large.png: image of 60×50" in said
    assert "raise max_pixels to 3000" in said
    assert len(rows(tmp_path / "out")) == 6


def test_nothing_done_is_exit_code_2(models, tmp_path, capsys):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"no image")
    assert main(["predict", f"images={broken}", f"output={tmp_path / 'out'}", *models]) == 2
    assert main(["predict", f"images={tmp_path / 'absent'}", *models]) == 2
    assert "absent" in capsys.readouterr().err
    assert main(["predict", f"images={broken}", "det=/absent"]) == 2
