"""Times PaddleOCR 2.10's DB postprocess, and ours, on the same drawn map; prints JSON.

Run it with the Python of an environment that has `paddleocr==2.10.0` (and this project's folder around it):

    PADDLEOCR_ENV/bin/python scripts/bench_paddleocr_postprocess.py

The wheel has no metrics; with a checkout of PaddleOCR its DetMetric's evaluator is timed too:

    PADDLEOCR_ENV/bin/python scripts/bench_paddleocr_postprocess.py --checkout PaddleOCR
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ocrexp.bench.metric import drawn_boxes, time_metric
from ocrexp.bench.postprocess import BOX_THRESH, THRESH, UNCLIP_RATIO, drawn_map, time_postprocess


def median_ms(call: Callable[[], Any], repeats: int) -> float:
    """Median milliseconds of `repeats` calls, after one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) * 1000


def load(path: Path) -> Any:
    """A module from its file alone: the package around it imports far more than is needed here."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def paddleocr_postprocess(boxes: int, map_shape: tuple[int, int], repeats: int) -> dict[str, float]:
    package = importlib.util.find_spec("paddleocr")
    if package is None or package.origin is None:
        raise SystemExit("paddleocr is not installed here: pip install paddleocr==2.10.0 paddlepaddle")
    module = load(Path(package.origin).parent / "ppocr/postprocess/db_postprocess.py")
    maps = drawn_map(boxes, map_shape)[None, None]
    shapes = np.array([[*map_shape, 1.0, 1.0]])
    figures = {}
    for box_type, score_mode in (("quad", "fast"), ("quad", "slow"), ("poly", "fast")):
        postprocess = module.DBPostProcess(
            thresh=THRESH,
            box_thresh=BOX_THRESH,
            unclip_ratio=UNCLIP_RATIO,
            box_type=box_type,
            score_mode=score_mode,
        )
        call = lambda postprocess=postprocess: postprocess({"maps": maps}, shapes)  # noqa: E731
        if len(call()[0]["points"]) != boxes:
            raise SystemExit(f"PaddleOCR finds {len(call()[0]['points'])} of the {boxes} drawn boxes")
        figures[f"{box_type}_{score_mode}_ms"] = median_ms(call, repeats)
    return figures


def paddleocr_metric(checkout: Path, boxes: int, repeats: int) -> dict[str, float]:
    evaluator = load(checkout / "ppocr/metrics/eval_det_iou.py").DetectionIoUEvaluator()
    reference, prediction = drawn_boxes(boxes)
    gt = [
        {"points": polygon, "text": "", "ignore": ignored}
        for polygon, ignored in zip(reference.polygons, reference.ignored, strict=True)
    ]
    det = [{"points": polygon, "text": "", "ignore": False} for polygon in prediction.polygons]
    return {"metric_ms": median_ms(lambda: evaluator.combine_results([evaluator.evaluate_image(gt, det)]), repeats)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=50)
    parser.add_argument("--height", type=int, default=736)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--checkout", type=Path, help="a checkout of PaddleOCR, for its metric")
    options = parser.parse_args()
    map_shape = (options.height, options.width)
    theirs = paddleocr_postprocess(options.boxes, map_shape, options.repeats)
    if options.checkout:
        theirs |= paddleocr_metric(options.checkout, options.boxes, options.repeats)
    ours = time_postprocess(options.boxes, map_shape, options.repeats) | time_metric(options.boxes, options.repeats)
    print(json.dumps({"paddleocr": theirs, "ocrexp": ours}, indent=2))


if __name__ == "__main__":
    main()
