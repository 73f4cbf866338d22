"""`export.int8=static`: the ONNX file of an export in 8-bit integers, in the subfolder `int8`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ocrexp.compress.images import training_batches
from ocrexp.compress.int8 import QuantizedNetwork, session
from ocrexp.export.formats import FILES, ExportError

if TYPE_CHECKING:
    from ocrexp.export.trained import Trained
    from ocrexp.types import Batch

Floats = npt.NDArray[Any]

log = logging.getLogger(__name__)

FOLDER = "int8"
_SENSITIVITY_IMAGES = 4


@dataclass(frozen=True)
class Int8:
    """What was written.

    Args:
        layers: number of layers with weights that can work in integers.
        in_float: names of those that were put back to float, the most sensitive one first.
        images: number of calibration images.
    """

    layers: int
    in_float: tuple[str, ...]
    images: int

    def facts(self) -> dict[str, Any]:
        """For `inference.yml`."""
        return {"layers": self.layers, "in_float": len(self.in_float), "calibration_images": self.images}


def write_int8(trained: Trained, float_file: Path, folder: Path, images: int, max_drop: float) -> Int8:
    """Quantize, and put the most sensitive layers back to float until the metric holds on the calibration images.

    The validation images have no part in it: they judge the result.

    Args:
        trained: the run.
        float_file: its ONNX file.
        folder: where `inference.onnx` is written.
        images: number of training images, which the evaluation prepares.
        max_drop: half of it is what the metric may lose on the calibration images.

    Raises ExportError if no training image can be read.
    """
    import onnx

    parts = trained.parts
    batches = training_batches(parts, images)
    inputs = [image[None] for _, images in batches for image in images]
    if not inputs:
        raise ExportError("export.int8: no training image could be read for the calibration; check the training list")
    network = QuantizedNetwork(float_file, inputs)
    judge = _Calibrated(trained, batches)
    expected = judge.metric(onnx.load(str(float_file)))
    in_float: list[str] = []
    model = network.with_float(in_float)
    got = judge.metric(model)
    if expected - got > max_drop / 2:
        ranked = list(network.sensitivities(inputs[:_SENSITIVITY_IMAGES]))
        while expected - got > max_drop / 2 and 2 * len(in_float) <= len(ranked):
            in_float = ranked[: max(1, 2 * len(in_float))]
            model = network.with_float(in_float)
            got = judge.metric(model)
    log.info(
        "int8: %d of %d layers in integers; on %d calibration images the metric is %.4f, and %.4f in float",
        len(network.layers) - len(in_float), len(network.layers), len(inputs), got, expected,
    )  # fmt: skip
    folder.mkdir(parents=True)
    onnx.checker.check_model(model, full_check=False)
    onnx.save(model, str(folder / FILES["onnx"][0]))
    return Int8(len(network.layers), tuple(in_float), len(inputs))


class _Calibrated:
    """The metric of a network on the calibration images.

    Args:
        trained: the run, for postprocess and metric.
        batches: see `training_batches`.
    """

    def __init__(self, trained: Trained, batches: list[tuple[Batch, Floats]]) -> None:
        self._parts, self._batches = trained.parts, batches
        self._outputs = trained.parts.deployed_of(trained.parts.model).outputs
        self._postprocess = trained.task.deployed_postprocess(
            trained.parts.postprocess, self._outputs[0], trained.charset
        )

    def metric(self, model: Any) -> float:
        """Of an onnx ModelProto."""
        run, metric = session(model.SerializeToString()), self._parts.new_metric()
        for batch, images in self._batches:
            outputs = dict(zip(self._outputs, run(images), strict=True))
            metric.update(self._postprocess(outputs, batch), batch["references"])
        return float(metric.compute()[metric.main])
