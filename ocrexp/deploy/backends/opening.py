"""Opens the files of an export with the backend that runs them."""

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
        folder: the folder of the export, or a single .onnx file.
        backend: `onnx` (onnxruntime), `paddle` (paddle.inference), `auto`: onnx if file and library exist.
        device: `cpu`, `gpu` or `gpu:1`.
        threads: CPU threads; None: the number of cores that this process may use.
        precision: `fp32`; paddle also runs `fp16` (GPU) and `bf16` (CPUs that support it).
        tensorrt: run the supported part of the network with TensorRT (GPU).
        streams: number of concurrent runs on a CPU; each uses its share of the threads. At most `threads`; paddle has
            one run at a time, which uses all threads.
        sizes_kept: number of input sizes for which paddle keeps the kernels that it has prepared on a CPU.

    Raises DeployError if the backend or device is unknown or missing, or if the model files are missing or damaged.
    """
    if backend not in BACKENDS:
        raise DeployError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend}")
    if precision not in PRECISIONS:
        raise DeployError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision}")
    number = _gpu_number(device)
    if tensorrt and number is None:
        raise DeployError(f"tensorrt=true: needs a GPU, but device is {device}; set device=gpu:0")
    if threads is not None and threads < 1:
        raise DeployError(f"threads: expected 1 or more, got {threads}")
    threads = threads or available_cores()
    streams = 1 if number is not None else max(1, min(streams, threads))
    if not isinstance(folder, ModelFolder):
        folder = ModelFolder.open(folder)
    backend = chosen(folder, backend)
    if backend == "onnx":
        if folder.onnx is None:
            raise DeployError(f"{folder.path}: backend=onnx needs inference.onnx; export with export.format=onnx")
        _require("onnxruntime", "onnx")
        folder.check(folder.onnx)
        from ocrexp.deploy.backends.onnx import OnnxBackend

        return OnnxBackend(folder.onnx, number, threads, precision, tensorrt, streams)
    if folder.paddle is None:
        raise DeployError(
            f"{folder.path}: backend=paddle needs inference.json or .pdmodel, and inference.pdiparams; export with "
            "export.format=paddle"
        )
    _require("paddle", "cpu" if number is None else "gpu")
    folder.check(*folder.paddle)
    from ocrexp.deploy.backends.paddle import PaddleBackend

    return PaddleBackend(*folder.paddle, number, threads, precision, tensorrt, sizes_kept)


def _require(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise DeployError(f"{module} is not installed; run: pip install 'ocrexp[{extra}]'")


def _gpu_number(device: str) -> int | None:
    if device == "cpu":
        return None
    kind, _, number = device.partition(":")
    if kind != "gpu" or (number and not number.isdigit()):
        raise DeployError(f"device: expected cpu, gpu or gpu:NUMBER, got {device}")
    return int(number or 0)
