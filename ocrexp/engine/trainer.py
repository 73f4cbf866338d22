"""The training loop: it takes steps, and evaluates, saves and ends where the policy asks for it. It knows no algorithm.

What a step does is in step.py, when something is due in policy.py, an evaluation in assessment.py and evaluator.py,
what is printed in reporting.py, which sets are on disk in keeper.py, what a set contains in saving.py and how its files
survive in checkpoint.py, what happens to values that are not finite in nonfinite.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import paddle

from ocrexp.command_line import command
from ocrexp.engine import distributed, health
from ocrexp.engine.assessment import Assessment
from ocrexp.engine.callbacks.base import Callback
from ocrexp.engine.callbacks.group import CallbackGroup
from ocrexp.engine.checkpoint import BEST, CheckpointSet, CheckpointStore
from ocrexp.engine.interrupt import StopSignals
from ocrexp.engine.interval import Interval
from ocrexp.engine.keeper import Keeper
from ocrexp.engine.nonfinite import NonFinitePolicy, WeightsCheck
from ocrexp.engine.policy import Policy
from ocrexp.engine.reporting import Reporter
from ocrexp.engine.run_view import ViewOfState
from ocrexp.engine.sample_reports import SampleReports
from ocrexp.engine.saving import RunIdentity, Saver
from ocrexp.engine.seed import seed_step
from ocrexp.engine.settings import RunPlan, TrainerSettings
from ocrexp.engine.state import TrainState
from ocrexp.engine.status import FAILED, INTERRUPTED, PRUNED
from ocrexp.engine.step import Loss, NonFiniteLoss, Stepper, StepReport
from ocrexp.engine.task import NothingToShow, TrainTask
from ocrexp.engine.thaw import Thaw
from ocrexp.engine.train_loader import TrainLoader
from ocrexp.engine.train_metric import TrainMetric
from ocrexp.engine.validation import Validation
from ocrexp.errors import ConfigError, OcrexpError
from ocrexp.located import addressed
from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.group import LoggerGroup
from ocrexp.optim.ema import WeightAverage
from ocrexp.optim.schedules import Schedule
from ocrexp.types import Batch


@dataclass(frozen=True)
class FitResult:
    """How a training ended: `state` is done, pruned or interrupted; `metrics` are those of the best evaluation,
    `zero_shot` those of the one before the first step."""

    state: str
    step: int
    best_step: int | None
    best_value: float | None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    exit_code: int = 0
    zero_shot: dict[str, float] = field(default_factory=dict)


class _Interrupted(Exception):
    """The run has been told to stop; everything is saved."""


class Trainer(ViewOfState):
    """Trains a model and leaves a run folder.

    Args:
        trainable: what of the model learns, is averaged and saved; None: all of it.
        schedule: `schedule(step)` is the rate of the step after `step` steps, made for `plan.total_steps`.
        validation: evaluates the weights; its value decides which are best.
        plan: `RunPlan.make(settings, len(train_loader))`.
        seed: of the generators of a step (such as dropout); see seed.py.
        run: names, folder and configuration of the run, as the loggers get them.
        fingerprints: of data, charset, …: name → text. They are saved, and a resumed run must have the same.
        extras: plain values that its checkpoints carry along, such as the charset's characters.
        sample_name: image path of a sample's index, for messages.
        thaw: parts that learn from a step on; None: all parts that learn do so from the start.
        rates: factors of the learning rate by the names under which they are logged.
        pretrained: whether the weights come from a file, so that an evaluation before the first step is of interest.
        task: how samples and results are looked at; None: nothing is drawn.
        causes: what to check when the metric stays 0, of the task; see `ocrexp.report.causes`.
        stopped_by: who ends runs by a signal because others do better, an agent of W&B: such a run is pruned. None:
            a run that is told to stop is interrupted.

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
        thaw: Thaw | None = None,
        rates: Mapping[str, float] | None = None,
        pretrained: bool = False,
        task: TrainTask | None = None,
        causes: health.Causes = lambda _: [],
        stopped_by: str | None = None,
    ) -> None:
        self.model = model
        self._learns = model if trainable is None else trainable
        self.train_loader = train_loader
        self.validation = validation
        self.settings = settings
        self.plan = plan
        self.task = task or NothingToShow()
        self.loggers = loggers or LoggerGroup({})
        self.state = TrainState()
        self.store = CheckpointStore(run.run_dir, settings.keep_sets)
        self._schedule = schedule
        self._seed = seed
        self._run = run
        self._stopped_by = stopped_by
        self._thaw = thaw
        if thaw is not None:
            thaw.prepare()
        self._stepper = Stepper(model, loss, optimizer, settings)
        if thaw is not None:
            self._stepper.held = thaw.held()
        self._train_metric: TrainMetric | None = None
        if settings.metric_during_train:
            with addressed(settings, ConfigError):
                self._train_metric = TrainMetric(
                    validation.evaluator.postprocess,
                    validation.evaluator.metric,
                    int(settings.metric_during_train),
                    settings.log_every_steps,
                )
        self._average = WeightAverage(self._learns, settings.ema_decay) if settings.ema_decay else None
        identity = RunIdentity(seed, distributed.world_size(), plan.batches_per_epoch, dict(fingerprints or {}))
        self._saver = Saver(
            self.store, self._learns, self._stepper, self._average, dict(callbacks or {}), self.loggers, identity,
            {"config": run.config, "extras": dict(extras or {})},
        )  # fmt: skip
        self._policy = Policy(settings, plan, pretrained)
        self._report = Reporter(
            run,
            self.loggers,
            plan,
            validation.evaluator.main,
            validation.main,
            train_loader.num_workers,
            causes,
            self.task.learnable,
            self._policy.budget,
            rates or {},
        )
        self._callbacks = CallbackGroup(callbacks or {})
        self._check_weights = WeightsCheck(self._stepper, self._last_lr, run.run_dir)
        self._keeper = Keeper(self._saver, self._stepper, self._check_weights, lambda: self._report.clock())
        self._nonfinite = NonFinitePolicy(
            settings.nonfinite == "skip", run.run_dir, sample_name, self._save_latest, self._report.passed_over
        )
        self._signals = StopSignals()
        self._samples = SampleReports(self.task, train_loader, self._report)
        self._assessment = Assessment(
            model, self._learns, self._average, validation, self._stepper, self._check_weights, self._keeper,
            self._samples, self._report, self._stop_evaluation,
        )  # fmt: skip
        self._interval = Interval()
        self._logger_states: dict[str, Any] | None = None

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
        reason: str | None = None
        try:
            with self._signals:
                self._begin()
                while not self._policy.over(self.state):
                    self._train_epoch()
                self._end()
            ended = self._policy.ended
        except _Interrupted:
            ended, code = INTERRUPTED, 128 + (self._signals.received or 2)
            if self._stopped_by is not None:
                ended, code, reason = PRUNED, 0, f"stopped by {self._stopped_by}"
            by = "" if self._stopped_by is None else f" by {self._stopped_by}"
            line = "stopped at step %d%s; Resume with: %s"
            self._report.say(line, self.step, by, command("resume", {"run_dir": self.run_dir}))
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
            self._callbacks.end(self, ended)
            self._report.close(ended, self.state, error, reason or self._policy.stop_reason)
        distributed.barrier()  # the launcher ends all processes soon after the first one: rank 0 has to have saved
        state = self.state
        return FitResult(
            ended,
            state.step,
            state.best_step,
            state.best_value,
            self.best_metrics,
            clock(),
            code,
            dict(state.zero_shot),
        )

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
        if self._policy.start_evaluation_due(self.state):
            self._evaluate()
        if self.step and self._policy.evaluation_due(self.state, step_done=True, epoch_done=self.state.batch == 0):
            self._evaluate()  # the run was stopped between this step and its evaluation
        self._policy.check_time(self.state, self._report.clock())

    def _train_epoch(self) -> None:
        """Train to the end of the epoch, or of the run, from wherever the epoch stands."""
        loader, state, policy = self.train_loader, self.state, self._policy
        source = loader.epoch(state.epoch, state.batch)
        batches = self._watched(source)
        updates = state.batch  # an epoch that goes on has had some
        try:
            while not policy.over(state):
                report = self._step(batches, policy.planned_batches(state))
                updates += report.updated
                state.batch += report.batches
                if report.updated and policy.log_due(state):
                    self._log()
                epoch_done = state.batch >= self.plan.batches_per_epoch
                if epoch_done:
                    self._end_epoch(updates)
                policy.check_time(state, self._report.clock())
                if policy.evaluation_due(state, report.updated, epoch_done):
                    self._evaluate()
                if policy.save_due(state, report.updated, epoch_done):
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
        self._check_weights(self.state)
        self._unfreeze()
        seed_step(self._seed, self.state.step, distributed.rank())
        lr = self._schedule(self.state.step)
        if (measured := self._train_metric) and distributed.is_main():
            self._stepper.observe = measured.add if measured.wants(self.state.step) else None
        try:
            report = self._stepper.run(batches, planned, lr, lambda: self._signals.received is not None)
        except NonFiniteLoss as problem:
            report = self._nonfinite.pass_over(problem, self.state, lr, planned, batches)
        if report.updated:
            self.state.step += 1
            self.state.skipped_in_row = 0
            self._keeper.latest_is_fresh = False
            if not paddle.device.get_device().startswith("gpu"):  # a GPU is asked a step later, to keep it busy
                self._check_weights(self.state)
            if self._average:
                self._average.update(self._learns, self.state.step, self._stepper.masters)
        self._interval.add(report, self.train_loader.wait_seconds - waited, time.perf_counter() - began)
        return report

    def _unfreeze(self) -> None:
        """Let the parts learn that were frozen until here, where there are some."""
        thaw = self._thaw
        if thaw is not None and thaw.due(self.state):
            thaw.thaw(self._stepper)
            parts, lr = ", ".join(thaw.frozen.parts), self._schedule(self.state.step)
            self._report.say("from step %d on, %s learns too; the learning rate is %.3g", self.step, parts, lr)

    def _watched(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches as they come; one in each logging interval is looked at for empty targets."""
        for batch in batches:
            if batch and self._policy.log_due(self.state):
                self._report.look_at(batch)
            yield batch

    def _end_epoch(self, updates: int) -> None:
        self._samples.train()
        self._samples.rejected(self.epoch, updates)
        self._call("on_epoch_end")
        self.state.epoch += 1
        self.state.batch = 0
        self._keeper.latest_is_fresh = False

    def _end(self) -> None:
        """The run has made its last step: evaluate, save, and tell the best."""
        if self._policy.stop_reason:
            self._report.stopping(self.state, self._policy.stop_reason, self._policy.advice, self._last_lr())
        if self._interval.parts:
            self._log()
        if self.state.evaluated_step != self.step:
            self._evaluate()
        if not self._keeper.latest_is_fresh:
            self._save_latest(final=True)
        if distributed.is_main():
            self.loggers.log_artifact(self._keeper.saved_best(self.state), BEST, "model")
        self._report.finished(self.state)

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
        found = self._assessment.run(self.state, self._last_lr())
        if found is None:
            self._leave()
        self._call("on_evaluation_end", *found)

    def _stop_evaluation(self) -> bool:
        """Whether to leave an evaluation; several processes finish it, to stay in step."""
        return self._signals.received is not None and distributed.world_size() == 1

    def _call(self, moment: str, *values: Any) -> None:
        """Tell the callbacks, on rank 0; the others learn of a stop at the end of an epoch or evaluation."""
        self._callbacks.call(moment, self, *values)
        self._policy.agree_to_stop(together=moment in ("on_epoch_end", "on_evaluation_end"))

    def _save_latest(self, final: bool = False) -> None:
        self._keeper.save_latest(self.state, self._policy.kept_name(self.state), final)

    def _leave(self) -> NoReturn:
        if not self._keeper.latest_is_fresh:
            self._save_latest(final=True)
        raise _Interrupted
