"""The values of the config node `trainer`, and the plan of steps that follows from them. Imports no paddle."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ocrexp.engine.devices import cards_in, checked_devices

PRECISIONS = ("fp32", "amp_o1", "amp_o2")
AMP_DTYPES = ("bfloat16", "float16")
NONFINITE_POLICIES = ("stop", "skip")


@dataclass
class TrainerSettings:
    """The closed node `trainer`; `conf/trainer/default.yaml` explains each value.

    A step is one update of the weights (`accumulate` batches); intervals in steps count these.
    """

    max_epochs: int | None = 100
    max_steps: int | None = None
    max_minutes: float | None = None
    accumulate: int = 1
    precision: str = "fp32"
    amp_dtype: str = "bfloat16"
    device: str = "auto"
    devices: Any = 1  # a number, "auto" or a list of card numbers: Hydra's schemas know no union of these
    launch_args: list[str] = field(default_factory=list)
    dist_timeout_minutes: float = 120.0
    sync_bn: bool = False
    ema_decay: float | None = None
    log_every_steps: int = 10
    eval_every_steps: int | None = None
    eval_every_epochs: int | None = 1
    eval_start_step: int = 0
    eval_start_epoch: int = 0
    start_from: str | None = None
    eval_at_start: Any = "auto"  # "auto", true or false: Hydra's schemas know no union of these
    save_latest_every_epochs: int | None = 1
    save_every_steps: int | None = None
    save_every_epochs: int | None = None
    keep_sets: int = 2
    keep_outcomes: int = 5000
    limit_train_batches: int | None = None
    limit_val_batches: int | None = None
    val_loss: bool = True
    best_by: Any = None  # a name, or a mapping of names to weights: Hydra's schemas know no union of these
    nonfinite: str = "stop"
    metric_during_train: bool | int = False
    cpu_tuning: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError naming the key whose value cannot be."""
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected a whole number, 1 or more, got {value}")
        self.devices = checked_devices(self.devices)
        if self.metric_during_train is not False and self.metric_during_train < 1:
            raise ValueError(f"metric_during_train: expected true, false or a number, got {self.metric_during_train}")
        if not self.dist_timeout_minutes > 0:
            raise ValueError(f"dist_timeout_minutes: expected a number above 0, got {self.dist_timeout_minutes:g}")
        if self.eval_at_start != "auto" and not isinstance(self.eval_at_start, bool):
            raise ValueError(f"eval_at_start: expected auto, true or false, got {self.eval_at_start!r}")
        for name in ("eval_start_step", "eval_start_epoch", "keep_outcomes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected a whole number, 0 or more, got {getattr(self, name)}")
        for name, choices in (
            ("precision", PRECISIONS), ("amp_dtype", AMP_DTYPES), ("nonfinite", NONFINITE_POLICIES),
        ):  # fmt: skip
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)}")
        if self.max_epochs is None and self.max_steps is None:
            what = "the run would never end"
            if self.max_minutes is not None:
                what = "the learning rate would have no schedule, which max_minutes does not shorten"
            raise ValueError(f"max_epochs, max_steps: both are null, so {what}; set one of them")
        if self.max_minutes is not None and not 0 < self.max_minutes < float("inf"):
            raise ValueError(f"max_minutes: expected a number of minutes above 0, or null, got {self.max_minutes:g}")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay: expected a share between 0 and 1, such as 0.999, got {self.ema_decay:g}")
        if self.device not in ("auto", "cpu", "gpu") and not self.device.removeprefix("gpu:").isdigit():
            cards = cards_in(self.device)
            hint = f"; for several GPUs write devices=[{cards}]" if "," in cards else ""
            raise ValueError(f"device: expected auto, cpu, gpu or gpu:N, got {self.device}{hint}")


_POSITIVE = (
    "max_epochs", "max_steps", "accumulate", "log_every_steps", "eval_every_steps", "eval_every_epochs",
    "save_latest_every_epochs", "save_every_steps", "save_every_epochs", "keep_sets", "limit_train_batches",
    "limit_val_batches",
)  # fmt: skip


@dataclass(frozen=True)
class RunPlan:
    """How long a run is, in steps: what a schedule and a progress bar need before the first one."""

    batches_per_epoch: int
    steps_per_epoch: int
    total_steps: int
    total_epochs: int

    @classmethod
    def make(cls, settings: TrainerSettings, batches: int) -> RunPlan:
        """The plan for a loader of `batches` batches per epoch (of one rank).

        An epoch's last step may accumulate fewer batches than the others. The run ends at `max_steps` or `max_epochs`,
        whichever comes first. Raises ValueError for an empty loader and for an evaluation interval that is longer
        than the run. A run of less than one epoch counts as one: evaluating "every epoch" then means at its end.
        """
        if batches < 1:
            raise ValueError(
                "the training list gives no batch per epoch, because it is empty or shorter than one batch; "
                "add images or lower the batch size"
            )
        batches = min(batches, settings.limit_train_batches or batches)
        steps_per_epoch = math.ceil(batches / settings.accumulate)
        ends = []
        if settings.max_steps is not None:
            ends.append(settings.max_steps)
        if settings.max_epochs is not None:
            ends.append(settings.max_epochs * steps_per_epoch)
        total = min(ends)
        plan = cls(batches, steps_per_epoch, total, math.ceil(total / steps_per_epoch))
        plan.check_intervals(settings)
        return plan

    def check_intervals(self, settings: TrainerSettings) -> None:
        """Raises ValueError if an evaluation would never come before the end."""
        for key, value, limit, unit in (
            ("eval_every_steps", settings.eval_every_steps, self.total_steps, "steps"),
            ("eval_start_step", settings.eval_start_step, self.total_steps, "steps"),
            ("eval_every_epochs", settings.eval_every_epochs, self.total_epochs, "epochs"),
            ("eval_start_epoch", settings.eval_start_epoch, self.total_epochs, "epochs"),
        ):
            if value is not None and value > limit:
                raise ValueError(
                    f"{key}={value}: longer than the run of {limit} {unit}, so no evaluation would choose the "
                    f"best weights; lower it to {limit} or less"
                )
