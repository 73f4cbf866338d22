"""The first samples as the loss sees them, drawn before training starts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.engine.callbacks.base import Callback, RunView
from ocrexp.types import UnusableSample

log = logging.getLogger(__name__)


class FirstSamples(Callback):
    """Draws the first `count` training samples into `plots/targets/`.

    `draw(sample)` returns an RGB uint8 picture of one transformed sample; null draws as the task does: regions with
    their maps, or one sheet of text images with the texts of their labels. With `stop` the run ends there. A sample
    that cannot be used is named with its reason in place of a picture.
    """

    def __init__(
        self, draw: Callable[[Any], npt.NDArray[np.uint8]] | None = None, count: int = 16, stop: bool = False
    ) -> None:
        self.draw = draw
        self.count = count
        self.stop = stop

    def on_fit_start(self, run: RunView) -> None:
        from ocrexp.drawing import write_picture

        pipeline = run.train_loader.pipeline  # type: ignore[attr-defined]
        folder = run.run_dir / "plots" / "targets"
        folder.mkdir(parents=True, exist_ok=True)
        samples = []
        for index in run.train_loader.sampler.first_indices(self.count).tolist():  # type: ignore[attr-defined]
            try:
                sample = pipeline.sample(index, 0)
            except UnusableSample as reason:
                log.warning("not drawn, because the sample cannot be used: %s: %s", pipeline.describe(index), reason)
                continue
            samples.append(sample)
        if self.draw is not None:
            pictures = [self.draw(sample) for sample in samples]
        else:
            pictures = run.task.draw_targets(samples, pipeline.transforms[-1])
        for number, picture in enumerate(pictures):
            write_picture(folder / f"{number:02d}.jpg", picture)
        log.info("%d samples as the loss sees them: %s", len(samples), folder)
        if pictures:
            run.loggers.log_images("targets", pictures[:8], run.step)
        if self.stop:
            run.request_stop("the samples are drawn (debug=targets)")
