"""The postprocesses of detectors that the runtime knows beside DB's, by the names of their classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy.typing as npt

from ocrexp.postprocess.ct import CTPostProcess
from ocrexp.postprocess.drrg import DRRGPostprocess
from ocrexp.postprocess.east import EASTPostProcess
from ocrexp.postprocess.fce import FCEPostProcess
from ocrexp.postprocess.pse import PSEPostProcess
from ocrexp.postprocess.sast import SASTPostProcess
from ocrexp.results import DetPrediction
from ocrexp.types import Batch


class DetectorPostprocess(Protocol):
    """From the outputs of a network to regions; gets all outputs by name, and `shape` as in evaluation.

    A network with one output gives it as `maps`.
    """

    box_type: str

    def __call__(self, outputs: dict[str, npt.NDArray[Any]], batch: Batch) -> list[DetPrediction]: ...


POSTPROCESSES: dict[str, Callable[..., DetectorPostprocess]] = {
    "CTPostProcess": CTPostProcess,
    "DRRGPostprocess": DRRGPostprocess,
    "EASTPostProcess": EASTPostProcess,
    "FCEPostProcess": FCEPostProcess,
    "PSEPostProcess": PSEPostProcess,
    "SASTPostProcess": SASTPostProcess,
}
