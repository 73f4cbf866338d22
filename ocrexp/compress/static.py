"""`export.int8=static`: the ONNX file of an export in 8-bit integers, in the subfolder `int8`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.compress.images import prepared, training_batches
from ocrexp.compress.int8 import QuantizedNetwork, session
from ocrexp.export.formats import FILES, ExportError
from ocrexp.export.onnx_graph import shorten

if TYPE_CHECKING:
    from ocrexp.export.samples import Samples
    from ocrexp.export.trained import Trained

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


def write_int8(
    trained: Trained, float_file: Path, folder: Path, images: int, samples: Samples, max_drop: float
) -> Int8:
    """Quantize, and put as many of the most sensitive layers back to float as the metric needs: none, 1, 2, 4 … all.

    Args:
        trained: the run.
        float_file: its ONNX file.
        folder: where `inference.onnx` is written.
        images: number of training images, as the evaluation prepares them, that show the ranges of values.
        samples: images with ground truth, on which the metric is measured.
        max_drop: what the metric may lose.

    Raises ExportError if no training image can be read.
    """
    import onnx

    inputs = [image[None] for _, batch in training_batches(trained.parts, images) for image in batch]
    if not inputs:
        raise ExportError("export.int8: no training image could be read for the calibration; check the training list")
    network = QuantizedNetwork(float_file, inputs)
    expected = _metric(trained, samples, onnx.load(str(float_file)))
    in_float: list[str] = []
    ranked: list[str] = []
    while True:
        model = network.with_float(in_float)
        got = _metric(trained, samples, model)
        log.info(
            "int8: %d of %d layers in integers: metric %.4f, %.4f in float",
            len(network.layers) - len(in_float), len(network.layers), got, expected,
        )  # fmt: skip
        if expected - got <= max_drop or len(in_float) == len(network.layers):
            break
        ranked = ranked or list(network.sensitivities(inputs[:_SENSITIVITY_IMAGES]))
        in_float = ranked[: max(1, 2 * len(in_float))]
    folder.mkdir(parents=True)
    shorten(model)
    onnx.checker.check_model(model, full_check=False)
    onnx.save(model, str(folder / FILES["onnx"][0]))
    return Int8(len(network.layers), tuple(in_float), len(inputs))


def _metric(trained: Trained, samples: Samples, model: Any) -> float:
    """The main metric of an onnx ModelProto."""
    parts = trained.parts
    names = parts.deployed_of(parts.model).outputs
    postprocess = trained.task.deployed_postprocess(parts.postprocess, names[0], trained.charset)
    run, metric = session(model.SerializeToString()), parts.new_metric()
    for batch in samples.batches(parts):
        outputs = dict(zip(names, run(prepared(parts, batch)), strict=True))
        metric.update(postprocess(outputs, batch), batch["references"])
    return float(metric.compute()[metric.main])
