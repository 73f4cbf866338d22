"""What runs an exported network, whichever library does it."""

from __future__ import annotations

import importlib.util
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ocrexp.deploy.folder import ModelFolder
from ocrexp.environment import available_cores
from ocrexp.errors import DeployError

Images = npt.NDArray[np.float32]  # (count, channels, height, width), normalised
Output = npt.NDArray[Any]
Precision = Literal["fp32", "fp16", "bf16"]

BACKENDS = ("auto", "onnx", "paddle")
PRECISIONS = ("fp32", "fp16", "bf16")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Backend(ABC):
    """A loaded network.

    `run` may be called from several threads; `streams` of them at once use the machine best (each then has its share
    of `threads`). `classes` is the size of the output's last axis, `batch` and `channels` those of the input's first
    and second, None where the file leaves them open. `metadata` is what the file says beside the network.
    """

    name: str

    def __init__(self, device: str, threads: int, streams: int) -> None:
        self.device = device
        self.threads = threads
        self.streams = streams
        self.classes: int | None = None
        self.batch: int | None = None
        self.channels: int | None = None
        self.metadata: dict[str, str] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()

    @abstractmethod
    def run_all(self, images: Images) -> list[Output]:
        """All outputs for images [N, C, H, W]. Raises DeployError with the library's reason in one line."""

    def run(self, images: Images) -> Output:
        """The first output."""
        return self.run_all(images)[0]

    def map(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """The function's results in order, `streams` calls at a time."""
        items = list(items)
        if self.streams == 1 or len(items) < 2:
            return [function(item) for item in items]
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.streams, thread_name_prefix="ocrexp-deploy")
        return list(self._pool.map(function, items))


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


def one_line(error: BaseException) -> str:
    """A library's message without its line ends and stack, cut to a readable length."""
    text = str(error)
    summary = text.partition("Error Message Summary:")[2]  # paddle's, below its C++ stack
    words = " ".join(line for line in (summary or text).split("\n") if line.strip(" -")).split()
    shown = " ".join(words)
    return shown if len(shown) <= 300 else shown[:297] + "..."


def chosen(folder: ModelFolder, backend: str) -> str:
    """`onnx` or `paddle`: what `auto` stands for with these files and packages."""
    if backend != "auto":
        return backend
    if folder.onnx is not None and importlib.util.find_spec("onnxruntime") is not None:
        return "onnx"
    return "paddle" if folder.paddle is not None else "onnx"


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
