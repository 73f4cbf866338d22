"""Detection and recognition of whole pages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
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
from ocrexp.deploy.uncertainty import FoundRegion
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
        found = self.examine(page, started)
        return [
            (region.polygon, (region.text, region.text_score))
            for region in found
            if region.kept and region.polygon is not None and region.text is not None
        ]

    def examine(self, page: Image, started: float | None = None) -> list[FoundRegion]:
        """As `read`, with the scores of regions and characters, and with the regions that `drop_score` drops."""
        return self.examine_pages([page], started)[0]

    def examine_pages(self, pages: Sequence[Image], started: float | None = None) -> list[list[FoundRegion]]:
        """As `examine` for several pages: their regions are found page by page, their lines are read together.

        `timings` is that of all pages.
        """
        timings: dict[str, float] = {"det": 0.0, "crop": 0.0}
        regions: list[list[tuple[Polygon, float]]] = []
        lines: list[Image] = []
        start = time.perf_counter() if started is None else started
        for page in pages:
            detected = self.detector.find(page)
            found = time.perf_counter()
            timings["det"] += found - start
            order = reading_order(detected.polygons)
            regions.append([(detected.polygons[index], float(detected.scores[index])) for index in order])
            lines += [crop(page, polygon, self.crop_margin) for polygon, _ in regions[-1]]
            start = time.perf_counter()
            timings["crop"] += start - found
        if self.classifier is not None:
            lines, _, timings["cls"] = self.classifier(lines)
        cropped = time.perf_counter()
        reads = iter(self.recognizer.recognize(lines))
        timings["rec"] = time.perf_counter() - cropped
        self.timings = timings
        thresh = self.detector.box_thresh
        return [
            [
                FoundRegion(polygon, read.text, read.score, read.char_scores, score, thresh, self.drop_score)
                for (polygon, score), read in zip(of_page, islice(reads, len(of_page)), strict=True)
            ]
            for of_page in regions
        ]
