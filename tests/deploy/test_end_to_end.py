"""Real (tiny) models behind `predict` and `eval-system`, and many images through them in order."""

import json
import threading
import time

import cv2
import numpy as np
import pytest

from ocrexp.__main__ import main
from ocrexp.deploy.end_to_end import in_order, quoted
from ocrexp.errors import ConfigError


@pytest.fixture
def pages(tmp_path):
    """Four white pages of one, two, three and four black patches in rows."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for count in (1, 2, 3, 4):
        page = np.full((160, 200, 3), 255, np.uint8)
        for row in range(count):
            page[10 + 36 * row : 30 + 36 * row, 20:120] = 0
        cv2.imwrite(str(folder / f"{count}.png"), page)
    return folder


def predicted(folder):
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        row.pop("seconds", None)
    return rows


@pytest.fixture
def onnx_models(make_det, make_rec):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return [f"det={make_det()}", f"rec={make_rec()}"]


def test_pages_regions_and_lines_whatever_the_workers(onnx_models, pages, tmp_path):
    kinds = {"pages": onnx_models, "regions": onnx_models[:1], "lines": onnx_models[1:]}
    found = {}
    for kind, models in kinds.items():
        for workers in (1, 2):
            out = tmp_path / f"{kind}{workers}"
            assert main(["predict", f"images={pages}", f"output={out}", f"workers={workers}", *models]) == 0
            found[kind, workers] = predicted(out)
        assert found[kind, 1] == found[kind, 2]
    assert [len(row["boxes"]) for row in found["regions", 1]] == [1, 2, 3, 4]
    tops = [box[0][1] for box in found["regions", 1][3]["boxes"]]
    assert tops == sorted(tops)
    assert [row["texts"] for row in found["pages", 1]] == [["a"], ["a"] * 2, ["a"] * 3, ["a"] * 4]
    assert found["pages", 1][2]["boxes"] == found["regions", 1][2]["boxes"]
    assert all(len(row["texts"]) == 1 and "boxes" not in row for row in found["lines", 1])


def test_predictions_of_the_models_score_fully_against_themselves(onnx_models, pages, tmp_path, capsys):
    assert main(["predict", f"images={pages}", f"output={tmp_path / 'out'}", *onnx_models]) == 0
    labels = (tmp_path / "out" / "labels.txt").read_text("utf-8")
    (tmp_path / "val_list.txt").write_text(labels, "utf-8")
    arguments = [*onnx_models, f"dataset.root={tmp_path}", f"output={tmp_path / 'eval'}"]
    assert main(["eval-system", *arguments]) == 0
    metrics = json.loads((tmp_path / "eval" / "eval_system.json").read_text())["metrics"]
    assert metrics["hmean"] == metrics["det_hmean"] == metrics["rec_accuracy"] == 1.0
    assert not (tmp_path / "eval" / "worst").exists()


def test_lines_are_turned_by_a_classifier_without_a_detector_too(make_rec, make_cls, line, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    image = line("aaab", height=48, width=48)
    for name, pixels in (("upright.png", image[:, ::-1]), ("turned.png", image)):
        cv2.imwrite(str(tmp_path / name), pixels)
    arguments = [f"images=[{tmp_path / 'upright.png'},{tmp_path / 'turned.png'}]", f"rec={make_rec()}"]
    for name, more, expected in (("as_is", [], ["ba", "ab"]), ("cls", [f"cls={make_cls()}"], ["ba", "ba"])):
        out = tmp_path / f"{name}_out"
        assert main(["predict", *arguments, *more, f"output={out}"]) == 0
        assert [row["texts"][0] for row in predicted(out)] == expected


def test_a_damaged_model_is_one_line(onnx_models, pages, tmp_path, capsys):
    (tmp_path / "det" / "inference.onnx").write_bytes(b"")
    assert main(["predict", f"images={pages}", f"output={tmp_path / 'out'}", *onnx_models]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    assert "is empty" in said
    assert not (tmp_path / "out").exists()


def test_results_come_in_the_order_of_the_items_with_few_ahead():
    running, most, started = 0, 0, []
    lock = threading.Lock()

    def work(item):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            started.append(item)
        time.sleep(0.02 if item % 3 == 0 else 0.001)
        with lock:
            running -= 1
        return item * item

    results = in_order(range(40), work, threads=3)
    assert next(results) == 0
    assert len(started) <= 7
    assert list(results) == [item * item for item in range(1, 40)]
    assert 1 < most <= 3


def test_leaving_the_loop_leaves_the_rest_undone():
    done = []
    results = in_order(range(1000), done.append, threads=2)
    next(results)
    results.close()
    assert len(done) <= 5


@pytest.mark.parametrize("name", ["a b.jpg", "it's (1).png", "50%,{x}.png", "tab=#1.pdf", "back\\slash", "end\\", "ü$"])
def test_any_file_name_can_be_typed_as_it_is(name):
    from ocrexp.config.compose import compose

    assert compose("predict", quoted([f"images={name}", "dpi=100"], ("images",))).images == name


def test_lists_and_quotes_are_left_to_hydra():
    from ocrexp.config.compose import compose

    given = ["images=[a.jpg,'b c.jpg']", "output=null", "rec='x y'"]
    config = compose("predict", quoted(given, ("images", "output", "rec")))
    assert config.images == ["a.jpg", "b c.jpg"]
    assert config.output is None
    assert config.rec == "x y"
    with pytest.raises(ConfigError):
        compose("predict", ["images=a (1).jpg"])
