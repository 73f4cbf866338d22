"""What an export is asked to do about compression: the keys `export.int8`, `calibration`, `baseline`, `max_drop`."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocrexp.deploy.folder import ModelFolder
from ocrexp.errors import ConfigError, DeployError
from ocrexp.nearest import did_you_mean

_KINDS = ("static", "paddle")


@dataclass(frozen=True)
class Compression:
    """Checked values.

    Args:
        int8: whether the ONNX network is also written in 8-bit integers.
        calibration: number of training images that show the ranges of values.
        baseline: an earlier export of the same task, by which this one is judged; None: int8 is judged by the float
            network.
        max_drop: largest loss of the metric.
        judged: number of validation images for the metric; None: all.
    """

    int8: bool
    calibration: int
    baseline: ModelFolder | None
    max_drop: float
    judged: int | None

    @property
    def judges(self) -> bool:
        """Whether networks are judged at all."""
        return self.int8 or self.baseline is not None


def parse_compression(export: Any, formats: Sequence[str], task: str) -> Compression:
    """The values of the node `export`. Raises ConfigError with the key for a value that cannot be used."""
    for key in ("calibration", "judged"):
        value = export[key]
        if (value is not None or key == "calibration") and (not is_number(value, int) or value < 1):
            others = "" if key == "calibration" else ", or null for all"
            raise ConfigError(f"export.{key}: expected 1 or more{others}, got {value}")
    if not is_number(export.max_drop, int | float) or not 0 <= export.max_drop <= 1:
        raise ConfigError(f"export.max_drop: expected a number from 0 to 1, got {export.max_drop}")
    return Compression(
        _int8(export.int8, formats),
        export.calibration,
        None if export.baseline is None else _baseline(Path(str(export.baseline)), task),
        float(export.max_drop),
        export.judged,
    )


def without_effect(typed: Sequence[str], asked: Compression) -> list[str]:
    """A line for each key that was typed and that nothing uses."""
    needs = {"export.calibration": (asked.int8, "export.int8=static")}
    needs |= dict.fromkeys(
        ("export.max_drop", "export.judged"), (asked.judges, "export.int8=static or export.baseline=FOLDER")
    )
    return [f"{key}: has no effect without {what}" for key, (used, what) in needs.items() if key in typed and not used]


def is_number(value: Any, kind: Any) -> bool:
    """Whether a value is a number of this kind; true and false are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _int8(value: Any, formats: Sequence[str]) -> bool:
    if value is None:
        return False
    if value not in _KINDS:
        raise ConfigError(f"export.int8: expected static or null, got {value!r}{did_you_mean(str(value), _KINDS)}")
    if value == "paddle":
        raise ConfigError(
            "export.int8=paddle: paddle 3.3 cannot write its quantized networks for images of any size, and runs those "
            "of its older format in float, with float weights; use export.int8=static"
        )
    if "onnx" not in formats:
        raise ConfigError("export.int8=static: is made from the ONNX file; add onnx to export.format")
    if importlib.util.find_spec("onnxruntime.quantization") is None:
        raise ConfigError(
            "export.int8=static: needs a newer onnxruntime; run: pip install 'ocrexp[export,onnx]' --upgrade"
        )
    return True


def _baseline(path: Path, task: str) -> ModelFolder:
    try:
        folder = ModelFolder.open(path)
        folder.describe(task)  # type: ignore[arg-type]
    except DeployError as error:
        raise ConfigError(f"export.baseline: {error}") from None
    if folder.description is None or folder.path.is_file():
        raise ConfigError(
            f"export.baseline={path}: is not the folder of an export; name the folder that `ocrexp export` has written"
        )
    return folder
