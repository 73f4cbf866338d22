"""RapidOCR 3.10's detector, recognizer and whole system as a process that `ocrexp bench what=[inference]` times.

Run by the Python of an environment that has `rapidocr` and `onnxruntime`; it reads requests from standard input (see
ocrexp/bench/worker.py) and needs no network: models are .onnx files, or folders with inference.onnx.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

WORKER = Path(__file__).resolve().parent.parent / "ocrexp" / "bench" / "worker.py"


def load_worker() -> Any:
    """The protocol, from its file alone: the package around it needs what is not installed here."""
    spec = importlib.util.spec_from_file_location("bench_worker", WORKER)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{WORKER}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def onnx_file(model: str) -> Path:
    return Path(model) if Path(model).is_file() else Path(model) / "inference.onnx"


def dictionary(model: str) -> Path | None:
    """The characters of a folder's inference.yml as the file that RapidOCR reads."""
    described = Path(model) / "inference.yml"
    if not described.is_file():
        return None
    import yaml

    characters = yaml.safe_load(described.read_text(encoding="utf-8"))["PostProcess"]["character_dict"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write("".join(f"{character}\n" for character in characters))
    return Path(file.name)


class Rapid:
    """What the request leaves None stays RapidOCR's default."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.settings: dict[str, Any] = {}
        from rapidocr import RapidOCR

        self.task = request["task"]
        parameters: dict[str, Any] = {
            "Global.log_level": "error",
            "Global.use_cls": False,
            "Global.use_preprocess_img": False,
            "Global.use_vertical_padding": False,
            "Global.text_score": request["drop_score"],
            "Rec.rec_batch_num": request["batch"],
        }
        if request.get("threads"):
            parameters["EngineConfig.onnxruntime.intra_op_num_threads"] = request["threads"]
        if self.task != "rec":
            parameters["Det.model_path"] = str(onnx_file(request["det"]))
            keys = (
                "limit_side_len", "limit_type", "thresh", "box_thresh", "unclip_ratio", "use_dilation", "score_mode",
                "mean", "std",
            )  # fmt: skip
            parameters |= {f"Det.{key}": request[key] for key in keys if request.get(key) is not None}
        words = None
        if self.task != "det":
            parameters["Rec.model_path"] = str(onnx_file(request["rec"]))
            parameters["Rec.rec_img_shape"] = request["rec_image_shape"]
            words = dictionary(request["rec"])
            if words:
                parameters["Rec.rec_keys_path"] = str(words)
        self.engine = RapidOCR(params=parameters)
        if self.task == "rec":
            self.model = self.engine._load_rec_model()
        elif self.task == "det":
            self.model = self.engine._load_det_model()
        else:
            self.engine._load_det_model()
            self.engine._load_rec_model()
        if words:
            words.unlink()

    def run(self, images: list[Any]) -> list[Any]:
        if self.task == "det":
            found = [self.model(image).boxes for image in images]
            return [[] if boxes is None else boxes.tolist() for boxes in found]
        if self.task == "rec":
            from rapidocr.ch_ppocr_rec import TextRecInput

            read = self.model(TextRecInput(img=images, return_word_box=False))
            return [[text, float(score)] for text, score in zip(read.txts, read.scores, strict=True)]
        return [self._lines(self.engine(image)) for image in images]

    def stages(self, images: list[Any]) -> dict[str, float]:
        del images
        return {}

    @staticmethod
    def _lines(page: Any) -> list[Any]:
        if page.boxes is None:
            return []
        found = zip(page.boxes, page.txts, page.scores, strict=True)
        return [[box.tolist(), text, float(score)] for box, text, score in found]


if __name__ == "__main__":
    load_worker().serve(Rapid)
