"""From the files of an export to the backend that runs them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ocrexp.deploy.backends.base import Backend, chosen
from ocrexp.deploy.folder import ModelFolder
from ocrexp.environment import available_cores
from ocrexp.errors import DeployError

BACKENDS = ("auto", "onnx", "paddle")
PRECISIONS = ("fp32", "fp16", "bf16")


def open_backend(
    folder: ModelFolder | Path | str,
    backend: str = "auto",
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
    tensorrt: bool = False,
    streams: int = 1,
    sizes_kept: int = 10,
) -> Backend:
    """Load an exported network.

    Args:
        folder: of the export, or a single .onnx file.
        backend: `onnx` (onnxruntime), `paddle` (paddle.inference), `auto`: onnx where file and library are there.
        device: `cpu`, `gpu` or `gpu:1`.
        threads: of a CPU; None: the cores that this process may use.
        precision: `fp32`; paddle also runs `fp16` (GPU) and `bf16` (a CPU that has it).
        tensorrt: let TensorRT run what it can (GPU).
        streams: how many runs are to go at once on a CPU; each has its part of the threads. At most `threads`; paddle
            runs one at a time, on all of them.
        sizes_kept: of the input: paddle on a CPU prepares its kernels for each anew, and keeps them for so many.

    Raises DeployError: no such backend or device, no model files for it, its library missing, a damaged file.
    """
    if backend not in BACKENDS:
        raise DeployError(f"backend={backend}: choose one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise DeployError(f"precision={precision}: choose one of {', '.join(PRECISIONS)}")
    number = _gpu_number(device)
    if tensorrt and number is None:
        raise DeployError(f"tensorrt=true needs a GPU, device is {device}: set device=gpu:0")
    if threads is not None and threads < 1:
        raise DeployError(f"threads={threads}: give 1 or more")
    threads = threads or available_cores()
    streams = 1 if number is not None else max(1, min(streams, threads))
    if not isinstance(folder, ModelFolder):
        folder = ModelFolder.open(folder)
    backend = chosen(folder, backend)
    if backend == "onnx":
        if folder.onnx is None:
            raise DeployError(f"{folder.path}: backend=onnx needs inference.onnx: export with export.format=onnx")
        _require("onnxruntime", "onnx")
        folder.check(folder.onnx)
        from ocrexp.deploy.backends.onnx import OnnxBackend

        return OnnxBackend(folder.onnx, number, threads, precision, tensorrt, streams)
    if folder.paddle is None:
        raise DeployError(
            f"{folder.path}: backend=paddle needs inference.json or .pdmodel, and inference.pdiparams: export with "
            "export.format=paddle"
        )
    _require("paddle", "cpu" if number is None else "gpu")
    folder.check(*folder.paddle)
    from ocrexp.deploy.backends.paddle import PaddleBackend

    return PaddleBackend(*folder.paddle, number, threads, precision, tensorrt, sizes_kept)


def _require(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise DeployError(f"{module} is not installed: pip install 'ocrexp[{extra}]'")


def _gpu_number(device: str) -> int | None:
    if device == "cpu":
        return None
    kind, _, number = device.partition(":")
    if kind != "gpu" or (number and not number.isdigit()):
        raise DeployError(f"device={device}: use cpu, gpu or gpu:NUMBER")
    return int(number or 0)
