"""The interface of the backends: one loaded network, independent of the library that runs it."""

from __future__ import annotations

import importlib.util
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ocrexp.deploy.folder import ModelFolder

Images = npt.NDArray[np.float32]  # (count, channels, height, width), normalized
Output = npt.NDArray[Any]
Precision = Literal["fp32", "fp16", "bf16"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Backend(ABC):
    """A loaded network.

    `run` may be called from several threads. `streams` is the number of concurrent calls that uses the machine best;
    each call then gets its share of `threads`. `classes` is the size of the output's last axis; `batch` and `channels`
    are the sizes of the input's first and second axis, None if the file does not fix them. `metadata` contains the
    file's key-value properties.
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
        """Apply `function` to all items, `streams` calls at a time; returns the results in order."""
        items = list(items)
        if self.streams == 1 or len(items) < 2:
            return [function(item) for item in items]
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.streams, thread_name_prefix="ocrexp-deploy")
        return list(self._pool.map(function, items))


def library_message(error: BaseException) -> str:
    """A library's message on one line, without its stack trace, shortened to a readable length."""
    text = str(error)
    summary = text.partition("Error Message Summary:")[2]  # paddle's, below its C++ stack
    words = " ".join(line for line in (summary or text).split("\n") if line.strip(" -")).split()
    shown = " ".join(words)
    return shown if len(shown) <= 300 else shown[:297] + "..."


def chosen(folder: ModelFolder, backend: str) -> str:
    """The backend that `auto` selects for these files and installed packages: `onnx` or `paddle`."""
    if backend != "auto":
        return backend
    if folder.onnx is not None and importlib.util.find_spec("onnxruntime") is not None:
        return "onnx"
    return "paddle" if folder.paddle is not None else "onnx"
