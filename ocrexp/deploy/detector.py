"""Finds the text regions of an image with an exported detector."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.transforms.resize import DetResize
from ocrexp.deploy.backends.opening import open_backend
from ocrexp.deploy.description import Description
from ocrexp.deploy.folder import ModelFolder
from ocrexp.deploy.images import to_bgr
from ocrexp.deploy.normalize import Normalizer
from ocrexp.deploy.options import BackendOptions, DetectorOptions, split, takes_options
from ocrexp.deploy.paddle_args import takes_paddleocr_arguments
from ocrexp.deploy.tiles import Tiler, Tiling
from ocrexp.errors import ConfigError, DeployError
from ocrexp.postprocess.db import DBPostProcess
from ocrexp.postprocess.detectors import POSTPROCESSES, DetectorPostprocess
from ocrexp.results import DetPrediction
from ocrexp.types import Image, Polygon, Sample

if TYPE_CHECKING:
    from ocrexp.deploy.images import AnyImage

log = logging.getLogger(__name__)

_NO_CHANCE = np.random.default_rng(0)  # transforms take a generator; a resize does not use it

Probabilities = npt.NDArray[np.float32]


_OTHERS: dict[str, Callable[..., DetectorPostprocess]] = dict(POSTPROCESSES)


def register_postprocess(name: str, make: Callable[..., DetectorPostprocess]) -> None:
    """Register your own postprocess with the runtime, under the name of its class in the run.

    A network with several outputs, or whose output is not DB's map, needs this. A description contains class names,
    and is never used to import them.
    """
    _OTHERS[name] = make


class TextDetector:
    """An exported detector. Options that are None have the value of the export's inference.yml.

    Args:
        model_dir: the exported folder, or an .onnx file. PaddleOCR's calls work too: `det_model_dir=DIR`, a dict
            or a namespace of its arguments.
        backend: `onnx`, `paddle`, `auto`.
        options: see DetectorOptions and BackendOptions.

    May be called from several threads. If a page is shrunk by more than half, this module's logger warns. Raises
    DeployError: see `open_backend`, and for contradictory values.
    """

    @takes_paddleocr_arguments(det_model_dir="model_dir")
    @takes_options(DetectorOptions, BackendOptions)
    def __init__(
        self,
        model_dir: str | Path,
        backend: str = "auto",
        **options: Any,
    ) -> None:
        own, run = split("TextDetector", options, DetectorOptions, BackendOptions)
        self.max_pixels = run.max_pixels
        folder = ModelFolder.open(model_dir)
        self.description: Description = folder.describe("det")
        given = {
            "thresh": own.det_db_thresh,
            "box_thresh": own.det_db_box_thresh,
            "unclip_ratio": own.det_db_unclip_ratio,
            "score_mode": own.det_db_score_mode,
            "box_type": own.det_box_type,
            "use_dilation": own.use_dilation,
        }
        thresholds = {key: value for key, value in self.description.postprocess.items() if key != "name"}
        thresholds.update({key: value for key, value in given.items() if value is not None})
        try:
            self.resize = DetResize(**_resize_arguments(self.description, own.det_limit_side_len, own.det_limit_type))
            self._other = self._registered(thresholds)
            self.postprocess = DBPostProcess(**({} if self._other else thresholds))  # of one map
        except (ConfigError, ValueError, TypeError) as error:
            raise DeployError(f"{folder.path}: {error}") from None
        self.normalize = Normalizer(
            own.det_mean or self.description.mean, own.det_std or self.description.std, self.description.channels
        )
        self.backend = open_backend(folder, backend, run.device, run.threads, run.precision, run.tensorrt)
        if own.tile and self._other:
            name = type(self._other).__name__
            raise DeployError(
                f"{folder.path}: tile=true needs a detector with one output map of DB, not {name}; set tile=false"
            )
        self._tiler = Tiler(self.resize, self.backend.batch) if own.tile else None

    def _registered(self, arguments: dict[str, Any]) -> DetectorPostprocess | None:
        """The postprocess of a detector that has other outputs than DB's map; None for DB."""
        name = str(self.description.postprocess.get("name"))
        outputs = self._outputs
        if len(outputs) < 2 and name not in _OTHERS:
            return None
        if name not in _OTHERS:
            raise ConfigError(
                f"postprocess.name: '{name}' for a network with the outputs {', '.join(outputs)} is "
                "not registered; import the module that calls register_postprocess for it"
            )
        return _OTHERS[name](**arguments)

    @property
    def _outputs(self) -> tuple[str, ...]:
        return self.description.outputs or ("maps",)

    def __call__(self, image: AnyImage) -> tuple[npt.NDArray[np.float32] | list[Polygon], float]:
        """Regions, float32 [n, 4, 2] or with `poly` a list of (k, 2), and the seconds that it took."""
        start = time.perf_counter()
        polygons = self.detect(image).polygons
        seconds = time.perf_counter() - start
        if (self._other or self.postprocess).box_type == "poly":
            return polygons, seconds
        return np.array(polygons, dtype=np.float32).reshape(-1, 4, 2), seconds

    def detect(self, image: AnyImage) -> DetPrediction:
        """Regions in the image's pixels and their scores. Raises DeployError if `image` is not an image."""
        page = to_bgr(image, max_pixels=self.max_pixels)
        self.warn(page, image)
        return self.find(page)

    def find(self, page: Image) -> DetPrediction:
        """Regions of a page, uint8 [H, W, 3] BGR; see `shrunk` for what this does not report."""
        tiling = self._tiler.tiling(*page.shape[:2]) if self._tiler else None
        if tiling is None:
            prepared, shape = self.prepare(page)
            if self._other is not None:
                values = self.backend.run_all(prepared)
                if len(values) != len(self._outputs):
                    raise DeployError(f"the network's outputs: expected {self._outputs}, got {len(values)} outputs")
                outputs = dict(zip(self._outputs, values, strict=True))
                return self._other(outputs, {"shape": shape[None]})[0]
            return self.regions(self.infer(prepared), shape)
        return self._find_in_tiles(page, tiling)

    @property
    def box_thresh(self) -> float | None:
        """Regions with a lower score are dropped; None for a detector with a registered postprocess."""
        return None if self._other else self.postprocess.box_thresh

    def shrunk(self, page: Image, tile: str = "tile=True") -> str:
        """A warning with advice (`tile`) if a page is shrunk by more than half; otherwise ""."""
        shrunk = None if self._tiler else self.resize.shrunk(*page.shape[:2])
        if shrunk is None:
            return ""
        advice = [] if self._other else [f"set {tile}"]  # tiles need DB's map
        if shrunk.key == "limit_side_len":
            advice.append("raise det_limit_side_len")
        return "; ".join([shrunk.describe(), *([", or ".join(advice)] if advice else [])])

    def warn(self, page: Image, image: AnyImage) -> None:
        """Log a warning if a page is shrunk by more than half; `image` is its source."""
        if note := self.shrunk(page):
            log.warning("%s: %s", fspath(image) if isinstance(image, str | PathLike) else "the image", note)

    def prepare(self, image: Image) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """The network's input [1, C, H, W] (this thread's next call may reuse its memory) and what maps regions back:
        source height, source width, ratio_h, ratio_w."""
        height, width = image.shape[:2]
        if height + width >= 64 and self.resize.size(height, width) == (height, width):
            resized, shape = image, np.array([height, width, 1.0, 1.0])
        else:
            sample: Sample = self.resize({"image": image}, _NO_CHANCE)
            resized, shape = sample["image"], sample["shape"]
        batch = self.normalize.batch(1, *resized.shape[:2])
        self.normalize(resized, batch[0])
        return batch, shape

    def infer(self, prepared: npt.NDArray[np.float32]) -> Probabilities:
        """Probability maps [N, 1, H, W] of inputs [N, C, H, W]. Raises DeployError if the output is not a map."""
        maps = self.backend.run(prepared)
        if maps.ndim != 4 or maps.shape[2:] != prepared.shape[2:]:
            raise DeployError(
                f"the network's output: expected a map of the size of its input {list(prepared.shape)}, got "
                f"{list(maps.shape)}; give the folder of a DB detector"
            )
        return maps

    def _find_in_tiles(self, page: Image, tiling: Tiling) -> DetPrediction:
        def planes(images: list[Image]) -> npt.NDArray[np.float32]:
            batch = self.normalize.batch(len(images), *tiling.tile)
            for image, out in zip(images, batch, strict=True):
                self.normalize(image, out)
            return batch

        assert self._tiler is not None
        whole = self._tiler.stitched(page, tiling, planes, self.infer)
        return self.postprocess.of_pages(len(tiling)).regions(whole, tiling.shape)

    def regions(self, maps: Probabilities, shape: npt.NDArray[np.float64]) -> DetPrediction:
        """Regions of maps [1, 1, H, W] in the source image that `shape` (see `prepare`) describes."""
        return self.postprocess.regions(maps[0, 0], shape)


def _resize_arguments(description: Description, limit: int | None, kind: str | None) -> dict[str, Any]:
    arguments = {key: value for key, value in description.resize.items() if key != "kind"}
    if limit is None and kind is None:
        return arguments
    for key in ("image_shape", "keep_ratio", "resize_long"):
        arguments.pop(key, None)
    if limit is not None:
        arguments["limit_side_len"] = limit
    if kind is not None:
        arguments["limit_type"] = kind
    return arguments
