"""Predictions on validation images beside the ground truth, after evaluations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.engine.callbacks.base import Callback, RunView
from ocrexp.results import EvalResult, EvalSample

log = logging.getLogger(__name__)


class PredictionPictures(Callback):
    """Draws samples of an evaluation to `plots/predictions/step_N_K.jpg` and sends them to the loggers.

    Args:
        draw: `draw(sample)` gives an RGB uint8 picture of one sample; null draws as the task does: each image with its
            regions, or one sheet of crops with the texts read.
        every_evaluations: draw after every N-th evaluation; the best so far is always drawn.
        limit: maximum number of images each time; a sheet has its own number.
        keep: number of latest evaluations whose pictures are kept; older ones are deleted.
        rows: images of the best evaluation in the table that W&B shows (image, truth, prediction, score).
    """

    def __init__(
        self,
        draw: Callable[[EvalSample], npt.NDArray[np.uint8]] | None = None,
        every_evaluations: int = 1,
        limit: int = 8,
        keep: int = 10,
        rows: int = 30,
    ) -> None:
        for key, value in (
            ("every_evaluations", every_evaluations), ("limit", limit), ("keep", keep), ("rows", rows),
        ):  # fmt: skip
            if value < 1:
                raise ValueError(f"{key}: expected 1 or more, got {value}")
        self.draw = draw
        self.every_evaluations = every_evaluations
        self.limit = limit
        self.keep = keep
        self.rows = rows
        self._evaluations = 0

    def on_evaluation_end(self, run: RunView, result: EvalResult, is_best: bool) -> None:
        due = self._evaluations % self.every_evaluations == 0
        self._evaluations += 1
        if not result.samples or not (due or is_best):
            return
        from ocrexp.drawing import write_picture
        from ocrexp.report.evaluation import Captioned

        if self.draw is None:
            drawn = run.task.draw_samples(result, self.limit)
        else:
            samples = result.samples[: self.limit]
            drawn = [Captioned(self.draw(sample), Path(sample.path).name, "") for sample in samples]
        folder = run.run_dir / "plots" / "predictions"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for index, one in enumerate(drawn):
                write_picture(folder / f"step_{run.step:07d}_{index:02d}.jpg", one.picture)
            self._forget(folder)
        except OSError as error:  # a full disk: pictures are not worth a run
            log.warning("the pictures could not be written to %s: %s", folder, error.strerror or error)
        pictures, captions = [one.picture for one in drawn], [one.caption for one in drawn]
        run.loggers.log_images("val/predictions", pictures, run.step, captions)
        if is_best and run.loggers.wants_samples:
            run.loggers.log_samples("val/samples", run.task.sample_rows(result, self.rows), run.step)

    def state_dict(self) -> dict[str, Any]:
        return {"evaluations": self._evaluations}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._evaluations = int(state["evaluations"])

    def _forget(self, folder: Path) -> None:
        steps = sorted({path.name.rsplit("_", 1)[0] for path in folder.glob("step_*_*.jpg")})
        for step in steps[: -self.keep]:
            for path in folder.glob(f"{step}_*.jpg"):
                path.unlink()
