"""Which way up a line image is, by an exported classifier (PaddleOCR's ch_ppocr_mobile_v2.0_cls and its kin)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ocrexp.deploy.backends.opening import open_backend
from ocrexp.deploy.description import Description
from ocrexp.deploy.folder import ModelFolder
from ocrexp.deploy.images import MAX_PIXELS, to_bgr
from ocrexp.deploy.normalize import Normalizer
from ocrexp.deploy.paddle_args import takes_paddleocr_arguments
from ocrexp.deploy.recognizer import MOST_STREAMS, as_list, batches, line_resize, line_width, prepare_lines
from ocrexp.environment import available_cores
from ocrexp.errors import DeployError
from ocrexp.types import Image

if TYPE_CHECKING:
    from ocrexp.deploy.images import AnyImage

BATCH = 6


class TextClassifier:
    """Turns lines that stand on their heads.

    Args:
        model_dir: the exported folder, or an .onnx file. PaddleOCR's calls work too: `cls_model_dir=DIR`, a dict
            or a namespace of its arguments.
        backend: `onnx`, `paddle`, `auto`.
        cls_thresh: a line is turned if its score for 180° is above it.
        cls_batch_num: lines of a batch at most.
        cls_image_shape: [height, width] of the network's input; None: what the export says, or 48 × 192.
        cls_mean: of pixels / 255 in BGR order, for models whose files do not say it.
        cls_std: as `cls_mean`.
        device: `cpu`, `gpu:0`.
        threads: of a CPU; None: all cores that this process may use.
        precision: see `open_backend`.
        tensorrt: see `open_backend`.
        max_pixels: files and PIL images that have more are refused before they are decoded.

    Raises DeployError: see `open_backend`.
    """

    @takes_paddleocr_arguments(cls_model_dir="model_dir")
    def __init__(
        self,
        model_dir: str | Path,
        backend: str = "auto",
        *,
        cls_thresh: float = 0.9,
        cls_batch_num: int = BATCH,
        cls_image_shape: tuple[int, int] | None = None,
        cls_mean: Sequence[float] | None = None,
        cls_std: Sequence[float] | None = None,
        device: str = "cpu",
        threads: int | None = None,
        precision: str = "fp32",
        tensorrt: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if cls_batch_num < 1:
            raise DeployError(f"cls_batch_num={cls_batch_num}: give 1 or more")
        self.max_pixels = max_pixels
        folder = ModelFolder.open(model_dir)
        self.description: Description = folder.describe("cls")
        self.labels = [str(label) for label in self.description.postprocess["label_list"]]
        self.resize = line_resize(self.description, cls_image_shape)
        self.normalize = Normalizer(
            cls_mean or self.description.mean, cls_std or self.description.std, self.description.channels
        )
        self.thresh = cls_thresh
        self.batch_size = cls_batch_num
        streams = min(threads or available_cores(), MOST_STREAMS)
        self.backend = open_backend(folder, backend, device, threads, precision, tensorrt, streams)
        if self.backend.classes not in (None, len(self.labels)):
            raise DeployError(
                f"{folder.path}: the network has {self.backend.classes} classes for labels {', '.join(self.labels)}"
            )

    def __call__(self, images: Sequence[AnyImage]) -> tuple[list[Image], list[tuple[str, float]], float]:
        """The lines the right way up, (label, score) of each, and the seconds that it took."""
        start = time.perf_counter()
        lines = [
            to_bgr(image, f"image {number} of the call", self.max_pixels)
            for number, image in enumerate(as_list(images))
        ]
        results = self.classify(lines)
        turned = [
            cv2.rotate(line, cv2.ROTATE_180) if label == "180" and score > self.thresh else line
            for line, (label, score) in zip(lines, results, strict=True)
        ]
        return turned, results, time.perf_counter() - start

    def classify(self, lines: Sequence[Image]) -> list[tuple[str, float]]:
        """(label, score) of each line, uint8 [H, W, 3] BGR."""
        results: list[tuple[str, float]] = [("", 0.0)] * len(lines)

        def look(indices: list[int]) -> None:
            batch = prepare_lines([lines[index] for index in indices], self.resize, self.normalize)
            probabilities = self.backend.run(batch)
            if probabilities.shape != (len(indices), len(self.labels)):
                raise DeployError(
                    f"the network gives {list(probabilities.shape)}, expected [{len(indices)}, {len(self.labels)}] for "
                    f"its {len(self.labels)} labels; give the model that inference.yml describes"
                )
            best = probabilities.argmax(axis=-1)
            for index, row, choice in zip(indices, probabilities, best, strict=True):
                results[index] = (self.labels[int(choice)], float(np.float32(row[choice])))

        widths = [line_width(self.resize, *line.shape[:2]) for line in lines]
        self.backend.map(look, batches(widths, self.batch_size, self.backend.streams))
        return results
