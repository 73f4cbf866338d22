"""The training loop: steps, intervals, evaluation, checkpoints. It knows no algorithm.

What a step does is in step.py, an evaluation in evaluator.py, what is said in reporting.py, what a checkpoint holds in
saving.py and how its files survive in checkpoint.py.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
import paddle

from ocrexp.command_line import command
from ocrexp.data.sample_counts import SampleCounts, sum_counts
from ocrexp.engine import distributed, health
from ocrexp.engine.callbacks.base import Callback
from ocrexp.engine.checkpoint import BEST, LATEST, CheckpointSet, CheckpointStore
from ocrexp.engine.console import duration
from ocrexp.engine.evaluator import EvaluationStopped
from ocrexp.engine.interrupt import StopSignals
from ocrexp.engine.interval import Interval
from ocrexp.engine.launch import ELSEWHERE
from ocrexp.engine.reporting import Reporter, logger
from ocrexp.engine.saving import RunIdentity, Saver
from ocrexp.engine.seed import seed_step
from ocrexp.engine.settings import RunPlan, TrainerSettings
from ocrexp.engine.state import TrainState
from ocrexp.engine.status import DONE, FAILED, INTERRUPTED
from ocrexp.engine.step import Loss, NonFiniteLoss, Stepper, StepReport
from ocrexp.engine.task import NothingToShow, TrainTask
from ocrexp.engine.train_metric import TrainMetric
from ocrexp.engine.validation import Validation
from ocrexp.errors import CheckpointError, OcrexpError, TrainingError
from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.group import LoggerGroup
from ocrexp.optim.ema import WeightAverage
from ocrexp.optim.schedules import Schedule
from ocrexp.report.figures import figures
from ocrexp.types import Batch


class TrainLoader(Protocol):
    """What gives training batches; see `ocrexp.data.loader.Loader`."""

    wait_seconds: float
    num_workers: int
    rejected: Counter[str]
    examples: dict[str, list[str]]
    counts: SampleCounts

    @property
    def batch_size(self) -> int: ...

    @property
    def dataset_size(self) -> int: ...

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class FitResult:
    """How a training ended: `state` is done or interrupted; `metrics` are those of the best evaluation."""

    state: str
    step: int
    best_step: int | None
    best_value: float | None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    exit_code: int = 0


class _Interrupted(Exception):
    """The run has been told to stop; everything is saved."""


class Trainer:
    """Trains a model and leaves a run folder.

    Args:
        trainable: what of the model learns, is averaged and saved; None: all of it.
        schedule: `schedule(step)` is the rate of the step after `step` steps, made for `plan.total_steps`.
        validation: evaluates the weights; its value decides which are best.
        plan: `RunPlan.make(settings, len(train_loader))`.
        seed: of the generators of a step (dropout and the like); see seed.py.
        run: names, folder and configuration of the run, as the loggers get them.
        fingerprints: of data, charset, …: name → text. They are saved, and a resumed run must have the same.
        extras: plain values that its checkpoints carry along, such as the charset's characters.
        sample_name: image path of a sample's index, for messages.
        task: how samples and results are looked at; None: nothing is drawn.
        causes: what to check when the metric stays 0, of the task; see `ocrexp.report.causes`.

    `fit()` trains to the end. To resume an earlier run, call `restore(store.load_for_resume())` before it.
    """

    def __init__(
        self,
        *,
        model: paddle.nn.Layer,
        trainable: paddle.nn.Layer | None = None,
        loss: Loss,
        optimizer: paddle.optimizer.Optimizer,
        schedule: Schedule,
        train_loader: TrainLoader,
        validation: Validation,
        settings: TrainerSettings,
        plan: RunPlan,
        seed: int,
        run: RunInfo,
        callbacks: Mapping[str, Callback] | None = None,
        loggers: LoggerGroup | None = None,
        fingerprints: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
        sample_name: Callable[[int], str] = "sample {}".format,
        task: TrainTask | None = None,
        causes: health.Causes = lambda _: [],
    ) -> None:
        self.model = model
        self._learns = model if trainable is None else trainable
        self.train_loader = train_loader
        self.validation = validation
        self.settings = settings
        self.plan = plan
        self.callbacks = dict(callbacks or {})
        self.task = task or NothingToShow()
        self.loggers = loggers or LoggerGroup({})
        self.state = TrainState()
        self.store = CheckpointStore(run.run_dir, settings.keep_sets)
        self._schedule = schedule
        self._seed = seed
        self._run = run
        self._sample_name = sample_name
        self._stepper = Stepper(model, loss, optimizer, settings)
        self._train_metric: TrainMetric | None = None
        if settings.metric_during_train:
            self._train_metric = TrainMetric(
                validation.evaluator.postprocess,
                validation.evaluator.metric,
                int(settings.metric_during_train),
                settings.log_every_steps,
            )
        self._average = WeightAverage(self._learns, settings.ema_decay) if settings.ema_decay else None
        identity = RunIdentity(seed, distributed.world_size(), plan.batches_per_epoch, dict(fingerprints or {}))
        self._saver = Saver(
            self.store, self._learns, self._stepper, self._average, self.callbacks, self.loggers, identity,
            {"config": run.config, "extras": dict(extras or {})},
        )  # fmt: skip
        self._report = Reporter(
            run,
            self.loggers,
            plan,
            validation.evaluator.main,
            validation.main,
            train_loader.num_workers,
            causes,
            self.task.learnable,
        )
        self._signals = StopSignals()
        self._interval = Interval()
        self._stop_request: str | None = None  # what a callback of this process asks for
        self._stop_reason: str | None = None  # what all processes have agreed on
        self._logger_states: dict[str, Any] | None = None
        self._latest_is_fresh = False
        self._unsaved_best = False
        self._failed_saves = 0  # in a row
        self._failed_callbacks: set[str] = set()
        self._told_counts = self._told_val_counts = False

    # What callbacks see (RunView).

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return self._run.run_dir

    @property
    def step(self) -> int:
        """Steps made since the very beginning."""
        return self.state.step

    @property
    def epoch(self) -> int:
        """The epoch being trained, from 0."""
        return self.state.epoch

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.plan.total_steps

    @property
    def best_metrics(self) -> dict[str, float]:
        """Values of the best evaluation so far."""
        return dict(self.state.best_metrics)

    @property
    def main_metric(self) -> str:
        """Name of the value that decides which evaluation is best."""
        return self.validation.main

    def request_stop(self, reason: str) -> None:
        """End the run after the present step, with a final evaluation."""
        self._stop_request = self._stop_request or reason

    # The run.

    def restore(self, found: CheckpointSet) -> None:
        """Resume from a checkpoint. Raises CheckpointError if another run has saved it."""
        self.state, self._logger_states = self._saver.restore(found)

    def fit(self) -> FitResult:
        """Train to the end, evaluate, and leave `best_accuracy` and `latest`.

        Ctrl-C and SIGTERM finish the step, save `latest` and give a result with `state` interrupted and exit code 130
        or 143. Raises TrainingError for what ends a run early, and whatever the parts raise; `status.json` and the
        loggers have been told by then.
        """
        began = time.perf_counter() - self.state.seconds
        clock = self._report.clock = lambda: time.perf_counter() - began
        ended, code = FAILED, 0
        error: BaseException | None = None
        try:
            with self._signals:
                self._begin()
                while not self._over():
                    self._train_epoch()
                self._end()
            ended = DONE
        except _Interrupted:
            ended, code = INTERRUPTED, 128 + (self._signals.received or 2)
            line = "stopped at step %d; Resume with: %s"
            self._report.say(line, self.step, command("resume", {"run_dir": self.run_dir}))
        except KeyboardInterrupt:
            ended = INTERRUPTED
            raise
        except OcrexpError as problem:
            error = problem
            raise
        except Exception as problem:
            error = problem
            if health.out_of_memory(problem):
                error = health.out_of_memory_error(self.step, self.train_loader.batch_size, self.settings.accumulate)
                raise error from problem
            raise
        finally:
            if distributed.is_main():
                for name, callback in self.callbacks.items():
                    try:
                        callback.on_fit_end(self, ended)
                    except OSError as problem:
                        logger.warning("callback %s: %s", name, problem)
            self._report.close(ended, self.state, error)
        distributed.barrier()  # the launcher ends all processes soon after the first one: rank 0 has to have saved
        state = self.state
        return FitResult(ended, state.step, state.best_step, state.best_value, self.best_metrics, clock(), code)

    def _begin(self) -> None:
        self._report.start(self.state, self._logger_states)
        self._report.say(
            "%d training images; %d steps of %d images (%d per epoch), from step %d on, on %s",
            self.train_loader.dataset_size, self.total_steps,
            self.train_loader.batch_size * self.settings.accumulate * distributed.world_size(),
            self.plan.steps_per_epoch, self.step, paddle.device.get_device(),
        )  # fmt: skip
        self.model.train()
        self._call("on_fit_start")
        if self.step and self._evaluation_due(step_done=True, epoch_done=self.state.batch == 0):
            self._evaluate()  # the run was stopped between this step and its evaluation

    def _over(self) -> bool:
        epochs = self.settings.max_epochs
        return (
            self.step >= self.total_steps
            or (epochs is not None and self.state.epoch >= epochs)
            or self._stop_reason is not None
        )

    def _train_epoch(self) -> None:
        """Train to the end of the epoch, or of the run, from wherever the epoch stands."""
        loader, state = self.train_loader, self.state
        source = loader.epoch(state.epoch, state.batch)
        batches = self._watched(source)
        updates = state.batch  # an epoch that goes on has had some
        try:
            while not self._over():
                planned = min(self.settings.accumulate, self.plan.batches_per_epoch - state.batch)
                report = self._step(batches, planned)
                updates += report.updated
                state.batch += report.batches
                if report.updated and state.step % self.settings.log_every_steps == 0:
                    self._log()
                epoch_done = state.batch >= self.plan.batches_per_epoch
                if epoch_done:
                    self._end_epoch(updates)
                if self._evaluation_due(report.updated, epoch_done):
                    self._evaluate()
                if self._save_due(report.updated, epoch_done):
                    self._save_latest()
                if report.stop:
                    self._leave()
                if epoch_done:
                    return
        finally:
            source.close()

    def _step(self, batches: Iterator[Batch], planned: int) -> StepReport:
        """One step, counted, timed, averaged; a loss that is not finite stops the run or is skipped."""
        began, waited = time.perf_counter(), self.train_loader.wait_seconds
        self._check_weights()
        seed_step(self._seed, self.state.step, distributed.rank())
        lr = self._schedule(self.state.step)
        if (measured := self._train_metric) and distributed.is_main():
            self._stepper.observe = measured.add if measured.wants(self.state.step) else None
        try:
            report = self._stepper.run(batches, planned, lr, lambda: self._signals.received is not None)
        except NonFiniteLoss as problem:
            report = self._pass_over(problem, planned, lr, batches)
        if report.updated:
            self.state.step += 1
            self.state.skipped_in_row = 0
            self._latest_is_fresh = False
            if not paddle.device.get_device().startswith("gpu"):  # a GPU is asked a step later, to keep it busy
                self._check_weights()
            if self._average:
                self._average.update(self._learns, self.state.step, self._stepper.masters)
        self._interval.add(report, self.train_loader.wait_seconds - waited, time.perf_counter() - began)
        return report

    def _check_weights(self) -> None:
        """Raises TrainingError where the last update has left weights that are not finite."""
        if not self._stepper.weights_are_finite():
            name = self._stepper.nonfinite_weight()
            raise TrainingError(health.weights_line(name, self.step, self._last_lr(), self.run_dir))

    def _watched(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches as they come; one in each logging interval is looked at for empty targets."""
        for batch in batches:
            if batch and self.state.step % self.settings.log_every_steps == 0:
                self._report.look_at(batch)
            yield batch

    def _report_counts(self) -> None:
        """What the training samples have reported: once, at the first evaluation or the first end of an epoch."""
        if not self._told_counts:
            counts = sum_counts(distributed.gather(self.train_loader.counts))
            self._told_counts = bool(counts)  # none yet before the first step of a resumed run
            for line in self.task.count_lines("train", counts):
                self._report.say("%s", line, level=logging.WARNING)

    def _end_epoch(self, updates: int) -> None:
        self._report_counts()
        rejected: Counter[str] = sum(distributed.gather(Counter(self.train_loader.rejected)), Counter())
        self._report.rejected(self.epoch, rejected, self.train_loader.examples)
        if not updates and rejected:
            raise TrainingError(
                f"no sample of epoch {self.epoch + 1} could be used ({', '.join(rejected)}); check labels and augment"
            )
        self._call("on_epoch_end")
        self.state.epoch += 1
        self.state.batch = 0
        self._latest_is_fresh = False

    def _end(self) -> None:
        """The run has made its last step: evaluate, save, and tell the best."""
        if self._stop_reason:
            self._report.say("stopping early at step %d: %s", self.step, self._stop_reason)
        if self._interval.parts:
            self._log()
        if self.state.evaluated_step != self.step:
            self._evaluate()
        if not self._latest_is_fresh:
            self._save_latest(final=True)
        state = self.state
        if distributed.is_main():
            self.loggers.log_artifact(self._saved_best(), BEST, "model")
        self._report.say(
            "done in %s; best at step %s: %s; checkpoints, plots and logs in %s",
            duration(self._report.clock()), state.best_step, figures(state.best_metrics, self.main_metric),
            self.run_dir,
        )  # fmt: skip

    def _saved_best(self) -> Path:
        """The file of the best weights; raises CheckpointError where they are not what the run says that they are."""
        state, folder = self.state, self.store.folder
        found = self.store.load(BEST)
        if found is None or self._unsaved_best or found.step != state.best_step:
            if (which := self._stepper.nonfinite_weight()) is not None:
                raise TrainingError(health.weights_line(which, self.step, self._last_lr(), self.run_dir))
            there = "no best weights exist" if found is None else f"only those of step {found.step} exist"
            raise CheckpointError(
                f"{folder}: the best weights, of step {state.best_step}, are missing ({there}); "
                f"see the warnings above, and use checkpoint={LATEST}, which is saved"
            )
        return folder / f"{BEST}.pdparams"

    # Intervals.

    def _evaluation_due(self, step_done: bool, epoch_done: bool) -> bool:
        ours, state = self.settings, self.state
        if state.evaluated_step == state.step:
            return False
        if state.step < ours.eval_start_step or state.epoch < ours.eval_start_epoch:
            return False
        return _due(ours.eval_every_steps, state.step, step_done) or _due(
            ours.eval_every_epochs, state.epoch, epoch_done
        )

    def _save_due(self, step_done: bool, epoch_done: bool) -> bool:
        ours, state = self.settings, self.state
        return (
            _due(ours.save_every_steps, state.step, step_done)
            or _due(ours.save_latest_every_epochs, state.epoch, epoch_done)
            or _due(ours.save_every_epochs, state.epoch, epoch_done)
        )

    def _log(self) -> None:
        """Read the losses of the interval (the only moment that waits for a GPU) and tell everyone."""
        interval, self._interval = self._interval, Interval()
        if interval.parts:
            measured = self._train_metric.take() if self._train_metric else {}
            values = self._report.interval(interval, self.state, self._last_lr(), measured)
            self._call("on_step_end", values)

    def _last_lr(self) -> float:
        return self._schedule(max(self.step - 1, 0))

    def _evaluate(self) -> None:
        """Evaluate the weights (their average where there is one) and keep them if they are the best."""
        self._check_weights()
        self._report_counts()
        state = self.state
        with self._average.applied(self._learns) if self._average else nullcontext():
            distributed.share_statistics(self.model)
            try:
                found = self.validation.run(self.model, self._stop_evaluation, self._stepper.autocast, state.epoch)
            except EvaluationStopped:
                found = None
            if found is not None:
                value = found.value
                is_best = state.best_value is None or value > state.best_value
                state.evaluated_step = self.step
                state.evaluations += 1
                state.zero_evaluations = state.zero_evaluations + 1 if value == 0 else 0
                self._latest_is_fresh = False  # what it says of the best is out of date
                if is_best:
                    state.best_value, state.best_step, state.best_metrics = value, self.step, found.metrics
                    self._unsaved_best = not self._save(BEST)
        if found is None:
            self._leave()
        result = found.main
        self._report.evaluation(result, state, self._last_lr(), is_best)
        self._report.val_sets(found.others, state)
        if not self._told_val_counts:
            self._told_val_counts = True
            for line in self.task.count_lines("val", result.counts):
                self._report.say("%s", line, level=logging.WARNING)
        self._call("on_evaluation_end", dataclasses.replace(result, metrics=found.metrics), is_best)

    def _stop_evaluation(self) -> bool:
        """Whether to leave an evaluation; several processes finish it, to stay in step."""
        return self._signals.received is not None and distributed.world_size() == 1

    def _call(self, moment: str, *values: Any) -> None:
        """Tell the callbacks, on rank 0; the others learn of a stop at the end of an epoch or evaluation."""
        if distributed.is_main():
            for name, callback in self.callbacks.items():
                try:
                    getattr(callback, moment)(self, *values)
                except OSError as error:  # a full disk: what a callback draws is not worth a run
                    if name not in self._failed_callbacks:
                        logger.warning("callback %s: %s; training continues", name, error)
                    self._failed_callbacks.add(name)
        if distributed.world_size() == 1:
            self._stop_reason = self._stop_request
        elif moment in ("on_epoch_end", "on_evaluation_end"):
            self._stop_reason = distributed.gather(self._stop_request)[0]

    # Saving, and the end of a run that does not get to its end.

    def _save_latest(self, final: bool = False) -> None:
        """Save `latest`, and keep it as `iter_epoch_N` where that is due."""
        state, every = self.state, self.settings.save_every_epochs
        self._latest_is_fresh = self._save(LATEST, final)
        kept = every is not None and state.batch == 0 and state.epoch > 0 and state.epoch % every == 0
        if self._latest_is_fresh and kept and distributed.is_main():
            self.store.keep(f"iter_epoch_{state.epoch}")

    def _save(self, name: str, final: bool = False) -> bool:
        """Whether it is saved. A disk that is full is told and training goes on; raises CheckpointError if `final`."""
        self._check_weights()
        self.state.seconds = self._report.clock()
        try:
            saved = self._saver.save(name, self.state)
            self._failed_saves = 0
            return saved
        except OSError as error:
            line = f"checkpoint {name} could not be saved at step {self.step}: {error.strerror or error}"
            if final:
                raise CheckpointError(
                    f"{line}; the earlier checkpoints are valid, free some space and resume"
                ) from error
            self._failed_saves += 1
            if self._failed_saves.bit_count() == 1:  # 1, 2, 4, 8, …: a disk stays full for many steps
                logger.warning("%s; the earlier checkpoints are valid, training continues", line)
            return False

    def _leave(self) -> NoReturn:
        if not self._latest_is_fresh:
            self._save_latest(final=True)
        raise _Interrupted

    def _pass_over(self, problem: NonFiniteLoss, planned: int, lr: float, batches: Iterator[Batch]) -> StepReport:
        """Save the batch of a loss that is not finite or huge; stop the run, or leave the step out if so asked.

        The weights are those from before; they are saved unless the loss says that they are worth nothing. Raises
        TrainingError.
        """
        total = float(problem.parts["loss"].astype("float32"))
        diverged = bool(np.isfinite(total)) and abs(total) >= health.HUGE_LOSS
        if abs(total) < health.HUGE_LOSS:
            line, advice = f"{ELSEWHERE}'s loss is not finite at step {self.step + 1}", ""
        else:
            suffix = f"_rank{distributed.rank()}" if distributed.rank() else ""
            path = self.run_dir / f"nonfinite_batch{suffix}.npz"
            health.save_batch(problem.batch, problem.parts, path, self._sample_name)
            line = health.nonfinite_line(problem.parts, problem.batch, self.step, lr, self._sample_name)
            line = f"{line} (batch saved as {path})"
            advice = f"; {health.DIVERGED if diverged else health.WHAT_TO_TRY}"
        self.state.skipped_in_row += 1
        if self.settings.nonfinite == "skip" and self.state.skipped_in_row < health.SKIPS_IN_ROW:
            logger.warning("%s; this step is skipped", line)
            self._report.passed_over()
            report = problem.report
            for _ in range(planned - report.batches):
                next(batches)
                report.batches += 1
            return dataclasses.replace(report, updated=False, parts={})
        if not diverged:
            self._save_latest()
        raise TrainingError(line + advice)


def _due(every: int | None, count: int, just_done: bool) -> bool:
    return just_done and every is not None and count % every == 0
