"""Exported models are timed by stage, beside other tools that run in turn on the same images."""

import json
import shlex
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ocrexp.__main__ import main
from ocrexp.bench import inference, peers
from ocrexp.bench.peers import draw_pages, equal_boxes, image_files, ocrexp_worker
from ocrexp.errors import DataError, OcrexpError

PEER = """
import sys
sys.path.insert(0, {project!r})
from ocrexp.bench.worker import serve

class Fake:
    settings = {{}}
    def __init__(self, request):
        print("chatter on standard output")
        assert request["thresh"] == 0.3 and request["limit_side_len"] == 320 and request["mean"] == [0.5, 0.5, 0.5]
    def run(self, images):
        return [[[[0, 0], [9, 0], [9, 9], [0, 9]]] for image in images]
    def stages(self, images):
        return {{}}

serve(Fake)
"""


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    for index in range(2):
        page = np.full((96, 160, 3), 255, np.uint8)
        page[20:50, 20 : 120 + 10 * index] = 0
        cv2.imwrite(str(folder / f"{index}.png"), page)
    return folder


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    script, python = tmp_path / "peer.py", tmp_path / "python"
    script.write_text(PEER.format(project=str(Path(peers.__file__).parents[2])))
    python.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(script))}\n")
    python.chmod(0o755)
    return python


def test_detection_by_stage_beside_another_tool(make_det, pages, peer, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(peers, "REST", 0.0)
    output = tmp_path / "bench.json"
    arguments = [f"det={make_det()}", f"images={pages}", "backends=[onnx]", "repeats=1", f"rapidocr={peer}"]
    assert main(["bench", "what=[inference]", *arguments, f"output={output}"]) == 0
    rows = {row["what"].strip(): row for row in json.loads(output.read_text())["rows"]}
    total = rows["detection, per image, onnx, all threads"]
    assert total["unit"] == "ms" and total["ocrexp"] > 0 and total["rapidocr"] >= 0 and total["paddleocr"] is None
    assert {"decode", "prepare", "network", "postprocess"} <= set(rows)
    assert rows["memory"]["ocrexp"] > 10 and rows["memory"]["rapidocr"] > 10
    assert rows["start to first result"]["ocrexp"] > 0
    assert rows["equal to ours within a pixel"]["rapidocr"] == 0
    assert "RapidOCR" in capsys.readouterr().out


def test_lines_and_both_together(make_det, make_rec, pages, tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "REST", 0.0)
    output = tmp_path / "bench.json"
    arguments = [f"det={make_det()}", f"rec={make_rec()}", f"images={pages}", f"lines_root={pages}"]
    settings = ["backends=[onnx]", "repeats=1", "batch_sizes=[1,2]", "drop_score=0"]
    assert main(["bench", "what=[inference]", *arguments, *settings, f"output={output}"]) == 0
    names = [row["what"].strip() for row in json.loads(output.read_text())["rows"]]
    assert "recognition, per line, batches of 1, onnx, all threads" in names
    assert "recognition, per line, batches of 2, onnx, all threads" in names
    assert "detection and recognition, per image, onnx, all threads" in names
    assert names.count("det") == names.count("crop") == names.count("rec") == 1


def test_what_is_missing_is_said(make_det, pages, tmp_path, capsys):
    assert main(["bench", "what=[inference]"]) == 2
    assert "det=FOLDER" in capsys.readouterr().err
    assert main(["bench", "what=[inference]", "det=nowhere", f"images={pages}", "backends=[onnx]"]) == 1
    assert "ocrexp ended while it was measured" in capsys.readouterr().err
    with pytest.raises(DataError, match="no images"):
        image_files(tmp_path / "none")
    with pytest.raises(OcrexpError, match="is not an image"):
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no image")
        request = {"task": "det", "det": str(make_det()), "backend": "onnx", "threads": 1, "batch": 1}
        ocrexp_worker({**request, "det_args": {}, "rec_args": {}}, broken)


def test_a_tool_that_does_not_start_is_left_out(make_det, pages, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(peers, "REST", 0.0)
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module >&2\nexit 3\n")
    broken.chmod(0o755)
    arguments = [f"det={make_det()}", f"images={pages}", "backends=[onnx]", "repeats=1", f"paddleocr3={broken}"]
    assert main(["bench", "what=[inference]", *arguments]) == 0
    assert "measured without paddleocr3: paddleocr3 ended while it was measured: no such module" in (
        capsys.readouterr().err
    )


def test_pages_hold_two_photographs_side_by_side(pages, tmp_path):
    (page,) = draw_pages(image_files(pages), 1, tmp_path)
    image = cv2.imread(str(page))
    assert image.shape == (720, 1280, 3)
    assert (image[600:] == 255).all() and image[150, 300].max() < 50 and image[150, 940].max() < 50


def test_equal_boxes():
    square = [[0, 0], [4, 0], [4, 4], [0, 4]]
    near = [[0, 0], [4, 0], [4, 5], [0, 4]]
    assert equal_boxes([[square, near]], [[near, square]]) == (2, 2)
    assert equal_boxes([[square]], [[near]]) == (0, 2)
    assert equal_boxes([[square]], [[near]], tolerance=1) == (1, 1)
    assert equal_boxes([[square], []], [[square, square], []]) == (1, 2)


def test_equal_lines_have_the_same_text_at_the_same_place():
    square, far = [[0, 0], [4, 0], [4, 4], [0, 4]], [[50, 0], [54, 0], [54, 4], [50, 4]]
    ours = [[[square, "a", 0.9], [far, "a", 0.8]], []]
    assert inference._equal("system", ours, ours) == 100
    assert inference._equal("system", ours, [[[square, "a", 0.5], [far, "b", 0.8]], []]) == pytest.approx(100 / 3)
    assert inference._equal("rec", [["a", 0.1], ["b", 1]], [["a", 0.2], ["c", 1]]) == 50
