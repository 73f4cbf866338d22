"""TensorBoard: event files in the run folder (`tensorboard --logdir outputs`), without TensorFlow and PyTorch."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np

from ocrexp.loggers.base import BaseLogger, RgbImage, RunInfo
from ocrexp.loggers.hyperparameters import Value, hyperparameters

log = logging.getLogger(__name__)

_FLUSH_SECONDS = 10


class TensorBoardLogger(BaseLogger):
    """Writes event files to `run_dir/folder`: scalars, pictures, hyperparameters, and how the run ended.

    The final state is the text `state`, and the status of the run among the hyperparameters. A resumed run writes a
    further file, which withdraws the values after the step from which it resumes. Without the package it warns once,
    naming the extra, and does nothing.
    """

    def __init__(self, folder: str = "tensorboard") -> None:
        self.folder = folder
        self._writer: Any = None
        self._step = 0

    def start(self, run: RunInfo) -> None:
        try:
            from tensorboard.compat.proto import event_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            log.warning("tensorboard is not installed, so it logs nothing; run: pip install 'ocrexp[tensorboard]'")
            return
        self._writer = EventFileWriter(str(run.run_dir / self.folder), flush_secs=_FLUSH_SECONDS)
        self._step = run.resume_step or 0
        # The second start in a folder withdraws the values from its step on.
        begun = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        first = 0 if run.resume_step is None else run.resume_step + 1
        self._write(event_pb2.Event(session_log=begun), first)
        if not run.resumed:
            self._write_values([_session_start(hyperparameters(run.config))], 0)

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        if self._writer is None:
            return
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._write_values(
            [Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()], step
        )  # fmt: skip

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:  # noqa: ARG002 (TensorBoard shows no captions)
        if self._writer is None:
            return
        import cv2
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = []
        for index, image in enumerate(images):
            encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
            height, width = image.shape[:2]
            picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=encoded)
            values.append(Summary.Value(tag=f"{name}/{index}", image=picture))
        self._write_values(values, step)

    def log_summary(self, values: dict[str, float]) -> None:
        self.log_metrics(values, self._step)

    def finish(self, state: str) -> None:
        if self._writer is None:
            return
        ended = [_text("state", state)]
        if state != "interrupted":  # the run is resumed, and TensorBoard keeps the first status
            ended.append(_session_end(state != "failed"))
        self._write_values(ended, self._step)
        self._writer.close()
        self._writer = None

    def _write_values(self, values: list[Any], step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._step = max(self._step, step)
        self._write(Event(summary=Summary(value=values)), step)

    def _write(self, event: Any, step: int) -> None:
        event.step, event.wall_time = step, time.time()
        self._writer.add_event(event)


def _session_start(values: dict[str, Value]) -> Any:
    """What TensorBoard's table of hyperparameters reads of a run: their values."""
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    info = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
    for name, value in values.items():
        entry = info.hparams[name]
        if isinstance(value, bool):
            entry.bool_value = value
        elif isinstance(value, str):
            entry.string_value = value
        else:
            entry.number_value = value
    data = plugin_data_pb2.HParamsPluginData(session_start_info=info)
    return _hidden(metadata.SESSION_START_INFO_TAG, metadata.create_summary_metadata(data))


def _session_end(done: bool) -> Any:
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_SUCCESS if done else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
    return _hidden(metadata.SESSION_END_INFO_TAG, metadata.create_summary_metadata(data))


def _hidden(tag: str, about: Any) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata

    return Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)


def _text(tag: str, text: str) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.text import metadata
    from tensorboard.util import tensor_util

    about = metadata.create_summary_metadata(display_name="", description="")
    return Summary.Value(tag=tag, metadata=about, tensor=tensor_util.make_tensor_proto([text], dtype=np.object_))
