"""Reads line images with an exported recognizer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ocrexp.data.transforms.rec_resize import RecResize, SARResize
from ocrexp.deploy.backends.opening import open_backend
from ocrexp.deploy.characters import decoder_of
from ocrexp.deploy.description import Description
from ocrexp.deploy.folder import ModelFolder
from ocrexp.deploy.images import to_bgr
from ocrexp.deploy.normalize import Normalizer
from ocrexp.deploy.options import BackendOptions, RecognizerOptions, split, takes_options
from ocrexp.deploy.paddle_args import takes_paddleocr_arguments
from ocrexp.environment import available_cores
from ocrexp.errors import ConfigError, DeployError
from ocrexp.results import RecPrediction
from ocrexp.types import Image, Sample

if TYPE_CHECKING:
    from ocrexp.deploy.images import AnyImage

BATCH = 6  # lines, at most
MOST_STREAMS = 8
WIDTHS_KEPT = 400  # of lines: small ones, unlike pages
_NO_CHANCE = np.random.default_rng(0)  # transforms take a generator; a resize does not use it


class TextRecognizer:
    """An exported recognizer. Options that are None have the value of the export's inference.yml.

    Each line is resized by the model's own rule, independent of the other lines of the call; lines of equal width share
    a batch. On a CPU, batches run concurrently on one thread each, which is faster than one after the other on all
    threads.

    Args:
        model_dir: the exported folder, or an .onnx file. PaddleOCR's calls work too: `rec_model_dir=DIR`, a dict
            or a namespace of its arguments.
        backend: `onnx`, `paddle`, `auto`.
        options: see RecognizerOptions and BackendOptions.

    May be called from several threads. Raises DeployError: see `open_backend`, and for characters that do not fit the
    network.
    """

    @takes_paddleocr_arguments(rec_model_dir="model_dir")
    @takes_options(RecognizerOptions, BackendOptions)
    def __init__(
        self,
        model_dir: str | Path,
        backend: str = "auto",
        **options: Any,
    ) -> None:
        own, run = split("TextRecognizer", options, RecognizerOptions, BackendOptions)
        if own.rec_batch_num is not None and own.rec_batch_num < 1:
            raise DeployError(f"rec_batch_num: expected 1 or more, got {own.rec_batch_num}")
        self.max_pixels = run.max_pixels
        folder = ModelFolder.open(model_dir)
        self.description: Description = folder.describe("rec")
        self.resize = line_resize(self.description, _line_shape(own.rec_image_shape))
        self.normalize = Normalizer(
            own.rec_mean or self.description.mean, own.rec_std or self.description.std, self.description.channels
        )
        self.batch_size = own.rec_batch_num or BATCH
        streams = min(run.threads or available_cores(), MOST_STREAMS)
        self.backend = open_backend(
            folder, backend, run.device, run.threads, run.precision, run.tensorrt, streams, WIDTHS_KEPT
        )
        self._decoder = decoder_of(folder, self.description, self.backend, own.rec_char_dict_path, own.use_space_char)

    def __call__(self, images: Sequence[AnyImage]) -> tuple[list[tuple[str, float]], float]:
        """(text, score) of each line, and the seconds that it took. An empty text has score 0."""
        start = time.perf_counter()
        results = [(read.text, read.score) for read in self.recognize(images)]
        return results, time.perf_counter() - start

    def recognize(self, images: Sequence[AnyImage]) -> list[RecPrediction]:
        """Texts with the scores of their characters. Raises DeployError if an item is not an image."""
        lines = [
            to_bgr(image, f"image {number} of the call", self.max_pixels)
            for number, image in enumerate(as_list(images))
        ]
        widths = [line_width(self.resize, *line.shape[:2]) for line in lines]
        results: list[RecPrediction] = [RecPrediction("", 0.0)] * len(lines)

        def read(indices: list[int]) -> None:
            batch = prepare_lines([lines[index] for index in indices], self.resize, self.normalize)
            for index, result in zip(indices, self._decoder(self.backend.run_all(batch)), strict=True):
                results[index] = result

        self.backend.map(read, batches(widths, self.batch_size, self.backend.streams))
        return results


def as_list(images: Any) -> list[Any]:
    """The images of a call; a single one counts as a list of one."""
    single = isinstance(images, (str, Path, bytes, bytearray, memoryview, np.ndarray)) or hasattr(images, "getexif")
    return [images] if single else list(images)


def batches(widths: Sequence[int], size: int, streams: int) -> list[list[int]]:
    """Batches of indices of lines of equal width, up to `size` each, at least one per stream; the widest first."""
    groups: dict[int, list[int]] = {}
    for index, width in enumerate(widths):
        groups.setdefault(width, []).append(index)
    found = []
    for _, group in sorted(groups.items(), reverse=True):
        step = min(size, -(-len(group) // streams))
        found += [group[start : start + step] for start in range(0, len(group), step)]
    return found


def line_resize(description: Description, image_shape: Sequence[int] | None = None) -> RecResize | SARResize:
    """The resize of the description; lines of any size are read, however small."""
    kinds: dict[str, Callable[..., RecResize | SARResize]] = {"RecResize": RecResize, "SARResize": SARResize}
    arguments = {key: value for key, value in description.resize.items() if key != "kind"}
    arguments["min_side"] = 1
    if image_shape is not None:
        arguments["image_shape"] = list(image_shape)
    try:
        return kinds[description.resize["kind"]](**arguments)
    except (ConfigError, ValueError, TypeError, KeyError) as error:
        raise DeployError(
            f"the model's resize {description.resize} is invalid ({error}); export the model again"
        ) from None


def line_width(resize: RecResize | SARResize, height: int, width: int) -> int:
    """Width of the network's input for a line of this size."""
    shape_height, shape_width = resize.image_shape
    if isinstance(resize, SARResize) or not resize.widen:
        return shape_width
    wanted = int(shape_height * (width / height))
    if wanted <= shape_width:
        return shape_width
    return min(math.ceil(wanted / resize.width_step) * resize.width_step, resize.max_width)


def prepare_lines(lines: Sequence[Image], resize: RecResize | SARResize, normalize: Normalizer) -> Any:
    """The network's input [N, C, H, W] for lines that get the same width."""
    batch = None
    for position, line in enumerate(lines):
        sample: Sample = resize({"image": line}, _NO_CHANCE)
        image = sample["image"]
        if batch is None:
            batch = normalize.batch(len(lines), *image.shape[:2])
        normalize(image[:, : sample["valid_width"]], batch[position])
    return batch


def _line_shape(shape: str | Sequence[int] | None) -> tuple[int, int] | None:
    if shape is None:
        return None
    try:
        values = [int(value) for value in (shape.split(",") if isinstance(shape, str) else shape)]
        height, width = values[-2:]
    except (ValueError, TypeError):
        raise DeployError(
            f"rec_image_shape: expected channels, height and width such as '3, 48, 320', got {shape}"
        ) from None
    return height, width
