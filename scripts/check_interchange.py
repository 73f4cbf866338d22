"""Runs exported models by other clients, and RapidOCR's models by ours, on the same images; compares boxes and texts.

    python scripts/check_interchange.py --det RUN/inference --rec RUN/inference --pages FOLDER --lines FOLDER \\
        --paddleocr3 PYTHON --paddleocr PYTHON --rapidocr PYTHON

The interpreters are those of environments with paddleocr 3.7, paddleocr 2.10 and rapidocr 3.10; each may be omitted.
The exports need the formats that are asked for: paddle (3.7), legacy (2.10), onnx (RapidOCR). Lines are read one at a
time, because these clients pad a line to the widest of its batch, which a recognizer with recurrent layers sees; and
they know no `width_step` (a model whose file states one is compared with it, for information, and without). Exit code 1
where a text differs, or a box by more than a pixel (halves are rounded up by some and down by others) and beyond what
their own filters change (see `as_they_filter`).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ocrexp.bench.peers import ToolProcess, equal_boxes, image_files
from ocrexp.data.transforms.rec_resize import RecResize
from ocrexp.deploy import TextDetector, TextRecognizer
from ocrexp.environment import untouched

SCRIPTS = Path(__file__).resolve().parent
HALF = [0.5, 0.5, 0.5]
RAPIDOCR_DET = {  # what RapidOCR does with its own detector, said in the words of ours
    "det_mean": HALF, "det_std": HALF, "det_limit_side_len": 736, "det_limit_type": "min", "det_db_thresh": 0.3,
    "det_db_box_thresh": 0.5, "det_db_unclip_ratio": 1.6, "use_dilation": True,
}  # fmt: skip


@dataclass
class Check:
    """Boxes or texts of one pair of tools, and the first few that differ."""

    what: str
    same: int
    every: int
    near: int = 0  # boxes whose corners differ by one pixel at most
    turned: int = 0  # of the equal ones those that count the corners from another one
    differing: list[str] = field(default_factory=list)
    counts: bool = True  # for the exit code

    def line(self) -> str:
        near = f", {self.near} within a pixel" if self.near else ""
        turned = f" ({self.turned} of the equal ones from another corner on)" if self.turned else ""
        return f"{self.what}: {self.same} of {self.every} equal{near}{turned}"

    def holds(self) -> bool:
        return not self.counts or self.same + self.near == self.every


def as_they_filter(boxes: Sequence[Any], height: int, width: int) -> list[Any]:
    """What RapidOCR and PaddleOCR 2.10 do to boxes afterwards: onto pixels of the image, sides up to 3 dropped."""
    kept = []
    for box in boxes:
        inside = np.clip(np.asarray(box, dtype=np.float64), 0, [width - 1, height - 1]).astype(np.int64)
        if all(int(np.linalg.norm(inside[0] - inside[other])) > 3 for other in (1, 3)):
            kept.append(inside.tolist())
    return kept


def from_first(box: Any) -> list[list[float]]:
    """The box from its smallest corner on (by x, then y)."""
    corners = [[float(x), float(y)] for x, y in box]
    first = corners.index(min(corners))
    return corners[first:] + corners[:first]


def compare_boxes(
    what: str, pages: Sequence[Path], ours: Sequence[Any], theirs: Sequence[Any], filtered: bool
) -> Check:
    if filtered:
        sizes = [cv2.imread(str(page)).shape[:2] for page in pages]
        ours = [as_they_filter(boxes, *size) for boxes, size in zip(ours, sizes, strict=True)]
    exactly = equal_boxes(ours, theirs)[0]
    # OpenCV 4 and 5 decide near-ties of upright and of diamond-shaped boxes differently, and some clients count the
    # corners again from another one.
    ours, theirs = ([[from_first(box) for box in boxes] for boxes in found] for found in (ours, theirs))
    same = equal_boxes(ours, theirs)[0]
    within, every = equal_boxes(ours, theirs, tolerance=1.0)
    check = Check(what, same, every, within - same, same - exactly)
    for page, a, b in zip(pages, ours, theirs, strict=True):
        if equal_boxes([a], [b])[0] != max(len(a), len(b)):
            only = [box for box in a if not any(np.array_equal(box, other) for other in b)]
            check.differing.append(f"{page.name}: {len(a)} here, {len(b)} there; only here: {only[:2]}")
    return check


def compare_texts(
    what: str, lines: Sequence[Path], ours: Sequence[Any], theirs: Sequence[Any], counts: bool = True
) -> Check:
    pairs = list(zip(lines, ours, theirs, strict=True))
    same = sum(a[0] == b[0] for _, a, b in pairs)
    differing = [f"{path.name}: {a[0]!r} here, {b[0]!r} there" for path, a, b in pairs if a[0] != b[0]]
    return Check(what, same, len(pairs), differing=differing, counts=counts)


def run_peer(python: str, script: str, request: dict[str, Any], images: Sequence[Path]) -> list[Any]:
    worker = ToolProcess(script, [python, "-W", "ignore", str(SCRIPTS / script)], request, images[0])
    try:
        worker.run(images, counted=False)
        return worker.figures.results
    finally:
        worker.close()


def our_boxes(model: str, backend: str, pages: Sequence[Path], **arguments: Any) -> tuple[list[Any], dict[str, Any]]:
    detector = TextDetector(model, backend, **arguments)
    resize, post = detector.resize, detector.postprocess
    settings = {
        "limit_side_len": resize.limit_side_len, "limit_type": resize.limit_type, "thresh": post.thresh,
        "box_thresh": post.box_thresh, "unclip_ratio": post.unclip_ratio, "score_mode": post.score_mode,
        "use_dilation": post.use_dilation, "mean": arguments.get("det_mean") or list(detector.description.mean),
        "std": arguments.get("det_std") or list(detector.description.std),
    }  # fmt: skip
    return [detector(page)[0].tolist() for page in pages], settings


def our_texts(
    model: str, backend: str, lines: Sequence[Path], width_step: int | None
) -> tuple[list[Any], dict[str, Any]]:
    recognizer = TextRecognizer(model, backend, rec_batch_num=1)
    stated = getattr(recognizer.resize, "width_step", 1)
    if width_step is not None and isinstance(recognizer.resize, RecResize):
        recognizer.resize.width_step = width_step
    texts = [list(result) for result in recognizer(list(lines))[0]]
    return texts, {"rec_image_shape": [3, *recognizer.resize.image_shape], "width_step": stated}


def run_tool(python: str, folder: str, name: str, *arguments: str) -> str:
    """What a script of PaddleOCR 2.10's tools/infer prints; it runs in a folder, where it leaves logs."""
    where = "import importlib.util as u; print(u.find_spec('paddleocr').submodule_search_locations[0])"
    found = subprocess.run([python, "-W", "ignore", "-c", where], capture_output=True, text=True, check=True)
    script = Path(found.stdout.strip().splitlines()[-1]) / "tools" / "infer" / name
    done = subprocess.run(
        [python, "-W", "ignore", str(script), "--use_gpu=False", *arguments],
        cwd=folder, env=untouched(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{name} failed: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    return done.stdout + done.stderr


def tool_boxes(python: str, model: str, pages: Sequence[Path], settings: dict[str, Any]) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        _link(pages, Path(folder) / "images")
        run_tool(
            python, folder, "predict_det.py", f"--image_dir={folder}/images",
            f"--det_model_dir={Path(model).resolve()}",
            f"--draw_img_save_dir={folder}", f"--det_limit_side_len={settings['limit_side_len']}",
            f"--det_limit_type={settings['limit_type']}", f"--det_db_thresh={settings['thresh']}",
            f"--det_db_box_thresh={settings['box_thresh']}", f"--det_db_unclip_ratio={settings['unclip_ratio']}",
            f"--det_db_score_mode={settings['score_mode']}",
        )  # fmt: skip
        rows = (Path(folder) / "det_results.txt").read_text().splitlines()
    boxes = {name: json.loads(found) for name, found in (row.split("\t", 1) for row in rows)}
    return [boxes[f"{index:04d}{page.suffix}"] for index, page in enumerate(pages)]


def tool_texts(python: str, model: str, lines: Sequence[Path], shape: Sequence[int]) -> list[Any]:
    import yaml

    described = yaml.safe_load((Path(model) / "inference.yml").read_text(encoding="utf-8"))
    characters = described["PostProcess"]["character_dict"]
    with tempfile.TemporaryDirectory() as folder:
        _link(lines, Path(folder) / "images")
        dictionary = Path(folder) / "characters.txt"
        dictionary.write_text("".join(f"{character}\n" for character in characters), encoding="utf-8")
        printed = run_tool(
            python, folder, "predict_rec.py", f"--image_dir={folder}/images",
            f"--rec_model_dir={Path(model).resolve()}",
            "--rec_algorithm=CRNN", f"--rec_image_shape={','.join(map(str, shape))}", "--rec_batch_num=1",
            f"--rec_char_dict_path={dictionary}",
        )  # fmt: skip
    found = dict(re.findall(r"Predicts of .*/(\d{4})\.\w+:\((.*)\)\s*$", printed, flags=re.MULTILINE))
    texts = []
    for index in range(len(lines)):
        quoted, score = found[f"{index:04d}"].rsplit(", ", 1)
        texts.append([_unquoted(quoted), float(score)])
    return texts


def _unquoted(quoted: str) -> str:
    import ast

    return str(ast.literal_eval(quoted))


def _link(images: Sequence[Path], folder: Path) -> None:
    folder.mkdir()
    for index, image in enumerate(images):
        (folder / f"{index:04d}{image.suffix}").symlink_to(image.resolve())


def rapidocr_models(python: str) -> tuple[Path, Path]:
    where = "import importlib.util as u; print(u.find_spec('rapidocr').submodule_search_locations[0])"
    found = subprocess.run([python, "-W", "ignore", "-c", where], capture_output=True, text=True, check=True)
    models = Path(found.stdout.strip().splitlines()[-1]) / "models"
    return next(models.glob("*_det_*.onnx")), next(models.glob("*_rec_*.onnx"))


def checks(options: argparse.Namespace) -> Iterator[Check]:
    pages, lines = image_files(options.pages)[: options.count], image_files(options.lines)[: options.count]
    base = {"batch": 1, "drop_score": 0.0, "threads": None}
    for client, python, backend, part in (
        ("PaddleOCR 3.7", options.paddleocr3, "paddle", ""),
        ("PaddleOCR 2.10", options.paddleocr, "paddle", "legacy"),
        ("RapidOCR", options.rapidocr, "onnx", ""),
    ):
        if not python:
            continue
        det, rec = (str(Path(model) / part) if model else None for model in (options.det, options.rec))
        script = "bench_rapidocr_inference.py" if client == "RapidOCR" else "bench_paddleocr_inference.py"
        if det:
            ours, settings = our_boxes(det, backend, pages)
            if part:
                theirs = tool_boxes(python, det, pages, settings)
            else:
                theirs = run_peer(python, script, {**base, **settings, "task": "det", "det": det}, pages)
            what = f"our detector by {client}, boxes"
            yield compare_boxes(what, pages, ours, theirs, filtered=client != "PaddleOCR 3.7")
        if rec:
            texts, settings = our_texts(rec, backend, lines, 1)
            if part:
                read = tool_texts(python, rec, lines, settings["rec_image_shape"])
            else:
                read = run_peer(python, script, {**base, **settings, "task": "rec", "rec": rec}, lines)
            yield compare_texts(f"our recognizer by {client}, texts", lines, texts, read)
            if settings["width_step"] > 1:
                stated = f"    with our widths in steps of {settings['width_step']}, texts"
                texts = our_texts(rec, backend, lines, None)[0]
                yield compare_texts(stated, lines, texts, read, counts=False)
    if options.rapidocr:
        det_file, rec_file = rapidocr_models(options.rapidocr)
        ours, settings = our_boxes(str(det_file), "onnx", pages, **RAPIDOCR_DET)
        request = {**base, **settings, "task": "det", "det": str(det_file)}
        theirs = run_peer(options.rapidocr, "bench_rapidocr_inference.py", request, pages)
        yield compare_boxes(f"RapidOCR's {det_file.stem} by ours, boxes", pages, ours, theirs, filtered=True)
        texts, settings = our_texts(str(rec_file), "onnx", lines, 1)
        request = {**base, **settings, "task": "rec", "rec": str(rec_file)}
        read = run_peer(options.rapidocr, "bench_rapidocr_inference.py", request, lines)
        yield compare_texts(f"RapidOCR's {rec_file.stem} by ours, texts", lines, texts, read)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--det", help="an exported detector's folder")
    parser.add_argument("--rec", help="an exported recognizer's folder")
    parser.add_argument("--pages", required=True, help="folder of images for the detectors")
    parser.add_argument("--lines", required=True, help="folder of line images for the recognizers")
    parser.add_argument("--count", type=int, default=20, help="images of each")
    parser.add_argument("--paddleocr3", metavar="PYTHON")
    parser.add_argument("--paddleocr", metavar="PYTHON")
    parser.add_argument("--rapidocr", metavar="PYTHON")
    options = parser.parse_args()
    done = []
    for check in checks(options):
        done.append(check)
        print(check.line(), flush=True)
        for difference in check.differing[:3]:
            print(f"        {difference}", flush=True)
    return 0 if all(check.holds() for check in done) else 1


if __name__ == "__main__":
    raise SystemExit(main())
