"""Exported networks on onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from ocrexp.deploy.backends.base import Backend, Images, Output, library_message
from ocrexp.errors import DeployError

_ERRORS_ONLY = 3


class OnnxBackend(Backend):
    """One session, used by all streams. Each run uses the calling thread and, without streams, a thread pool."""

    name = "onnx"

    def __init__(self, file: Path, gpu: int | None, threads: int, precision: str, tensorrt: bool, streams: int) -> None:
        super().__init__("cpu" if gpu is None else f"gpu:{gpu}", threads, streams)
        if precision != "fp32":
            raise DeployError(
                f"precision={precision}: an .onnx file has a fixed precision; use backend=paddle or precision=fp32"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = max(1, threads // streams)
        options.inter_op_num_threads = 1
        # Sizes change from image to image: a memory plan for each size would be made and kept for nothing.
        options.enable_mem_pattern = False
        # Otherwise the idle pool spins on the cores that the next stage needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0" if streams > 1 else "1")
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=_providers(gpu, tensorrt))
        except Exception as error:  # onnxruntime's errors have no narrower common class
            raise DeployError(f"{file}: onnxruntime cannot load it ({library_message(error)})") from None
        if gpu is not None and self._session.get_providers()[0] == "CPUExecutionProvider":
            raise DeployError(
                f"device=gpu:{gpu}: onnxruntime could not start on this GPU; check the versions of CUDA and cuDNN"
            )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1:
            raise DeployError(f"{file}: expected one input, got {len(inputs)} ({', '.join(i.name for i in inputs)})")
        self._file = file
        self._input = inputs[0].name
        self.batch = _number(inputs[0].shape, 0)
        self.channels = _number(inputs[0].shape, 1)
        self.classes = _number(outputs[0].shape, -1)
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)

    def run_all(self, images: Images) -> list[Output]:
        try:
            outputs: list[Output] = self._session.run(None, {self._input: images})
        except Exception as error:  # as above
            raise DeployError(
                f"{self._file}: onnxruntime cannot run it on an input of {list(images.shape)} "
                f"({library_message(error)})"
            ) from None
        return outputs


def _providers(gpu: int | None, tensorrt: bool) -> list[Any]:
    if gpu is None:
        return ["CPUExecutionProvider"]
    there = onnxruntime.get_available_providers()
    wanted = ["TensorrtExecutionProvider"] if tensorrt else []
    wanted.append("CUDAExecutionProvider")
    for provider in wanted:
        if provider not in there:
            raise DeployError(
                f"device=gpu:{gpu}: the installed onnxruntime has no {provider}; run: pip uninstall onnxruntime && pip "
                "install onnxruntime-gpu"
            )
    return [(provider, {"device_id": gpu}) for provider in wanted] + ["CPUExecutionProvider"]


def _number(shape: Any, axis: int) -> int | None:
    """The size of an axis; None if it is dynamic (a name, None) or if the output has no shape."""
    if not shape or len(shape) <= abs(axis) - (axis < 0):
        return None
    return shape[axis] if isinstance(shape[axis], int) and shape[axis] > 0 else None
