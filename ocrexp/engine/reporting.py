"""What a run reports: lines and the progress bar, `status.json`, the loggers, and warnings about its health.

Only rank 0 reports; on the others every method returns immediately.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ocrexp.engine import distributed, health
from ocrexp.engine.budget import TimeBudget
from ocrexp.engine.console import Console, duration
from ocrexp.engine.interval import Interval
from ocrexp.engine.memory import PeakMemory, gpu_peak_mb
from ocrexp.engine.settings import RunPlan
from ocrexp.engine.state import TrainState
from ocrexp.engine.status import RUNNING, write_status
from ocrexp.engine.summary import summary
from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.group import LoggerGroup
from ocrexp.report.figures import figures
from ocrexp.results import EvalResult, ZeroEvidence
from ocrexp.types import Batch

logger = logging.getLogger(__name__)


class Reporter:
    """Owns everything that a person or a logger gets to see of a run."""

    def __init__(
        self,
        run: RunInfo,
        loggers: LoggerGroup,
        plan: RunPlan,
        main_metric: str,
        best_metric: str,
        workers: int | None,
        causes: health.Causes,
        learnable: Callable[[Batch], Any],
        budget: TimeBudget,
        rates: Mapping[str, float],
    ) -> None:
        self.clock: Callable[[], float] = lambda: 0.0
        self._run = run
        self._loggers = loggers
        self._plan = plan
        self._main_metric = main_metric
        self._best_metric = best_metric
        self._causes = causes
        self._budget = budget
        self._rates = rates
        self._train_main = f"train/{main_metric}"
        self._losses: dict[str, float] = {}
        self._first_loss: float | None = None
        self._intervals = 0
        self._passed_over = 0
        self._val_loss: float | None = None  # of the last evaluation
        self._told_of_loss = False
        self._told_of_notes = False
        self._speaks = distributed.is_main()
        self._status_failed = False
        self._console = Console(run.run_dir)
        self._memory = PeakMemory()
        self._watch = health.LoaderWatch(workers)
        self._loss_watch = health.LossWatch()
        self._empty = health.EmptyTargets(learnable)

    def start(self, state: TrainState, logger_states: dict[str, Any] | None) -> None:
        """Open everything; `logger_states` are those of the checkpoint from which the run resumes."""
        if not self._speaks:
            return
        self._run.run_dir.mkdir(parents=True, exist_ok=True)
        self._console.start(state.step, self._plan.total_steps)
        self.status(RUNNING, state)
        run = self._run
        if logger_states is not None:
            run = dataclasses.replace(run, resumed=True, resume_step=state.step, state=logger_states)
        self._loggers.start(run)
        self._summarize(state)

    def close(self, ended: str, state: TrainState, error: BaseException | None, reason: str | None) -> None:
        """Report how the run ended: done, pruned, failed or interrupted; `reason`: why it ends before its last step."""
        if not self._speaks:
            return
        try:
            self._loggers.finish(ended)
            self.status(ended, state, error, reason)
        finally:
            self._console.stop()

    def say(self, text: str, *values: Any, level: int = logging.INFO) -> None:
        """One line."""
        if self._speaks:
            logger.log(level, text, *values)

    def look_at(self, batch: Batch) -> None:
        """Notice empty targets, in case the metric stays 0."""
        if self._speaks:
            self._empty.add(batch)

    def passed_over(self) -> None:
        """A step was skipped because its loss is not finite; counted, in case the metric stays 0."""
        self._passed_over += 1

    def interval(
        self, interval: Interval, state: TrainState, lr: float, measured: dict[str, float]
    ) -> dict[str, float]:
        """Losses, rate and speed of the steps since the last call, and what else was measured of them (`train/…`).

        Returns what the loggers got.
        """
        self._memory.sample()
        self._watch.add(interval.steps, interval.waited, interval.seconds)
        values = self._losses = interval.losses()
        self._first_loss = values["train/loss"] if self._first_loss is None else self._first_loss
        self._intervals += 1
        if self._speaks:
            self._loss_watch.add(values["train/loss"], state.step, lr)
        seconds = max(interval.seconds, 1e-9)
        rate = interval.images * distributed.world_size() / seconds
        share = interval.waited / seconds
        epoch = state.step / self._plan.steps_per_epoch
        if self._speaks:
            per_step = seconds / interval.steps
            left = min((self._plan.total_steps - state.step) * per_step, self._budget.left(self.clock()))
            if self._intervals > 1:  # the first one has the slow first steps
                self._forecast(state, per_step)
            parts = [f"{name.removeprefix('train/loss_')} {value:.4f}" for name, value in values.items()][1:]
            fields = {
                "epoch": f"{epoch:.1f}/{self._plan.total_epochs}",
                "loss": f"{values['train/loss']:.4f}" + (f" ({' '.join(parts)})" if parts else ""),
                **({self._main_metric: f"{measured[self._train_main]:.3f}"} if self._train_main in measured else {}),
                "lr": f"{lr:.3g}",
                "images/s": f"{rate:.1f}",
                "data": f"{share:.0%}",
                "eta": duration(left),
            }
            told = "  ".join(f"{name} {text}" for name, text in fields.items())
            self._console.progress(f"step {state.step}/{self._plan.total_steps}  {told}", fields, state.step)
        values = (
            values
            | measured
            | {
                "train/lr": lr,
                **{f"train/lr/{name}": lr * factor for name, factor in self._rates.items()},
                "train/images_per_second": rate,
                "train/data_wait": share,
                "train/epoch": epoch,
            }
        )
        if self._speaks:
            self._loggers.log_metrics(values, state.step)
            self.status(RUNNING, state)
        return values

    def rejected(self, epoch: int, reasons: Counter[str], examples: dict[str, list[str]]) -> None:
        """How many samples of an epoch could not be used, and why: one line a reason."""
        for reason, count in reasons.most_common():
            such = f", such as {examples[reason][0]}" if examples.get(reason) else ""
            samples = "sample" if count == 1 else "samples"
            self.say("epoch %d: %d %s could not be used: %s%s", epoch + 1, count, samples, reason, such)

    def evaluation(self, result: EvalResult, state: TrainState, lr: float, is_best: bool) -> None:
        """An evaluation's figures, and advice when the main one keeps being 0."""
        if not self._speaks:
            return
        self.say(
            "step %d evaluation%s: %s%s (%d images in %s)%s%s",
            state.step, "" if state.step else " (before training)",
            f"loss {result.losses['loss']:.4f} " if "loss" in result.losses else "",
            figures(result.metrics, self._main_metric), result.images, duration(result.seconds),
            self._before(state, self._main_metric), "; the best so far" if is_best else "",
        )  # fmt: skip
        self._val_loss = result.losses.get("loss", self._val_loss)
        if result.not_in_loss and not self._told_of_loss:
            self._told_of_loss = True
            reasons = ", ".join(f"{reason} ({count})" for reason, count in Counter(result.not_in_loss).most_common(3))
            self.say(
                "val/loss: %d of %d images are not counted (%s); the metric counts all of them",
                sum(result.not_in_loss.values()), result.images, reasons,
            )  # fmt: skip
        if not self._told_of_notes and (line := result.noted.line(result.images)):
            self._told_of_notes = True
            self.say("evaluation: %s", line, level=logging.WARNING)
        if result.unreadable:
            self.say(
                "%d evaluation images cannot be read and count as empty, such as %s",
                len(result.unreadable), result.unreadable[0], level=logging.WARNING,
            )  # fmt: skip
        self._memory.sample()
        values = {**result.losses, **result.metrics}
        self._loggers.log_metrics({f"val/{name}": value for name, value in values.items()}, state.step)
        if is_best or not state.step:
            self._summarize(state)
        self.status(RUNNING, state)
        if state.zero_evaluations == health.ZERO_EVALUATIONS:
            first = self._first_loss if self._intervals > 1 else None  # one interval shows no change
            evidence = ZeroEvidence(result, self._losses, self._empty.share, self._passed_over, first_loss=first)
            for line in health.zero_metric_lines(self._main_metric, lr, evidence, self._causes):
                self.say("%s", line, level=logging.WARNING)

    def val_sets(self, results: Mapping[str, EvalResult], state: TrainState) -> None:
        """A line for each named validation set, and its values as `val/SET/NAME` for the loggers."""
        if not self._speaks:
            return
        for name, result in results.items():
            shown = figures(result.metrics, self._main_metric)
            self.say(
                "  %s: %s (%d images in %s)%s",
                name, shown, result.images, duration(result.seconds),
                self._before(state, f"{name}/{self._main_metric}"),
            )  # fmt: skip
            if result.unreadable:
                self.say(
                    "  %s: %d images cannot be read and count as empty, the first is %s",
                    name, len(result.unreadable), result.unreadable[0], level=logging.WARNING,
                )  # fmt: skip
            self._loggers.log_metrics({f"val/{name}/{key}": value for key, value in result.metrics.items()}, state.step)

    def _before(self, state: TrainState, name: str) -> str:
        """What a value was before training, for a line of an evaluation."""
        return f"; before training {state.zero_shot[name]:.4f}" if state.step and name in state.zero_shot else ""

    def _summarize(self, state: TrainState) -> None:
        """Give the loggers the values of the run as a whole."""
        if values := summary(state, self._main_metric, self._best_metric):
            self._loggers.log_summary(values)

    def _forecast(self, state: TrainState, per_step: float) -> None:
        """Warn once of a time that is over before the schedule of the learning rate has come to its end."""
        reached = self._budget.forecast(state.step, self._plan.total_steps, per_step, self.clock())
        if reached is not None:
            self.say(
                "%s=%g ends this run near step %d of %d at the present speed, before the rate is at its end; "
                "a new run with %s=%d, or a little less for the evaluations, fits",
                self._budget.key, self._budget.minutes, reached, self._plan.total_steps, self._budget.steps_key,
                reached, level=logging.WARNING,
            )  # fmt: skip

    def stopping(self, state: TrainState, reason: str, advice: str, lr: float) -> None:
        """The run ends before its last step."""
        self.say(
            "stopping early at step %d of %d with lr %.3g: %s", state.step, self._plan.total_steps, lr, reason + advice
        )  # fmt: skip

    def finished(self, state: TrainState) -> None:
        """The last lines of a run that has come to its end."""
        before = "" if state.zero_shot_value is None else f" (before training {state.zero_shot_value:.4f})"
        self.say(
            "done in %s; best at step %s: %s%s; checkpoints, plots and logs in %s",
            duration(self.clock()), state.best_step, figures(state.best_metrics, self._best_metric), before,
            self._run.run_dir,
        )  # fmt: skip
        if state.best_step == 0 and state.step:
            self.say(
                "the training has not improved the model: no later evaluation is better than %s %.4f from before "
                "training, so best_accuracy contains the weights of the start; try a lower optim.lr, a warm-up or more "
                "steps", self._best_metric, state.zero_shot_value, level=logging.WARNING,
            )  # fmt: skip

    def status(
        self, name: str, state: TrainState, error: BaseException | None = None, reason: str | None = None
    ) -> None:
        """Write `status.json`; a full disk does not stop a run for it."""
        if not self._speaks:
            return
        try:
            write_status(
                self._run.run_dir,
                state=name,
                error=None if error is None else str(error) or type(error).__name__,
                reason=reason,
                step=state.step,
                total_steps=self._plan.total_steps,
                epoch=state.epoch,
                best_metric=self._best_metric,
                best_value=state.best_value,
                best_step=state.best_step,
                **self._run.sizes,
                metrics=state.best_metrics,
                **({} if state.zero_shot_value is None else {"zero_shot": state.zero_shot_value}),
                **({"zero_shot_metrics": state.zero_shot} if state.zero_shot else {}),
                **({} if self._val_loss is None else {"val_loss": self._val_loss}),
                seconds=round(self.clock(), 1),
                peak_memory_mb=self._memory.mb,
                peak_gpu_memory_mb=gpu_peak_mb(),
            )
        except OSError as problem:
            if not self._status_failed:  # a disk stays full for many steps
                logger.warning("status.json could not be written: %s", problem.strerror or problem)
            self._status_failed = True
        else:
            self._status_failed = False
