"""What the best evaluation has to show: pictures and tables in `plots/`, and what became of each image."""

from __future__ import annotations

import logging

from ocrexp.engine.callbacks.base import Callback, RunView
from ocrexp.engine.samples import write_samples
from ocrexp.results import EvalResult

log = logging.getLogger(__name__)


class EvaluationReport(Callback):
    """Writes the report of an evaluation that no earlier one beats, and sends its pictures to the loggers.

    The files therefore belong to the weights of `best_accuracy`. The metric determines which files there are: for texts
    confusions, worst samples and accuracy by length; for detection none, the pictures of predictions show it. A metric
    that has outcomes of single images leaves `samples.jsonl`, see `ocrexp.engine.samples`.
    """

    def on_evaluation_end(self, run: RunView, result: EvalResult, is_best: bool) -> None:
        if is_best and result.outcomes:
            try:
                write_samples(run.run_dir, run.step, result)
            except OSError as error:  # a full disk
                log.warning("%s: samples.jsonl could not be written: %s", run.run_dir, error.strerror or error)
        best = run.best_metrics.get(run.main_metric)
        if result.details is None or not (is_best or result.metrics[run.main_metric] == best):
            return
        folder = run.run_dir / "plots"
        try:
            pictures = run.task.write_report(result, folder)
        except OSError as error:  # a full disk: a report is not worth a run
            log.warning("the report could not be written to %s: %s", folder, error.strerror or error)
            return
        for name, picture in pictures.items():
            run.loggers.log_images(f"val/{name}", [picture], run.step)
