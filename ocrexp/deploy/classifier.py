"""Text direction of line images by an exported classifier (such as PaddleOCR's ch_ppocr_mobile_v2.0_cls)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ocrexp.deploy.backends.opening import open_backend
from ocrexp.deploy.description import Description
from ocrexp.deploy.folder import ModelFolder
from ocrexp.deploy.images import to_bgr
from ocrexp.deploy.normalize import Normalizer
from ocrexp.deploy.options import BackendOptions, ClassifierOptions, split, takes_options
from ocrexp.deploy.paddle_args import takes_paddleocr_arguments
from ocrexp.deploy.recognizer import MOST_STREAMS, as_list, batches, line_resize, line_width, prepare_lines
from ocrexp.environment import available_cores
from ocrexp.errors import DeployError
from ocrexp.types import Image

if TYPE_CHECKING:
    from ocrexp.deploy.images import AnyImage


class TextClassifier:
    """Turns line images that are upside down.

    Args:
        model_dir: the exported folder, or an .onnx file. PaddleOCR's calls work too: `cls_model_dir=DIR`, a dict
            or a namespace of its arguments.
        backend: `onnx`, `paddle`, `auto`.
        options: see ClassifierOptions and BackendOptions.

    Raises DeployError: see `open_backend`.
    """

    @takes_paddleocr_arguments(cls_model_dir="model_dir")
    @takes_options(ClassifierOptions, BackendOptions)
    def __init__(
        self,
        model_dir: str | Path,
        backend: str = "auto",
        **options: Any,
    ) -> None:
        own, run = split("TextClassifier", options, ClassifierOptions, BackendOptions)
        if own.cls_batch_num < 1:
            raise DeployError(f"cls_batch_num: expected 1 or more, got {own.cls_batch_num}")
        self.max_pixels = run.max_pixels
        folder = ModelFolder.open(model_dir)
        self.description: Description = folder.describe("cls")
        self.labels = [str(label) for label in self.description.postprocess["label_list"]]
        self.resize = line_resize(self.description, own.cls_image_shape)
        self.normalize = Normalizer(
            own.cls_mean or self.description.mean, own.cls_std or self.description.std, self.description.channels
        )
        self.thresh = own.cls_thresh
        self.batch_size = own.cls_batch_num
        streams = min(run.threads or available_cores(), MOST_STREAMS)
        self.backend = open_backend(folder, backend, run.device, run.threads, run.precision, run.tensorrt, streams)
        if self.backend.classes not in (None, len(self.labels)):
            raise DeployError(
                f"{folder.path}: the network has {self.backend.classes} classes, but inference.yml "
                f"{len(self.labels)} labels: {', '.join(self.labels)}"
            )

    def __call__(self, images: Sequence[AnyImage]) -> tuple[list[Image], list[tuple[str, float]], float]:
        """The upright lines, the (label, score) of each, and the seconds that it took."""
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
                    f"the network's output: expected [{len(indices)}, {len(self.labels)}], got "
                    f"{list(probabilities.shape)}; use the model that inference.yml describes"
                )
            best = probabilities.argmax(axis=-1)
            for index, row, choice in zip(indices, probabilities, best, strict=True):
                results[index] = (self.labels[int(choice)], float(np.float32(row[choice])))

        widths = [line_width(self.resize, *line.shape[:2]) for line in lines]
        self.backend.map(look, batches(widths, self.batch_size, self.backend.streams))
        return results
