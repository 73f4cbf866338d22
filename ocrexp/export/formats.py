"""The files of an exported network: Paddle 3's format, the one before it, and ONNX.

Two writers run in a process of their own: the older format, because paddle selects it by an environment variable at
import, and paddle2onnx, which prints and can end its process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.errors import ConfigError, OcrexpError
from ocrexp.nearest import did_you_mean

if TYPE_CHECKING:
    from ocrexp.export.trained import Trained

FORMATS = ("paddle", "legacy", "onnx")
STEM = "inference"
FILES = {
    "paddle": (f"{STEM}.json", f"{STEM}.pdiparams"),
    "legacy": (f"{STEM}.pdmodel", f"{STEM}.pdiparams", f"{STEM}.pdiparams.info"),
    "onnx": (f"{STEM}.onnx",),
}
# Runs in onnxruntime 1.12 or newer; the first opset with LayerNormalization; GridSample (TPS) is older.
OPSET = 17


class ExportError(OcrexpError):
    """A format could not be written, or the written network differs from the trained model."""


def parse_formats(value: str | Sequence[str]) -> list[str]:
    """Formats in the order in which they are written; `all` selects all. Raises ConfigError for unknown ones."""
    named = [value] if isinstance(value, str) else [str(item) for item in value]
    if "all" in named:
        named = [*named, *FORMATS]
    for name in named:
        if name not in (*FORMATS, "all"):
            hint = did_you_mean(name, FORMATS) or f"; formats: {', '.join(FORMATS)}, all"
            raise ConfigError(f"export.format={name}: unknown format{hint}")
    chosen = [name for name in FORMATS if name in named]
    if not chosen:
        raise ConfigError(f"export.format: expected one or more of {', '.join(FORMATS)}, all, got nothing")
    if "onnx" in chosen:
        for module in ("paddle2onnx", "onnx", "onnxruntime"):
            if importlib.util.find_spec(module) is None:
                raise ConfigError(f"export.format=onnx needs {module}; run: pip install 'ocrexp[export,onnx]'")
    return chosen


def folder_of(folder: Path, name: str, formats: Sequence[str]) -> Path:
    """The folder of a format's files: the older Paddle format gets a subfolder, because it shares a file name."""
    return folder / "legacy" if name == "legacy" and "paddle" in formats else folder


def write_paddle(static: Any, folder: Path) -> None:
    """`inference.json` and `inference.pdiparams` of a traced network."""
    import paddle

    folder.mkdir(parents=True, exist_ok=True)
    paddle.jit.save(static, str(folder / STEM))
    _expect(folder, "paddle")


def write_legacy(trained: Trained, folder: Path) -> None:
    """`inference.pdmodel`, `.pdiparams` and `.pdiparams.info`, as paddle 2 wrote them and still reads them."""
    from omegaconf import OmegaConf

    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "job.json"
    content = {
        "config": OmegaConf.to_yaml(trained.config, resolve=True),
        "weights": str(trained.weights.absolute()),
        "charset": None if trained.charset is None else trained.charset.saved(),
    }
    job.write_text(json.dumps(content), encoding="utf-8")
    try:
        _in_child("ocrexp.export.legacy", [str(job), str(folder)], "legacy", {"FLAGS_enable_pir_api": "0"})
    finally:
        job.unlink()
    _expect(folder, "legacy")


def write_onnx(
    paddle_folder: Path, folder: Path, metadata: Mapping[str, str], axes: Sequence[str | int], opset: int = OPSET
) -> None:
    """`inference.onnx` from the files of `write_paddle`.

    Args:
        paddle_folder: the folder of these files.
        folder: where to write.
        metadata: properties of the model; RapidOCR reads the dictionary from `character`.
        axes: names (or sizes) of the input's axes, written into the file.
        opset: version of ONNX's operators.
    """
    import onnx

    from ocrexp.export.onnx_deform import restore_offset_groups
    from ocrexp.export.onnx_graph import tidy
    from ocrexp.export.onnx_upsample import restore_upsampling

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILES["onnx"][0]
    model_file, weights_file = (str(paddle_folder / name) for name in FILES["paddle"])
    _in_child("ocrexp.export.to_onnx", [model_file, weights_file, str(path), str(opset)], "onnx", {})
    _expect(folder, "onnx")
    model = onnx.load(str(path))
    tidy(model)
    if restore_upsampling(model):
        tidy(model)
    restore_offset_groups(model)
    for axis, name in zip(model.graph.input[0].type.tensor_type.shape.dim, axes, strict=True):
        if isinstance(name, str):
            axis.dim_param = name
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=False)
    onnx.save(model, str(path))


def _in_child(module: str, arguments: list[str], name: str, environment: Mapping[str, str]) -> None:
    """Run a module of this package in a new process. Raises ExportError with the last line that it printed."""
    from ocrexp.environment import untouched

    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**untouched(), **environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    ending = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    raise ExportError(f"the {name} format could not be written ({ending}): {said[-1][:300] if said else 'no message'}")


def _expect(folder: Path, name: str) -> None:
    for file in FILES[name]:
        if not (folder / file).is_file():
            raise ExportError(f"the {name} format could not be written: {folder / file} is missing")
