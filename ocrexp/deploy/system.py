"""Detection and recognition of whole pages."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.deploy.classifier import TextClassifier
from ocrexp.deploy.crop import crop
from ocrexp.deploy.detector import TextDetector
from ocrexp.deploy.images import to_bgr
from ocrexp.deploy.options import (
    BackendOptions,
    ClassifierOptions,
    DetectorOptions,
    PageOptions,
    RecognizerOptions,
    split,
    takes_options,
)
from ocrexp.deploy.order import reading_order
from ocrexp.deploy.paddle_args import takes_paddleocr_arguments
from ocrexp.deploy.recognizer import TextRecognizer
from ocrexp.errors import DeployError
from ocrexp.types import Image, Polygon

if TYPE_CHECKING:
    from ocrexp.deploy.images import AnyImage

KINDS = (PageOptions, DetectorOptions, RecognizerOptions, ClassifierOptions, BackendOptions)
Line = tuple[Polygon, tuple[str, float]]


class TextSystem:
    """Finds the regions of a page and reads their texts, in reading order.

    Args:
        det_dir: the exported detector.
        rec_dir: the exported recognizer.
        cls_dir: an exported text direction classifier; None: all lines are assumed to be upright.
        backend: `onnx`, `paddle`, `auto`, for all models.
        options: see PageOptions, DetectorOptions, RecognizerOptions, ClassifierOptions and BackendOptions.

    `timings` contains the seconds of the last call by stage: `det`, `crop` (with the order), `cls` if used, `rec`.
    Raises DeployError: see the parts.
    """

    @takes_paddleocr_arguments(det_model_dir="det_dir", rec_model_dir="rec_dir", cls_model_dir="cls_dir")
    @takes_options(*KINDS)
    def __init__(
        self,
        det_dir: str | Path,
        rec_dir: str | Path,
        cls_dir: str | Path | None = None,
        backend: str = "auto",
        **options: Any,
    ) -> None:
        page, det, rec, cls, run = split("TextSystem", options, *KINDS)
        if not 0 <= page.crop_margin < 1:
            raise DeployError(f"crop_margin: expected a share from 0 to below 1, got {page.crop_margin}")
        self.drop_score = page.drop_score
        self.crop_margin = page.crop_margin
        self.max_pixels = run.max_pixels
        common = asdict(run)
        self.detector = TextDetector(det_dir, backend, **asdict(det), **common)
        self.recognizer = TextRecognizer(rec_dir, backend, **asdict(rec), **common)
        self.classifier = None if cls_dir is None else TextClassifier(cls_dir, backend, **asdict(cls), **common)
        self.timings: dict[str, float] = {}

    def __call__(self, image: AnyImage) -> list[Line]:
        """(region, (text, score)) in reading order; regions are float32 [4, 2], with `poly` (n, 2)."""
        started = time.perf_counter()
        page = to_bgr(image, max_pixels=self.max_pixels)
        self.detector.warn(page, image)
        return self.read(page, started)

    def read(self, page: Image, started: float | None = None) -> list[Line]:
        """As `__call__` for a page in memory, uint8 [H, W, 3] BGR, without the warning about shrunk pages.

        `started` is the time at which the detection began, by `time.perf_counter`; None: now.
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
