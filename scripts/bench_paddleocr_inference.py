"""PaddleOCR 3.7's TextDetection, TextRecognition and PaddleOCR as a process that `ocrexp bench what=[inference]` times.

Run by the Python of an environment that has `paddleocr==3.7` and `paddlepaddle`; it reads requests from standard input
(see ocrexp/bench/worker.py) and needs no network: models are folders.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")
WORKER = Path(__file__).resolve().parent.parent / "ocrexp" / "bench" / "worker.py"


def load_worker() -> Any:
    """The protocol, from its file alone: the package around it needs what is not installed here."""
    spec = importlib.util.spec_from_file_location("bench_worker", WORKER)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{WORKER}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def model_name(folder: str) -> str:
    import yaml

    return str(yaml.safe_load((Path(folder) / "inference.yml").read_text(encoding="utf-8"))["Global"]["model_name"])


class PaddleOCR3:
    """What the request leaves None stays PaddleOCR's default (oneDNN on, 10 threads)."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.settings: dict[str, Any] = {}
        self.task, self.batch = request["task"], request["batch"]
        given = {"enable_mkldnn": request.get("onednn"), "cpu_threads": request.get("threads")}
        common = {"device": "cpu", **{key: value for key, value in given.items() if value is not None}}
        keys = ("limit_side_len", "limit_type", "thresh", "box_thresh", "unclip_ratio")
        det = {key: request[key] for key in keys if request.get(key) is not None}
        if self.task == "det":
            from paddleocr import TextDetection

            self.model = TextDetection(model_name=model_name(request["det"]), model_dir=request["det"], **det, **common)
        elif self.task == "rec":
            from paddleocr import TextRecognition

            self.model = TextRecognition(model_name=model_name(request["rec"]), model_dir=request["rec"], **common)
        else:
            from paddleocr import PaddleOCR

            self.model = PaddleOCR(
                text_detection_model_name=model_name(request["det"]),
                text_detection_model_dir=request["det"],
                text_recognition_model_name=model_name(request["rec"]),
                text_recognition_model_dir=request["rec"],
                text_recognition_batch_size=self.batch,
                text_rec_score_thresh=request["drop_score"],
                use_doc_orientation_classify=False,
                use_doc_unwarping=False,
                use_textline_orientation=False,
                **{f"text_det_{key}": value for key, value in det.items()},
                **common,
            )

    def run(self, images: list[Any]) -> list[Any]:
        if self.task == "det":
            return [[box.tolist() for box in self.model.predict(image)[0]["dt_polys"]] for image in images]
        if self.task == "rec":
            found = self.model.predict(images, batch_size=self.batch)
            return [[result["rec_text"], float(result["rec_score"])] for result in found]
        return [self._lines(self.model.predict(image)[0]) for image in images]

    def stages(self, images: list[Any]) -> dict[str, float]:
        del images
        return {}

    @staticmethod
    def _lines(page: Any) -> list[Any]:
        found = zip(page["rec_polys"], page["rec_texts"], page["rec_scores"], strict=True)
        return [[box.tolist(), text, float(score)] for box, text, score in found]


if __name__ == "__main__":
    load_worker().serve(PaddleOCR3)
