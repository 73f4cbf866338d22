"""VisualDL: curves and pictures in PaddlePaddle's own viewer (`visualdl --logdir outputs --port 8040`)."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from ocrexp.loggers.base import BaseLogger, RgbImage, RunInfo
from ocrexp.loggers.hyperparameters import Value, hyperparameters

log = logging.getLogger(__name__)


class VisualDLLogger(BaseLogger):
    """Writes `run_dir/folder`: scalars, pictures, hyperparameters, and the final state as the text `state`.

    VisualDL shows one file of each folder, the latest. A resumed run therefore begins its file with the records of the
    earlier one, up to the step from which it resumes. Without the package it warns once, naming the extra, and does
    nothing.
    """

    def __init__(self, folder: str = "visualdl") -> None:
        self.folder = folder
        self._writer: Any = None
        self._step = 0
        self._config: dict[str, Any] | None = None  # until the hyperparameters are written

    def start(self, run: RunInfo) -> None:
        try:
            from visualdl import LogWriter
        except ImportError:
            log.warning("visualdl is not installed, so it logs nothing; run: pip install 'ocrexp[visualdl]'")
            return
        folder = run.run_dir / self.folder
        earlier = max(folder.glob("vdlrecords.*.log"), default=None)
        name = _file_name(earlier)
        self._writer = LogWriter(logdir=str(folder), display_name=run.name, file_name=name)
        self._config = run.config
        if run.resumed and earlier is not None:
            self._copy(earlier, run.resume_step)

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        if self._writer is None:
            return
        measured = [name for name in values if name.startswith("val/")]
        if self._config is not None and measured:  # VisualDL wants the names of the metrics with them
            flat = hyperparameters(self._config)
            self._writer.add_hparams(
                # Its table takes a dot in a name for a level, and shows nothing.
                hparams_dict={name.replace(".", "/"): _plain(value) for name, value in flat.items()},
                metrics_list=measured,
            )
            self._config = None
        self._step = max(self._step, step)
        for name, value in values.items():
            self._writer.add_scalar(tag=name, value=float(value), step=step)

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:  # noqa: ARG002 (VisualDL shows no captions)
        if self._writer is not None:
            for index, image in enumerate(images):
                self._writer.add_image(tag=f"{name}/{index}", img=image, step=step)

    def log_summary(self, values: dict[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(tag=name, value=float(value), step=self._step)

    def finish(self, state: str) -> None:
        if self._writer is not None:
            self._writer.add_text(tag="state", text_string=state, step=self._step)
            self._writer.close()
            self._writer = None

    def _copy(self, earlier: Path, resume_step: int | None) -> None:
        """Write the records of the earlier file again, without those of steps that are made once more."""
        from google.protobuf.message import DecodeError
        from visualdl.proto.record_pb2 import Record
        from visualdl.reader.record_reader import RecordReader

        for content in RecordReader(str(earlier)).get_all():
            record = Record()
            try:
                record.ParseFromString(content)
                value = record.values[0]
            except (DecodeError, IndexError):  # the last one of a killed run
                continue
            kind = value.WhichOneof("one_value")
            if kind == "hparam":
                self._config = None
            if kind != "meta_data" and (resume_step is None or value.id <= resume_step):
                self._step = max(self._step, value.id)
                self._writer._get_file_writer().add_record(record)


def _plain(value: Value) -> float | int | str:
    """A value of a type that VisualDL shows; its whole numbers have 32 bits."""
    if isinstance(value, bool):
        return str(value).lower()
    return float(value) if isinstance(value, int) and abs(value) >= 1 << 31 else value


def _file_name(earlier: Path | None) -> str:
    """A name of VisualDL's form that comes after that of the earlier file, of the same second too."""
    try:
        after = 0 if earlier is None else int(earlier.name.split(".")[1]) + 1
    except ValueError:
        after = 0
    return f"vdlrecords.{max(int(time.time()), after):010d}.log"
