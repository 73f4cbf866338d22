"""An evaluation within a run: of the weights or their average, counted, compared with the best, kept and reported."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext

import paddle

from ocrexp.engine import distributed
from ocrexp.engine.evaluator import EvaluationStopped
from ocrexp.engine.keeper import Keeper
from ocrexp.engine.nonfinite import WeightsCheck
from ocrexp.engine.reporting import Reporter
from ocrexp.engine.sample_reports import SampleReports
from ocrexp.engine.state import TrainState
from ocrexp.engine.step import Stepper
from ocrexp.engine.validation import Validation, ValidationResult
from ocrexp.optim.ema import WeightAverage
from ocrexp.results import EvalResult


class Assessment:
    """Evaluates the present weights of a run.

    Args:
        model: is evaluated.
        learns: what of it is averaged.
        average: is evaluated in place of the weights; None: the weights are.
        validation: the sets, and the value that decides which weights are best.
        stepper: has the precision.
        check: raises TrainingError for weights that are not finite.
        keeper: saves the best.
        samples: what the samples have reported.
        report: gets the figures.
        should_stop: whether to leave an evaluation unfinished.
    """

    def __init__(
        self,
        model: paddle.nn.Layer,
        learns: paddle.nn.Layer,
        average: WeightAverage | None,
        validation: Validation,
        stepper: Stepper,
        check: WeightsCheck,
        keeper: Keeper,
        samples: SampleReports,
        report: Reporter,
        should_stop: Callable[[], bool],
    ) -> None:
        self._model = model
        self._learns = learns
        self._average = average
        self._validation = validation
        self._stepper = stepper
        self._check = check
        self._keeper = keeper
        self._samples = samples
        self._report = report
        self._should_stop = should_stop

    def run(self, state: TrainState, lr: float) -> tuple[EvalResult, bool] | None:
        """The result with the values of all sets, and whether it is the best; None if it was left unfinished.

        Args:
            state: where the run stands; the evaluation is counted there.
            lr: rate of the last step, for advice.
        """
        self._check(state)
        self._samples.train()
        is_best = False
        with self._average.applied(self._learns) if self._average else nullcontext():
            distributed.share_statistics(self._model)
            found = self._validate(state.epoch)
            if found is not None:
                is_best = state.count_evaluation(found.value, found.metrics)
                self._keeper.latest_is_fresh = False  # what it says of the best is out of date
                if is_best:
                    self._keeper.save_best(state)
        if found is None:
            return None
        self._report.evaluation(found.main, state, lr, is_best)
        self._report.val_sets(found.others, state)
        self._samples.val(found.main.counts)
        return dataclasses.replace(found.main, metrics=found.metrics), is_best

    def _validate(self, epoch: int) -> ValidationResult | None:
        try:
            return self._validation.run(self._model, self._should_stop, self._stepper.autocast, epoch)
        except EvaluationStopped:
            return None
