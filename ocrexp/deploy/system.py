"""Detection, then recognition of what was found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp.deploy.classifier import TextClassifier
from ocrexp.deploy.crop import crop
from ocrexp.deploy.detector import TextDetector
from ocrexp.deploy.images import MAX_PIXELS, to_bgr
from ocrexp.deploy.order import reading_order
from ocrexp.deploy.paddle_args import takes_paddleocr_arguments
from ocrexp.deploy.recognizer import TextRecognizer
from ocrexp.errors import DeployError
from ocrexp.types import Image, Polygon

if TYPE_CHECKING:
    from ocrexp.deploy.images import AnyImage

Line = tuple[Polygon, tuple[str, float]]


class TextSystem:
    """Regions of a page in reading order, each with its text.

    Args:
        det_dir: the exported detector.
        rec_dir: the exported recogniser.
        cls_dir: an exported text direction classifier, None: lines are taken to be the right way up.
        backend: `onnx`, `paddle`, `auto`, of all of them.
        drop_score: regions whose text has a lower score are left out.
        crop_margin: what the recogniser sees around a region, as a share of the line's height; the regions themselves
            stay. PaddleOCR has none; a detector that was trained on tight boxes is read better with some.
        cls_thresh: see TextClassifier.
        cls_batch_num: see TextClassifier.
        cls_mean, cls_std: see TextClassifier.
        device: `cpu`, `gpu:0`.
        threads: of a CPU; None: all cores that this process may use.
        precision: see `open_backend`.
        tensorrt: see `open_backend`.
        max_pixels: files and PIL images that have more are refused before they are decoded.

    The others are those of TextDetector (`det_…`, `use_dilation`, `tile`) and TextRecognizer (`rec_…`,
    `use_space_char`).

    `timings` holds the seconds of the last call by stage: `det`, `crop` (with the order), `cls` if there is one, `rec`.
    Raises DeployError: see the parts.
    """

    @takes_paddleocr_arguments(det_model_dir="det_dir", rec_model_dir="rec_dir", cls_model_dir="cls_dir")
    def __init__(
        self,
        det_dir: str | Path,
        rec_dir: str | Path,
        cls_dir: str | Path | None = None,
        backend: str = "auto",
        *,
        drop_score: float = 0.5,
        crop_margin: float = 0.0,
        det_limit_side_len: int | None = None,
        det_limit_type: str | None = None,
        det_db_thresh: float | None = None,
        det_db_box_thresh: float | None = None,
        det_db_unclip_ratio: float | None = None,
        det_db_score_mode: str | None = None,
        det_box_type: str | None = None,
        use_dilation: bool | None = None,
        det_mean: Sequence[float] | None = None,
        det_std: Sequence[float] | None = None,
        tile: bool = False,
        rec_mean: Sequence[float] | None = None,
        rec_std: Sequence[float] | None = None,
        cls_mean: Sequence[float] | None = None,
        cls_std: Sequence[float] | None = None,
        rec_batch_num: int | None = None,
        rec_image_shape: str | Sequence[int] | None = None,
        rec_char_dict_path: str | Path | None = None,
        use_space_char: bool | None = None,
        cls_thresh: float = 0.9,
        cls_batch_num: int = 6,
        device: str = "cpu",
        threads: int | None = None,
        precision: str = "fp32",
        tensorrt: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if not 0 <= crop_margin < 1:
            raise DeployError(f"crop_margin={crop_margin}: a share of the line's height, from 0 to below 1")
        self.drop_score = drop_score
        self.crop_margin = crop_margin
        self.max_pixels = max_pixels
        self.detector = TextDetector(
            det_dir,
            backend,
            det_limit_side_len=det_limit_side_len,
            det_limit_type=det_limit_type,
            det_db_thresh=det_db_thresh,
            det_db_box_thresh=det_db_box_thresh,
            det_db_unclip_ratio=det_db_unclip_ratio,
            det_db_score_mode=det_db_score_mode,
            det_box_type=det_box_type,
            use_dilation=use_dilation,
            det_mean=det_mean,
            det_std=det_std,
            tile=tile,
            device=device,
            threads=threads,
            precision=precision,
            tensorrt=tensorrt,
            max_pixels=max_pixels,
        )
        self.recognizer = TextRecognizer(
            rec_dir,
            backend,
            rec_mean=rec_mean,
            rec_std=rec_std,
            rec_batch_num=rec_batch_num,
            rec_image_shape=rec_image_shape,
            rec_char_dict_path=rec_char_dict_path,
            use_space_char=use_space_char,
            device=device,
            threads=threads,
            precision=precision,
            tensorrt=tensorrt,
            max_pixels=max_pixels,
        )
        self.classifier: TextClassifier | None = None
        if cls_dir is not None:
            self.classifier = TextClassifier(
                cls_dir,
                backend,
                cls_thresh=cls_thresh,
                cls_batch_num=cls_batch_num,
                cls_mean=cls_mean,
                cls_std=cls_std,
                device=device,
                threads=threads,
                precision=precision,
                tensorrt=tensorrt,
            )
        self.timings: dict[str, float] = {}

    def __call__(self, image: AnyImage) -> list[Line]:
        """(region, (text, score)) in reading order; regions are float32 [4, 2], with `poly` (n, 2)."""
        started = time.perf_counter()
        page = to_bgr(image, max_pixels=self.max_pixels)
        self.detector.warn(page, image)
        return self.read(page, started)

    def read(self, page: Image, started: float | None = None) -> list[Line]:
        """As a call, of a page in memory, uint8 [H, W, 3] BGR; one that is shrunk by more than half is not reported.

        `started` is when the detection began, by `time.perf_counter`; None: now.
        """
        timings: dict[str, float] = {}
        start = time.perf_counter() if started is None else started
        polygons = self.detector.find(page).polygons
        found = time.perf_counter()
        timings["det"] = found - start
        polygons = [polygons[index] for index in reading_order(polygons)]
        lines = [crop(page, polygon, self.crop_margin) for polygon in polygons]
        timings["crop"] = time.perf_counter() - found
        if self.classifier is not None:
            lines, _, timings["cls"] = self.classifier(lines)
        texts, timings["rec"] = self.recognizer(lines)
        self.timings = timings
        return [(polygon, text) for polygon, text in zip(polygons, texts, strict=True) if text[1] >= self.drop_score]
