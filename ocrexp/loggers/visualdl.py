"""VisualDL: curves and pictures in PaddlePaddle's own viewer (`visualdl --logdir RUN/visualdl`)."""

from __future__ import annotations

import logging
from typing import Any

from ocrexp.loggers.base import BaseLogger, RgbImage, RunInfo

log = logging.getLogger(__name__)


class VisualDLLogger(BaseLogger):
    """Writes `run_dir/folder`. Without the package it warns once, naming the extra, and does nothing."""

    def __init__(self, folder: str = "visualdl") -> None:
        self.folder = folder
        self._writer: Any = None

    def start(self, run: RunInfo) -> None:
        try:
            from visualdl import LogWriter
        except ImportError:
            log.warning("visualdl is not installed, so it logs nothing; run: pip install 'ocrexp[visualdl]'")
            return
        self._writer = LogWriter(logdir=str(run.run_dir / self.folder), display_name=run.name)

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(tag=name, value=float(value), step=step)

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:  # noqa: ARG002 (VisualDL shows no captions)
        if self._writer is not None:
            for index, image in enumerate(images):
                self._writer.add_image(tag=f"{name}/{index}", img=image, step=step)

    def finish(self, state: str) -> None:  # noqa: ARG002 (VisualDL knows no end state)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
